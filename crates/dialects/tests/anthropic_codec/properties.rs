//! What holds for every request and every stream.

use bytes::BytesMut;
use gatewright_core::chat::Event;
use gatewright_core::{RawEvent, Result};
use gatewright_dialects::sse::Splitter;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{codec, decode, encode, newest, style};

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9\u{e9}\u{1F600}\"\\\\]{1,8}"
}

fn marked(block: Value) -> impl Strategy<Value = Value> {
    let marks = [Value::Null, json!({ "type": "ephemeral" }), json!({ "type": "ephemeral", "ttl": "1h" })];
    select(marks.to_vec()).prop_map(move |mark| {
        let mut block = block.clone();
        if !mark.is_null() {
            block["cache_control"] = mark;
        }
        block
    })
}

fn text() -> impl Strategy<Value = Value> {
    word().prop_flat_map(|text| marked(json!({ "type": "text", "text": text })))
}

fn picture() -> impl Strategy<Value = Value> {
    let sources = [
        json!({ "type": "base64", "media_type": "image/png", "data": "QQ==" }),
        json!({ "type": "url", "url": "https://x/y.png" }),
        json!({ "type": "file", "file_id": "file_1" }),
    ];
    select(sources.to_vec()).prop_flat_map(|source| marked(json!({ "type": "image", "source": source })))
}

fn document() -> impl Strategy<Value = Value> {
    let sources = [
        json!({ "type": "base64", "media_type": "application/pdf", "data": "QQ==" }),
        json!({ "type": "text", "media_type": "text/plain", "data": "words" }),
        json!({ "type": "content", "content": [{ "type": "text", "text": "a" }] }),
        json!({ "type": "url", "url": "https://x/y.pdf" }),
    ];
    (select(sources.to_vec()), word()).prop_flat_map(|(source, title)| {
        let citations = json!({ "enabled": true });
        marked(json!({ "type": "document", "source": source, "title": title, "context": "c", "citations": citations }))
    })
}

fn result() -> impl Strategy<Value = Value> {
    (prop::collection::vec(prop_oneof![text(), picture()], 0..3), any::<bool>()).prop_flat_map(|(content, failed)| {
        marked(json!({ "type": "tool_result", "tool_use_id": "t_1", "content": content, "is_error": failed }))
    })
}

fn said() -> impl Strategy<Value = Value> {
    let others = [
        json!({ "type": "redacted_thinking", "data": "z" }),
        json!({ "type": "server_tool_use", "id": "s", "name": "web_search", "input": { "query": "q" } }),
        json!({ "type": "web_search_tool_result", "tool_use_id": "s", "content": [] }),
    ];
    prop_oneof![
        text(),
        select(others.to_vec()),
        word().prop_map(|text| json!({ "type": "thinking", "thinking": text, "signature": "s" })),
        word().prop_flat_map(|text| {
            marked(json!({ "type": "tool_use", "id": "t_1", "name": "f", "input": { "a": text } }))
        }),
    ]
}

fn messages() -> impl Strategy<Value = Value> {
    let asked = (
        prop::collection::vec(result(), 0..2),
        prop::collection::vec(prop_oneof![text(), picture(), document()], 1..3),
    );
    let pair = (asked, prop::collection::vec(said(), 1..4));
    prop::collection::vec(pair, 1..3).prop_map(|pairs| {
        let speak = |((results, asked), said): ((Vec<Value>, Vec<Value>), Vec<Value>)| {
            let asked: Vec<Value> = results.into_iter().chain(asked).collect();
            [json!({ "role": "user", "content": asked }), json!({ "role": "assistant", "content": said })]
        };
        pairs.into_iter().flat_map(speak).collect()
    })
}

fn settings() -> impl Strategy<Value = Value> {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"],
                         "additionalProperties": false });
    let settings = [
        json!({ "system": "s" }),
        json!({ "system": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] }),
        json!({ "max_tokens": 99, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "stop_sequences": ["x"] }),
        json!({ "thinking": { "type": "adaptive", "display": "omitted" }, "output_config": { "effort": "max" } }),
        json!({ "thinking": { "type": "disabled" } }),
        json!({ "output_config": { "format": { "type": "json_schema", "schema": schema } } }),
        json!({ "metadata": { "user_id": "u" }, "service_tier": "standard_only", "stream": true }),
        json!({ "container": "c", "mcp_servers": [{ "url": "https://x" }] }),
        json!({ "tools": [{ "name": "f", "input_schema": schema, "strict": true, "defer_loading": true },
                          { "type": "web_search_20250305", "name": "web_search" }],
                "tool_choice": { "type": "tool", "name": "f", "disable_parallel_tool_use": true } }),
        json!({ "tools": [{ "name": "f", "description": "d", "input_schema": schema }],
                "tool_choice": { "type": "none" } }),
    ];
    select(settings.to_vec())
}

/// Events with anything in them that a stream may hold.
const STREAM: &str = concat!(
    "event: message_start\r\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":3}}}"#,
    "\r\n\r\nevent: content_block_start\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    "\n\n: comment\n\nevent: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\ndata: \"delta\":{\"type\":\"text_delta\",\"text\":\"\u{e9}\u{1F600}\"}}",
    "\n\nevent: content_block_stop\ndata: {\"index\":0}\n\nevent: content_block_start\n",
    r#"data: {"index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
    "\n\nevent: content_block_delta\n",
    r#"data: {"index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":\"\u00e9\"}"}}"#,
    "\n\nevent: content_block_stop\ndata: {\"index\":1}\n\nevent: message_delta\n",
    r#"data: {"delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":5}}"#,
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

fn chunked(stream: &[u8], cuts: &[usize], each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) {
    let mut splitter = Splitter::new(1 << 20);
    let mut from = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        let cut = cut.clamp(from, stream.len());
        splitter.feed(&stream[from..cut], each).unwrap();
        from = cut;
    }
    splitter.close(each).unwrap();
}

fn decoded(stream: &[u8], cuts: &[usize]) -> Vec<Event> {
    let mut decoder = codec().decoder();
    let mut events = Vec::new();
    chunked(stream, cuts, &mut |event| decoder.event(event, &mut events));
    decoder.close(&mut events).unwrap();
    events
}

fn relayed(stream: &[u8], cuts: &[usize]) -> BytesMut {
    let mut relay = codec().relay(&style());
    let mut out = BytesMut::new();
    chunked(stream, cuts, &mut |event| relay.event(event, &mut out).map(drop));
    relay.close(&mut out).unwrap();
    out
}

proptest! {
    #[test]
    fn what_is_read_written_and_read_again_is_the_same(messages in messages(), settings in settings()) {
        let mut request = json!({ "model": "m", "messages": messages });
        request.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let mut once = decode(&request).unwrap();
        let (body, lost) = encode(&once, &newest());
        prop_assert!(lost.is_empty(), "{lost:?}");
        let mut again = decode(&body).unwrap();
        // The API takes calls in the history beside tools only, so that their tools come with them.
        if once.tools.is_empty() && !again.tools.is_empty() {
            again.tools.clear();
            again.tool_choice = None;
        }
        // The API demands a number, so one is written where the client gave none.
        once.max_output = once.max_output.or(newest().max_output);
        prop_assert_eq!(again, once);
    }

    #[test]
    fn the_cuts_between_chunks_change_nothing(mut cuts in prop::collection::vec(0..STREAM.len(), 0..40)) {
        cuts.sort_unstable();
        let stream = STREAM.as_bytes();
        prop_assert_eq!(decoded(stream, &cuts), decoded(stream, &[]));
        prop_assert_eq!(relayed(stream, &cuts), relayed(stream, &[]));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), name in select(vec![
        "", "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "error", "message_stop",
    ])) {
        let event = RawEvent { name, data: &bytes };
        let _ = codec().decoder().event(event, &mut Vec::new());
        let _ = codec().relay(&style()).event(event, &mut BytesMut::new());
        let _ = codec().decode_reply(&bytes);
        let _ = codec().relay_reply(bytes.clone().into(), &style());
        let _ = codec().decode_error(http::StatusCode::BAD_REQUEST, &bytes);
    }
}
