//! Clients and upstreams of which one speaks this dialect and the other OpenAI's.

use bytes::BytesMut;
use gatewright_core::{Codec, Dialect, Losses, ModelFacts, RawEvent, Relay, ReplyStyle, Translate};
use gatewright_dialects::of;
use serde_json::{Value, json};

use super::{codec, json, newest, raw_events, style};

pub(super) fn openai() -> &'static dyn Codec {
    of(Dialect::OpenAiChat)
}

pub(super) fn asked(client: &dyn Codec, upstream: &dyn Codec, request: &Value) -> (Value, Vec<String>) {
    let chat = client.decode_request(&json(request)).unwrap();
    let mut losses = Losses::default();
    let body = upstream.encode_request(&chat, &newest(), &mut losses).unwrap();
    let lost = losses.into_fields().into_iter().map(String::from).collect();
    (serde_json::from_slice(&body).unwrap(), lost)
}

pub(super) fn streamed(upstream: &dyn Codec, client: &dyn Codec, events: &[(&str, Value)]) -> String {
    streamed_as(upstream, client, &style(), events)
}

pub(super) fn streamed_as(
    upstream: &dyn Codec,
    client: &dyn Codec,
    style: &ReplyStyle,
    events: &[(&str, Value)],
) -> String {
    let mut relay = Translate::new(upstream.decoder(), client.encoder(style));
    let mut out = BytesMut::new();
    for (name, data) in events {
        relay.event(RawEvent { name, data: data.to_string().as_bytes() }, &mut out).unwrap();
    }
    relay.close(&mut out).unwrap();
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn an_openai_conversation_with_tools_reaches_anthropic_whole() {
    let request = json!({
        "model": "m", "max_completion_tokens": 900, "stop": "X", "user": "u", "stream": true,
        "parallel_tool_calls": false, "reasoning_effort": "low",
        "messages": [
            { "role": "developer", "content": "s" },
            { "role": "user", "content": [
                { "type": "text", "text": "look", "cache_control": { "type": "ephemeral" } },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,QQ==" } },
                { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ==" } },
            ] },
            { "role": "assistant", "content": null, "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } },
                { "id": "c2", "type": "function", "function": { "name": "g", "arguments": "" } },
            ] },
            { "role": "tool", "tool_call_id": "c1", "content": "one" },
            { "role": "tool", "tool_call_id": "c2", "content": [{ "type": "text", "text": "two" }] },
            { "role": "user", "content": "so?" },
        ],
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }],
    });
    let (body, lost) = asked(openai(), codec(), &request);
    let want = json!({
        "model": "claude", "max_tokens": 900, "system": "s", "stop_sequences": ["X"], "stream": true,
        "metadata": { "user_id": "u" }, "thinking": { "type": "adaptive" }, "output_config": { "effort": "low" },
        "tools": [{ "name": "f", "input_schema": { "type": "object" } }],
        "tool_choice": { "type": "auto", "disable_parallel_tool_use": true },
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "look", "cache_control": { "type": "ephemeral" } },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "QQ==" } },
                { "type": "document", "title": "a.pdf",
                  "source": { "type": "base64", "media_type": "application/pdf", "data": "QQ==" } },
            ] },
            { "role": "assistant", "content": [
                { "type": "tool_use", "id": "c1", "name": "f", "input": { "a": 1 } },
                { "type": "tool_use", "id": "c2", "name": "g", "input": {} },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "c1", "content": "one" },
                { "type": "tool_result", "tool_use_id": "c2", "content": "two" },
                { "type": "text", "text": "so?" },
            ] },
        ],
    });
    assert_eq!((body, lost), (want, vec![]));
}

#[test]
fn an_anthropic_conversation_with_tools_reaches_openai_whole() {
    let request = json!({
        "model": "m", "max_tokens": 900, "system": [{ "type": "text", "text": "s" }], "stop_sequences": ["X"],
        "metadata": { "user_id": "u" },
        "tools": [{ "name": "f", "input_schema": { "type": "object" } }], "tool_choice": { "type": "any" },
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "look" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "QQ==" } },
            ] },
            { "role": "assistant", "content": [{ "type": "tool_use", "id": "c1", "name": "f", "input": { "a": 1 } }] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "c1", "content": "one" },
                { "type": "text", "text": "so?" },
            ] },
        ],
    });
    let chat = codec().decode_request(&json(&request)).unwrap();
    let mut losses = Losses::default();
    let model = ModelFacts { name: "gpt".into(), ..ModelFacts::default() };
    let body: Value =
        serde_json::from_slice(&openai().encode_request(&chat, &model, &mut losses).unwrap()).unwrap();
    assert_eq!(losses, Losses::default());
    assert_eq!(body["tool_choice"], "required");
    assert_eq!(body["max_tokens"], 900);
    let roles: Vec<_> =
        body["messages"].as_array().unwrap().iter().map(|message| message["role"].clone()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "user"]);
    assert_eq!(body["messages"][3]["tool_call_id"], "c1");
    assert_eq!(body["messages"][1]["content"][1]["image_url"]["url"], "data:image/png;base64,QQ==");
}

#[test]
fn a_forced_json_tool_comes_back_as_text() {
    let schema = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let request = json!({
        "model": "m", "messages": [{ "role": "user", "content": "q" }],
        "response_format": { "type": "json_schema", "json_schema": { "name": "n", "schema": schema } },
    });
    let chat = openai().decode_request(&json(&request)).unwrap();
    let body = codec().encode_request(&chat, &ModelFacts::default(), &mut Losses::default()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["tool_choice"]["name"], "json_tool_call");
    let message = json!({
        "id": "msg_1", "type": "message", "model": "m", "stop_reason": "tool_use",
        "content": [{ "type": "tool_use", "id": "t", "name": "json_tool_call", "input": { "a": 1 } }],
    });
    let answer = codec().decode_reply(message.to_string().as_bytes()).unwrap();
    let reply: Value = serde_json::from_slice(&openai().encode_reply(&answer, &style())).unwrap();
    assert_eq!(reply["choices"][0]["message"]["content"], "{\"a\":1}");
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
}

#[test]
fn an_openai_stream_with_interleaved_calls_is_a_stream_of_this_dialect() {
    let chunk = |choices: Value| {
        (
            "",
            json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt", "choices": choices }),
        )
    };
    let delta = |delta: Value| chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null }]));
    let call = |index: u32, id: Option<&str>, arguments: &str| {
        let function = json!({ "name": id.map(|_| "f"), "arguments": arguments });
        delta(
            json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": function }] }),
        )
    };
    let (name, mut usage) = chunk(json!([]));
    usage["usage"] = json!({ "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
                             "prompt_tokens_details": { "cached_tokens": 4 } });
    let text = streamed(
        openai(),
        codec(),
        &[
            delta(json!({ "role": "assistant", "content": "" })),
            delta(json!({ "content": "Well" })),
            call(0, Some("a"), ""),
            call(1, Some("b"), "{\"y\""),
            call(0, None, "{\"x\":1}"),
            call(1, None, ":2}"),
            chunk(json!([{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }])),
            (name, usage),
        ],
    );
    let events = raw_events(&text);
    let data: Vec<Value> = events.iter().map(|event| serde_json::from_slice(event.data).unwrap()).collect();
    let arguments = |block: u64| -> String {
        let of_block = data.iter().filter(|event| event["index"] == block);
        of_block.filter_map(|event| event["delta"]["partial_json"].as_str()).collect()
    };
    assert_eq!((arguments(1).as_str(), arguments(2).as_str()), ("{\"x\":1}", "{\"y\":2}"));
    let mut open = None;
    for event in &data {
        match event["type"].as_str().unwrap() {
            "content_block_start" => assert_eq!(open.replace(event["index"].clone()), None),
            "content_block_stop" => assert_eq!(open.take(), Some(event["index"].clone())),
            "content_block_delta" => assert_eq!(open.as_ref(), Some(&event["index"])),
            _ => assert_eq!(open, None),
        }
    }
    let last = &data[data.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], "tool_use");
    assert_eq!(
        (
            &last["usage"]["input_tokens"],
            &last["usage"]["cache_read_input_tokens"],
            &last["usage"]["output_tokens"]
        ),
        (&json!(6), &json!(4), &json!(5))
    );
}

#[test]
fn an_anthropic_stream_is_a_stream_of_openais() {
    let start =
        |index: u32, block: Value| ("content_block_start", json!({ "index": index, "content_block": block }));
    let delta = |index: u32, delta: Value| ("content_block_delta", json!({ "index": index, "delta": delta }));
    let stop = |index: u32| ("content_block_stop", json!({ "index": index }));
    let usage = json!({ "input_tokens": 6, "cache_read_input_tokens": 4, "output_tokens": 1 });
    let text = streamed(
        codec(),
        openai(),
        &[
            ("message_start", json!({ "message": { "id": "msg_1", "model": "claude", "usage": usage } })),
            start(0, json!({ "type": "text", "text": "" })),
            delta(0, json!({ "type": "text_delta", "text": "Well" })),
            stop(0),
            start(1, json!({ "type": "tool_use", "id": "a", "name": "f", "input": {} })),
            delta(1, json!({ "type": "input_json_delta", "partial_json": "{\"x\":1}" })),
            stop(1),
            (
                "message_delta",
                json!({ "delta": { "stop_reason": "tool_use" }, "usage": { "output_tokens": 5 } }),
            ),
            ("message_stop", json!({ "type": "message_stop" })),
        ],
    );
    let chunks: Vec<Value> = text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert!(text.ends_with("data: [DONE]\n\n"));
    let of =
        |pointer: &str| -> String { chunks.iter().filter_map(|c| c.pointer(pointer)?.as_str()).collect() };
    assert_eq!(of("/choices/0/delta/content"), "Well");
    assert_eq!(of("/choices/0/delta/tool_calls/0/function/arguments"), "{\"x\":1}");
    assert_eq!(of("/choices/0/finish_reason"), "tool_calls");
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(10), &json!(5)));
}

#[test]
fn a_stream_whose_usage_nobody_asked_for_is_metered_all_the_same() {
    let quiet = ReplyStyle { include_usage: false, ..style() };
    let mut relay = Translate::new(codec().decoder(), openai().encoder(&quiet));
    let data = json!({ "message": { "id": "msg_1", "model": "claude", "usage": { "input_tokens": 6 } } });
    let event = RawEvent { name: "message_start", data: &data.to_string().into_bytes() };
    let peek = relay.event(event, &mut BytesMut::new()).unwrap();
    assert_eq!(peek.usage.unwrap().input, 6);
}
