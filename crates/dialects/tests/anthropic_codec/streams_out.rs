//! Streams for a client, written.

use bytes::BytesMut;
use gatewright_core::Usage;
use gatewright_core::chat::{Delta, Event, Extra, Finish, PartKind};
use serde_json::{Value, json};

use super::{codec, raw_events, style};

fn written(events: &[Event]) -> Vec<Value> {
    let mut encoder = codec().encoder(&style());
    let mut out = BytesMut::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    let text = String::from_utf8(out.to_vec()).unwrap();
    let parse = |event: gatewright_core::RawEvent<'_>| {
        let data: Value = serde_json::from_slice(event.data).unwrap();
        assert_eq!(data["type"], event.name);
        data
    };
    raw_events(&text).into_iter().map(parse).collect()
}

/// One word for each event: enough to see the order.
fn outline(events: &[Event]) -> String {
    let word = |event: &Value| match event["type"].as_str().unwrap() {
        "content_block_start" => {
            format!("{}:{}", event["index"], event["content_block"]["type"].as_str().unwrap())
        }
        "content_block_delta" => {
            let delta = event["delta"].as_object().unwrap();
            format!("+{}", delta.values().nth(1).unwrap().as_str().unwrap())
        }
        "content_block_stop" => format!("/{}", event["index"]),
        "message_delta" => event["delta"]["stop_reason"].as_str().unwrap().to_owned(),
        other => other.to_owned(),
    };
    written(events).iter().map(word).collect::<Vec<_>>().join(" ")
}

fn begin() -> Event {
    Event::Start { id: "chatcmpl-1".into(), model: "gpt".into(), created: 5, extra: Extra::new() }
}

fn start(index: u32, kind: PartKind) -> Event {
    Event::PartStart { choice: 0, index, kind }
}

fn call(index: u32) -> Event {
    start(index, PartKind::ToolCall { id: format!("t{index}"), name: "f".into() })
}

fn text(index: u32, text: &str) -> Event {
    Event::PartDelta { choice: 0, index, delta: Delta::Text(text.into()) }
}

fn args(index: u32, text: &str) -> Event {
    Event::PartDelta { choice: 0, index, delta: Delta::Arguments(text.into()) }
}

fn stop(index: u32) -> Event {
    Event::PartEnd { choice: 0, index }
}

fn finish(reason: Finish) -> Event {
    Event::Finish { choice: 0, reason, stop_sequence: None }
}

#[test]
fn a_plain_answer_has_every_event_of_the_dialect() {
    let usage = Usage { input: 10, output: 2, cache_read: 4, cache_in_input: true, ..Usage::default() };
    // The usage comes after the reason to stop, as OpenAI sends it.
    let events = [
        begin(),
        start(0, PartKind::Text),
        text(0, "hi"),
        stop(0),
        finish(Finish::Stop),
        Event::Usage(usage),
        Event::End,
    ];
    let counts = |input: u64, read: u64, output: u64| {
        json!({ "input_tokens": input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": read,
                "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0 },
                "output_tokens": output, "service_tier": "standard" })
    };
    assert_eq!(
        written(&events),
        [
            json!({ "type": "message_start", "message": {
                "id": "msg_1", "type": "message", "role": "assistant", "model": "alias", "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": counts(0, 0, 0),
            } }),
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "hi" } }),
            json!({ "type": "content_block_stop", "index": 0 }),
            json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null },
                    "usage": counts(6, 4, 2) }),
            json!({ "type": "message_stop" }),
        ]
    );
}

#[test]
fn every_kind_of_part_opens_its_block() {
    let delta = |delta| Event::PartDelta { choice: 0, index: 0, delta };
    let found = json!({ "type": "web_search_tool_result", "content": [] });
    for (kind, event, block, want) in [
        (
            PartKind::Reasoning,
            delta(Delta::Reasoning("hm".into())),
            json!({ "type": "thinking", "thinking": "", "signature": "" }),
            json!({ "type": "thinking_delta", "thinking": "hm" }),
        ),
        (
            PartKind::Reasoning,
            delta(Delta::Signature("s".into())),
            json!({ "type": "thinking", "thinking": "", "signature": "" }),
            json!({ "type": "signature_delta", "signature": "s" }),
        ),
        (
            PartKind::ToolCall { id: "t".into(), name: "f".into() },
            args(0, "{}"),
            json!({ "type": "tool_use", "id": "t", "name": "f", "input": {} }),
            json!({ "type": "input_json_delta", "partial_json": "{}" }),
        ),
        (
            PartKind::Refusal,
            text(0, "no"),
            json!({ "type": "text", "text": "" }),
            json!({ "type": "text_delta", "text": "no" }),
        ),
        (
            PartKind::Text,
            delta(Delta::Citation(json!({ "type": "page_location" }))),
            json!({ "type": "text", "text": "" }),
            json!({ "type": "citations_delta", "citation": { "type": "page_location" } }),
        ),
        (
            PartKind::Other(found.clone()),
            delta(Delta::Other(json!({ "type": "x" }))),
            found,
            json!({ "type": "x" }),
        ),
    ] {
        let events =
            written(&[begin(), start(0, kind.clone()), event, stop(0), finish(Finish::Stop), Event::End]);
        assert_eq!(events[1]["content_block"], block, "{kind:?}");
        assert_eq!(events[2]["delta"], want, "{kind:?}");
        let reason = if kind == PartKind::Refusal { "refusal" } else { "end_turn" };
        assert_eq!(events[4]["delta"]["stop_reason"], reason, "{kind:?}");
    }
}

#[test]
fn blocks_come_one_after_the_other_whatever_came_side_by_side() {
    let redacted = || start(0, PartKind::RedactedReasoning { data: "z".into() });
    let end = "tool_use message_stop";
    for (events, want) in [
        // Two calls, interleaved.
        (
            vec![call(0), call(1), args(0, "a"), args(1, "x"), args(0, "b"), args(1, "y"), stop(0), stop(1)],
            "0:tool_use +a +b /0 1:tool_use +x +y /1",
        ),
        // The second one ends first.
        (
            vec![call(0), args(0, "a"), call(1), args(1, "x"), stop(1), args(0, "b"), stop(0)],
            "0:tool_use +a +b /0 1:tool_use +x /1",
        ),
        // Three, and nobody says where they end.
        (
            vec![call(0), call(1), call(2), args(2, "z"), args(1, "x"), args(0, "a")],
            "0:tool_use +a /0 1:tool_use +x /1 2:tool_use +z /2",
        ),
        // Text that is still open gives way to a call, and comes back in a new block.
        (
            vec![
                start(0, PartKind::Text),
                text(0, "a"),
                call(1),
                args(1, "x"),
                text(0, "b"),
                stop(1),
                text(0, "c"),
            ],
            "0:text +a /0 1:tool_use +x /1 2:text +b +c /2",
        ),
        // Reasoning and text without ends.
        (
            vec![
                start(0, PartKind::Reasoning),
                Event::PartDelta { choice: 0, index: 0, delta: Delta::Reasoning("r".into()) },
                start(1, PartKind::Text),
                text(1, "t"),
            ],
            "0:thinking +r /0 1:text +t /1",
        ),
        // Text that stays empty has no block.
        (vec![start(0, PartKind::Text), call(1), args(1, "x"), stop(1), stop(0)], "0:tool_use +x /0"),
        // A call without arguments, and a part that is whole at once.
        (vec![call(0), stop(0)], "0:tool_use /0"),
        (vec![redacted(), stop(0), call(1), stop(1)], "0:redacted_thinking /0 1:tool_use /1"),
        // What no client of this dialect knows, and a second choice.
        (vec![start(0, PartKind::Other(json!({ "type": "strange" }))), stop(0)], ""),
        (vec![Event::PartStart { choice: 1, index: 0, kind: PartKind::Text }], ""),
    ] {
        let mut all = vec![begin()];
        all.extend(events.clone());
        all.extend([finish(Finish::ToolCalls), Event::End]);
        let want =
            ["message_start", want, end].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ");
        assert_eq!(outline(&all), want, "{events:?}");
    }
}

#[test]
fn pings_pass_and_nothing_follows_the_end() {
    let events = [begin(), Event::Ping, finish(Finish::Length), Event::End, Event::Ping, Event::End];
    assert_eq!(outline(&events), "message_start ping max_tokens message_stop");
}

#[test]
fn the_stop_text_is_told() {
    let last = Event::Finish { choice: 0, reason: Finish::StopSequence, stop_sequence: Some("X".into()) };
    let events = written(&[begin(), last, Event::End]);
    assert_eq!(events[1]["delta"], json!({ "stop_reason": "stop_sequence", "stop_sequence": "X" }));
}
