//! What holds for every request and every stream.

use bytes::{Bytes, BytesMut};
use gatewright_core::chat::Event;
use gatewright_core::{Encode, Framing, RawEvent, ReasoningControl, Result, Usage};
use gatewright_dialects::Splitter;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{codec, decode, encode, facts, style};

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9\u{e9}\u{1F600}\"\\\\]{1,8}"
}

/// A block, and perhaps a cache point behind it.
fn marked(block: Value) -> impl Strategy<Value = Vec<Value>> {
    let points = [None, Some(json!({ "type": "default" })), Some(json!({ "type": "default", "ttl": "1h" }))];
    select(points.to_vec()).prop_map(move |point| {
        let point = point.map(|point| json!({ "cachePoint": point }));
        [Some(block.clone()), point].into_iter().flatten().collect()
    })
}

fn text() -> impl Strategy<Value = Vec<Value>> {
    word().prop_flat_map(|text| marked(json!({ "text": text })))
}

fn media() -> impl Strategy<Value = Vec<Value>> {
    let blocks = [
        json!({ "image": { "format": "png", "source": { "bytes": "QQ==" } } }),
        json!({ "image": { "format": "jpeg", "source": { "s3Location": { "uri": "s3://b/k.jpg", "bucketOwner": "1" } } } }),
        json!({ "document": { "format": "pdf", "name": "Report", "source": { "bytes": "QQ==" },
                              "context": "c", "citations": { "enabled": true } } }),
        json!({ "document": { "format": "txt", "name": "Notes", "source": { "text": "words" } } }),
        json!({ "document": { "format": "docx", "name": "D", "source": { "s3Location": { "uri": "s3://b/k.docx" } } } }),
        json!({ "video": { "format": "three_gp", "source": { "bytes": "QQ==" } } }),
        json!({ "audio": { "format": "wav", "source": { "bytes": "QQ==" } } }),
    ];
    select(blocks.to_vec()).prop_flat_map(marked)
}

fn result() -> impl Strategy<Value = Vec<Value>> {
    let inside = prop_oneof![
        word().prop_map(|text| json!({ "text": text })),
        Just(json!({ "json": { "a": [1, 2.5] } })),
        Just(json!({ "image": { "format": "gif", "source": { "bytes": "QQ==" } } })),
    ];
    (prop::collection::vec(inside, 0..3), any::<bool>()).prop_flat_map(|(content, failed)| {
        let status = if failed { "error" } else { "success" };
        marked(json!({ "toolResult": { "toolUseId": "t_1", "content": content, "status": status } }))
    })
}

fn said() -> impl Strategy<Value = Vec<Value>> {
    prop_oneof![
        text(),
        word().prop_map(|text| {
            vec![json!({ "reasoningContent": { "reasoningText": { "text": text, "signature": "s" } } })]
        }),
        Just(vec![json!({ "reasoningContent": { "redactedContent": "eg==" } })]),
        word().prop_flat_map(|text| {
            marked(json!({ "toolUse": { "toolUseId": "t_1", "name": "f", "input": { "a": text } } }))
        }),
    ]
}

/// Blocks, each with its cache point.
type Blocks = Vec<Vec<Value>>;

fn messages() -> impl Strategy<Value = Value> {
    let asked =
        (prop::collection::vec(result(), 0..2), prop::collection::vec(prop_oneof![text(), media()], 1..3));
    let pair = (asked, prop::collection::vec(said(), 1..4));
    prop::collection::vec(pair, 1..3).prop_map(|pairs| {
        let speak = |((results, asked), said): ((Blocks, Blocks), Blocks)| {
            let asked: Vec<Value> = results.into_iter().chain(asked).flatten().collect();
            let said: Vec<Value> = said.into_iter().flatten().collect();
            [json!({ "role": "user", "content": asked }), json!({ "role": "assistant", "content": said })]
        };
        pairs.into_iter().flat_map(speak).collect()
    })
}

fn settings() -> impl Strategy<Value = Value> {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"],
                         "additionalProperties": false });
    let tool = json!({ "toolSpec": { "name": "f", "description": "d", "inputSchema": { "json": schema } } });
    let strict = json!({ "toolSpec": { "name": "f", "inputSchema": { "json": schema }, "strict": true } });
    let format = json!({ "name": "n", "description": "d", "schema": schema.to_string() });
    let settings = [
        json!({ "system": [{ "text": "a" }, { "cachePoint": { "type": "default" } }, { "text": "b" }] }),
        json!({ "inferenceConfig": { "maxTokens": 99, "temperature": 0.5, "topP": 0.96, "stopSequences": ["x"] } }),
        json!({ "additionalModelRequestFields": { "top_k": 3, "other": { "x": 1 } } }),
        json!({ "additionalModelRequestFields": { "thinking": { "type": "adaptive" } }, "outputConfig": { "effort": "max" } }),
        json!({ "additionalModelRequestFields": { "thinking": { "type": "disabled" } } }),
        json!({ "outputConfig": { "textFormat": { "type": "json_schema", "structure": { "jsonSchema": format } } } }),
        json!({ "guardrailConfig": { "guardrailIdentifier": "g", "guardrailVersion": "1" },
                "performanceConfig": { "latency": "optimized" }, "serviceTier": { "type": "flex" },
                "requestMetadata": { "a": "b" } }),
        json!({ "toolConfig": { "tools": [tool, { "cachePoint": { "type": "default" } }],
                                "toolChoice": { "tool": { "name": "f" } } } }),
        json!({ "toolConfig": { "tools": [strict, { "systemTool": { "name": "nova_grounding" } }],
                                "toolChoice": { "any": {} } } }),
        json!({ "toolConfig": { "tools": [tool], "toolChoice": { "auto": {} } },
                "additionalModelRequestFields": { "tool_choice": { "type": "auto", "disable_parallel_tool_use": true } } }),
    ];
    select(settings.to_vec())
}

/// A stream with anything in it that one may hold, as a client of this dialect gets it.
fn stream() -> Vec<u8> {
    use gatewright_core::chat::{Delta, Finish, PartKind};
    let part = |index, kind| Event::PartStart { choice: 0, index, kind };
    let delta = |index, delta| Event::PartDelta { choice: 0, index, delta };
    let end = |index| Event::PartEnd { choice: 0, index };
    let (id, name) = ("t".to_owned(), "f".to_owned());
    let mut encoder: Box<dyn Encode> = codec().encoder(&style());
    let mut out = BytesMut::new();
    for event in [
        part(0, PartKind::Reasoning),
        delta(0, Delta::Reasoning("hm \u{1F600}".into())),
        delta(0, Delta::Signature("s".into())),
        end(0),
        part(1, PartKind::RedactedReasoning { data: "eg==".into() }),
        end(1),
        part(2, PartKind::Text),
        delta(2, Delta::Text("\u{e9}".into())),
        end(2),
        part(3, PartKind::ToolCall { id, name }),
        delta(3, Delta::Arguments(r#"{"a":1}"#.into())),
        end(3),
        Event::Finish { choice: 0, reason: Finish::ToolCalls, stop_sequence: None },
        Event::Usage(Usage { input: 3, output: 4, cache_read: 5, cache_write_1h: 6, ..Usage::default() }),
        Event::End,
    ] {
        encoder.event(&event, &mut out);
    }
    out.to_vec()
}

fn chunked(stream: &[u8], cuts: &[usize], each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) {
    let mut splitter = Splitter::new(Framing::AwsEvents, 1 << 20);
    let mut from = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        let cut = cut.clamp(from, stream.len());
        splitter.feed(&stream[from..cut], each).unwrap();
        from = cut;
    }
    splitter.close(each).unwrap();
}

fn decoded(stream: &[u8], cuts: &[usize]) -> (Vec<Event>, Result<()>) {
    let mut decoder = codec().decoder();
    let mut events = Vec::new();
    chunked(stream, cuts, &mut |event| decoder.event(event, &mut events));
    let closed = decoder.close(&mut events);
    (events, closed)
}

fn relayed(stream: &[u8], cuts: &[usize]) -> (BytesMut, Result<()>) {
    let mut relay = codec().relay(&style());
    let mut out = BytesMut::new();
    chunked(stream, cuts, &mut |event| relay.event(event, &mut out).map(drop));
    let closed = relay.close(&mut out).map(drop);
    (out, closed)
}

proptest! {
    #[test]
    fn what_is_read_written_and_read_again_is_the_same(messages in messages(), settings in settings()) {
        let mut request = json!({ "messages": messages });
        request.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let once = decode(&request).unwrap();
        let (body, lost) = encode(&once, &facts("anthropic.claude", ReasoningControl::Adaptive));
        prop_assert!(lost.is_empty(), "{lost:?}");
        let mut again = decode(&body).unwrap();
        // The API takes calls in the history beside tools only, so that their tools come with them.
        if once.tools.is_empty() {
            again.tools.clear();
        }
        // What a model that thinks is asked besides is no wish of the client's.
        if once.reasoning.is_some() && !once.extra.contains_key("additionalModelResponseFieldPaths") {
            again.extra.shift_remove("additionalModelResponseFieldPaths");
        }
        prop_assert_eq!(again, once);
    }

    #[test]
    fn the_cuts_between_chunks_change_nothing(mut cuts in prop::collection::vec(0..2000_usize, 0..40)) {
        cuts.sort_unstable();
        let stream = stream();
        let (events, closed) = decoded(&stream, &cuts);
        prop_assert!(closed.is_ok() && events.last() == Some(&Event::End));
        prop_assert_eq!(events, decoded(&stream, &[]).0);
        prop_assert_eq!(&relayed(&stream, &cuts).0[..], &stream[..]);
    }

    #[test]
    fn a_stream_that_breaks_off_ends_or_fails(at in 0..2000_usize) {
        let stream = stream();
        let part = &stream[..at.min(stream.len())];
        let (events, closed) = decoded(part, &[]);
        prop_assert_eq!(closed.is_ok(), events.last() == Some(&Event::End));
        prop_assert_eq!(relayed(part, &[]).1.is_ok(), closed.is_ok());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), name in select(vec![
        "", "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
        "throttlingException", "chunk",
    ])) {
        let event = RawEvent { name, data: &bytes };
        for codec in [codec(), gatewright_dialects::claude_on_bedrock()] {
            let _ = codec.decoder().event(event, &mut Vec::new());
            let _ = codec.relay(&style()).event(event, &mut BytesMut::new());
            let _ = codec.decode_reply(&bytes);
            let _ = codec.relay_reply(Bytes::from(bytes.clone()), &style());
            let _ = codec.decode_error(http::StatusCode::BAD_REQUEST, &bytes);
            let _ = codec.facts(&bytes);
        }
        let _ = Splitter::new(Framing::AwsEvents, 100).feed(&bytes, &mut |_| Ok(()));
    }
}
