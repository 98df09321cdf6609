//! Streams of an upstream, read.

use gatewright_core::chat::{Delta, Event, Extra, Finish, PartKind};
use gatewright_core::{ErrorKind, RawEvent, Result, Usage};
use serde_json::{Value, json};

use super::codec;

fn read(events: &[(&str, Value)]) -> Result<Vec<Event>> {
    let mut decoder = codec().decoder();
    let mut out = Vec::new();
    for (name, data) in events {
        decoder.event(RawEvent { name, data: data.to_string().as_bytes() }, &mut out)?;
    }
    decoder.close(&mut out)?;
    Ok(out)
}

fn start(block: Value) -> (&'static str, Value) {
    ("content_block_start", json!({ "type": "content_block_start", "index": 0, "content_block": block }))
}

fn delta(delta: Value) -> (&'static str, Value) {
    ("content_block_delta", json!({ "type": "content_block_delta", "index": 0, "delta": delta }))
}

fn stop() -> (&'static str, Value) {
    ("content_block_stop", json!({ "type": "content_block_stop", "index": 0 }))
}

fn finish(reason: &str) -> (&'static str, Value) {
    (
        "message_delta",
        json!({ "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null } }),
    )
}

fn end() -> (&'static str, Value) {
    ("message_stop", json!({ "type": "message_stop" }))
}

/// What one block, its deltas and its end become.
fn block(kind: Value, deltas: &[Value], reason: &str) -> Vec<Event> {
    let mut events = vec![start(kind)];
    events.extend(deltas.iter().cloned().map(delta));
    events.extend([stop(), finish(reason), end()]);
    read(&events).unwrap()
}

fn expected(kind: PartKind, deltas: Vec<Delta>, reason: Finish) -> Vec<Event> {
    let mut events = vec![Event::PartStart { choice: 0, index: 0, kind }];
    events.extend(deltas.into_iter().map(|delta| Event::PartDelta { choice: 0, index: 0, delta }));
    events.extend([
        Event::PartEnd { choice: 0, index: 0 },
        Event::Finish { choice: 0, reason, stop_sequence: None },
        Event::End,
    ]);
    events
}

#[test]
fn every_block_is_read_with_its_deltas() {
    let json_delta = |text: &str| json!({ "type": "input_json_delta", "partial_json": text });
    let call = || PartKind::ToolCall { id: "t".into(), name: "f".into() };
    let tool = |input: Value| json!({ "type": "tool_use", "id": "t", "name": "f", "input": input });
    let answer = json!({ "type": "tool_use", "id": "t", "name": "json_tool_call", "input": {} });
    let server = json!({ "type": "server_tool_use", "id": "s", "name": "web_search", "input": {} });
    let found = json!({ "type": "web_search_tool_result", "tool_use_id": "s", "content": [{ "text": 1 }] });
    let page = json!({ "type": "page_location" });
    for (kind, deltas, want_kind, want, reason) in [
        (
            json!({ "type": "text", "text": "", "citations": null }),
            vec![
                json!({ "type": "text_delta", "text": "a\u{1F600}" }),
                json!({ "type": "citations_delta", "citation": page }),
            ],
            PartKind::Text,
            vec![Delta::Text("a\u{1F600}".into()), Delta::Citation(page.clone())],
            "end_turn",
        ),
        (
            json!({ "type": "text", "text": "first" }),
            vec![],
            PartKind::Text,
            vec![Delta::Text("first".into())],
            "end_turn",
        ),
        (
            json!({ "type": "thinking", "thinking": "", "signature": "" }),
            vec![
                json!({ "type": "thinking_delta", "thinking": "hm" }),
                json!({ "type": "signature_delta", "signature": "s" }),
            ],
            PartKind::Reasoning,
            vec![Delta::Reasoning("hm".into()), Delta::Signature("s".into())],
            "end_turn",
        ),
        (
            json!({ "type": "redacted_thinking", "data": "z" }),
            vec![],
            PartKind::RedactedReasoning { data: "z".into() },
            vec![],
            "end_turn",
        ),
        (
            tool(json!({})),
            vec![json_delta(""), json_delta("{\"a\":"), json_delta("1}")],
            call(),
            vec![
                Delta::Arguments(String::new()),
                Delta::Arguments("{\"a\":".into()),
                Delta::Arguments("1}".into()),
            ],
            "tool_use",
        ),
        // No arguments, and all arguments at once.
        (tool(json!({})), vec![], call(), vec![Delta::Arguments("{}".into())], "tool_use"),
        (tool(json!({ "a": 1 })), vec![], call(), vec![Delta::Arguments("{\"a\":1}".into())], "tool_use"),
        (
            answer,
            vec![json_delta("{\"a\":1}")],
            PartKind::Text,
            vec![Delta::Text("{\"a\":1}".into())],
            "tool_use",
        ),
        (
            server.clone(),
            vec![json_delta("{}")],
            PartKind::Other(server),
            vec![Delta::Other(json_delta("{}"))],
            "end_turn",
        ),
        (found.clone(), vec![], PartKind::Other(found), vec![], "end_turn"),
    ] {
        let is_call = matches!(want_kind, PartKind::ToolCall { .. });
        let finish = if is_call { Finish::ToolCalls } else { Finish::Stop };
        assert_eq!(block(kind.clone(), &deltas, reason), expected(want_kind, want, finish), "{kind}");
    }
}

#[test]
fn streamed_usage_is_cumulative_and_keeps_what_only_the_start_knew() {
    let usage = json!({ "input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 5,
                        "cache_creation_input_tokens": 3,
                        "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 3 } });
    let message =
        json!({ "type": "message_start", "message": { "id": "msg_1", "model": "m", "usage": usage } });
    let later = json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null },
                        "usage": { "output_tokens": 9, "input_tokens": 0, "cache_creation_input_tokens": 4,
                                   "server_tool_use": { "web_search_requests": 1 } } });
    let first = Usage { input: 10, output: 1, cache_read: 5, cache_write_1h: 3, ..Usage::default() };
    assert_eq!(
        read(&[("message_start", message), ("message_delta", later), end()]).unwrap(),
        [
            Event::Start { id: "msg_1".into(), model: "m".into(), created: 0, extra: Extra::new() },
            Event::Usage(first),
            Event::Usage(Usage { output: 9, cache_write_5m: 1, web_searches: 1, ..first }),
            Event::Finish { choice: 0, reason: Finish::Stop, stop_sequence: None },
            Event::End,
        ]
    );
}

#[test]
fn pings_and_events_of_tomorrow_do_no_harm() {
    let events = [
        ("ping", json!({ "type": "ping" })),
        ("of_tomorrow", json!({ "type": "of_tomorrow" })),
        delta(json!({ "type": "text_delta", "text": "to nobody" })),
        finish("end_turn"),
        end(),
        ("ping", json!({ "type": "ping" })),
    ];
    let finish = Event::Finish { choice: 0, reason: Finish::Stop, stop_sequence: None };
    assert_eq!(read(&events).unwrap(), [Event::Ping, finish, Event::End]);
}

#[test]
fn a_stream_without_event_names_is_read_by_its_types() {
    let events = [start(json!({ "type": "text", "text": "" })), stop(), finish("max_tokens"), end()];
    let nameless: Vec<_> = events.into_iter().map(|(_, data)| ("", data)).collect();
    assert_eq!(read(&nameless).unwrap(), expected(PartKind::Text, vec![], Finish::Length));
}

#[test]
fn a_stream_that_stops_short_fails_unless_the_reason_to_stop_was_there() {
    let open = start(json!({ "type": "text", "text": "" }));
    assert_eq!(read(std::slice::from_ref(&open)).unwrap_err().kind(), ErrorKind::Connection);
    assert_eq!(read(&[]).unwrap_err().kind(), ErrorKind::Connection);
    // The block that was left open is whole with the reason to stop.
    let whole = read(&[open.clone(), finish("end_turn")]).unwrap();
    assert_eq!(whole, expected(PartKind::Text, vec![], Finish::Stop));
    // And one that began after it, with the end.
    let late = read(&[finish("end_turn"), open, end()]).unwrap();
    assert_eq!(late[late.len() - 2..], [Event::PartEnd { choice: 0, index: 0 }, Event::End]);
}

#[test]
fn a_refusal_in_a_stream_has_its_words() {
    let details = json!({ "type": "refusal", "explanation": "I will not." });
    let last = json!({ "type": "message_delta",
                       "delta": { "stop_reason": "refusal", "stop_sequence": null, "stop_details": details } });
    let want = expected(PartKind::Refusal, vec![Delta::Text("I will not.".into())], Finish::Refusal);
    assert_eq!(read(&[("message_delta", last), end()]).unwrap(), want);
}

#[test]
fn an_error_event_is_an_error_of_its_kind() {
    for (kind, want) in [
        ("overloaded_error", ErrorKind::Unavailable),
        ("rate_limit_error", ErrorKind::RateLimited),
        ("api_error", ErrorKind::Upstream),
        ("invalid_request_error", ErrorKind::InvalidRequest),
        ("of_tomorrow", ErrorKind::Upstream),
    ] {
        let data = json!({ "type": "error", "error": { "type": kind, "message": "why" } });
        let err = read(&[("error", data)]).unwrap_err();
        assert_eq!((err.kind(), err.message(), err.wire_type()), (want, "why", Some(kind)));
    }
    let err = read(&[("content_block_start", json!({ "index": 0 }))]).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::BadGateway);
}
