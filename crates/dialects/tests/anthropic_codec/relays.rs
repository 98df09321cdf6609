//! Answers that stay in the dialect.

use bytes::{Bytes, BytesMut};
use gatewright_core::{ErrorKind, RawEvent, Usage};

use super::{codec, json, raw_events, style};

const STREAM: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1","model":"claude","x":1.50,"#,
    r#""usage":{"input_tokens":3,"cache_read_input_tokens":2,"output_tokens":1}}   }"#,
    "\n\n",
    "event: content_block_start\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}  }"#,
    "\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}      }"#,
    "\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0 }\n\n",
    "event: message_delta\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#,
    "\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

#[test]
fn a_stream_keeps_every_byte_but_the_models_name() {
    let mut relay = codec().relay(&style());
    let mut out = BytesMut::new();
    let mut peeks = Vec::new();
    for event in raw_events(STREAM) {
        peeks.push(relay.event(event, &mut out).unwrap());
    }
    assert!(relay.close(&mut out).unwrap().last);
    assert_eq!(String::from_utf8_lossy(&out), STREAM.replace("claude", "alias"));
    let usage = Usage { input: 3, cache_read: 2, output: 1, ..Usage::default() };
    assert_eq!(peeks[0].usage, Some(usage));
    assert_eq!(peeks[5].usage, Some(Usage { output: 9, ..usage }));
    assert_eq!(peeks.iter().map(|peek| peek.content).collect::<Vec<_>>(), [0, 0, 0, 5, 0, 0, 0]);
    assert_eq!(
        peeks.iter().map(|peek| peek.last).collect::<Vec<_>>(),
        [false, false, false, false, false, false, true]
    );
}

#[test]
fn only_output_counts_as_content() {
    for (name, data, content) in [
        (
            "content_block_delta",
            r#"{"delta":{"partial_json":"{\"a\"","type":"input_json_delta"},"index":0}"#,
            6,
        ),
        ("content_block_delta", r#"{"delta":{"type":"thinking_delta","thinking":"hm"}}"#, 2),
        ("content_block_delta", r#"{"delta":{"type":"signature_delta","signature":"long"}}"#, 1),
        ("content_block_start", r#"{"content_block":{"type":"thinking","thinking":""}}"#, 0),
        ("content_block_start", r#"{"content_block":{"type":"tool_use","name":"f"}}"#, 1),
        ("content_block_stop", "{}", 0),
        ("of_tomorrow", "{}", 0),
    ] {
        let mut out = BytesMut::new();
        let event = RawEvent { name, data: data.as_bytes() };
        let peek = codec().relay(&style()).event(event, &mut out).unwrap();
        assert_eq!(peek.content, content, "{data}");
        assert_eq!(out, format!("event: {name}\ndata: {data}\n\n"));
    }
}

#[test]
fn what_is_no_json_is_no_event() {
    for name in ["content_block_delta", "content_block_start", "content_block_stop", "of_tomorrow", ""] {
        for data in ["not json", "{\"delta\":{\"text\":\"a", "<html>"] {
            let mut out = BytesMut::new();
            let event = RawEvent { name, data: data.as_bytes() };
            let told = codec().relay(&style()).event(event, &mut out);
            assert!(told.is_err() && out.is_empty(), "{name} {data}");
        }
    }
    let mut out = BytesMut::new();
    let done = RawEvent { name: "", data: b"[DONE]" };
    codec().relay(&style()).event(done, &mut out).unwrap();
    assert!(out.is_empty(), "another dialect's end is nothing here");
}

#[test]
fn names_that_the_upstream_left_out_are_given() {
    let mut out = BytesMut::new();
    let event = RawEvent { name: "", data: br#"{"index":0,"type":"content_block_stop"}"# };
    codec().relay(&style()).event(event, &mut out).unwrap();
    assert_eq!(out, "event: content_block_stop\ndata: {\"index\":0,\"type\":\"content_block_stop\"}\n\n");
}

#[test]
fn data_of_several_lines_stays_so() {
    let mut out = BytesMut::new();
    codec().relay(&style()).event(RawEvent { name: "ping", data: b"{\n}" }, &mut out).unwrap();
    assert_eq!(out, "event: ping\ndata: {\ndata: }\n\n");
}

#[test]
fn a_stream_that_breaks_off_fails_unless_the_reason_to_stop_was_there() {
    let events = raw_events(STREAM);
    for seen in 0..events.len() {
        let mut relay = codec().relay(&style());
        let mut out = BytesMut::new();
        for event in &events[..seen] {
            relay.event(*event, &mut out).unwrap();
        }
        out.clear();
        let closed = relay.close(&mut out);
        if seen < 6 {
            assert_eq!(closed.unwrap_err().kind(), ErrorKind::Connection, "after {seen} events");
        } else {
            assert!(closed.unwrap().last);
            assert_eq!(out, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        }
    }
}

#[test]
fn what_comes_behind_the_end_is_neither_passed_on_nor_billed() {
    let events = raw_events(STREAM);
    let mut relay = codec().relay(&style());
    let mut out = BytesMut::new();
    let last = events.iter().map(|event| relay.event(*event, &mut out).unwrap()).last();
    assert!(last.is_some_and(|peek| peek.last));
    out.clear();
    for event in events {
        let peek = relay.event(event, &mut out).unwrap();
        assert_eq!((peek.usage, peek.content, peek.last), (None, 0, false));
    }
    assert!(out.is_empty() && relay.close(&mut out).unwrap().last);
}

#[test]
fn an_error_event_ends_the_relay() {
    let data = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let mut out = BytesMut::new();
    let err = codec().relay(&style()).event(RawEvent { name: "error", data }, &mut out).unwrap_err();
    assert_eq!((err.kind(), err.message()), (ErrorKind::Unavailable, "Overloaded"));
    assert!(out.is_empty());
}

#[test]
fn a_whole_answer_keeps_every_byte_but_the_models_name() {
    let body = r#"{"id":"msg_1", "type":"message","model":"claude","content":[{"type":"text","text":"\u0041"}],"x":1.50,"usage":{"input_tokens":3,"output_tokens":4}}"#;
    let frame = codec().relay_reply(Bytes::from_static(body.as_bytes()), &style()).unwrap();
    assert_eq!(frame.data, body.replace("claude", "alias"));
    assert_eq!(frame.usage, Some(Usage { input: 3, output: 4, ..Usage::default() }));
    assert!(frame.last && frame.content > 0);
    for (body, kind) in [
        ("<html>", ErrorKind::BadGateway),
        (r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#, ErrorKind::RateLimited),
    ] {
        assert_eq!(codec().relay_reply(Bytes::from(body), &style()).unwrap_err().kind(), kind);
    }
}

#[test]
fn a_request_is_readdressed_and_nothing_else() {
    let mut body = json(&serde_json::json!({ "model": "alias", "of_tomorrow": 1, "messages": [] }));
    codec().readdress(&mut body, "claude");
    assert_eq!(body.to_bytes(), r#"{"model":"claude","of_tomorrow":1,"messages":[]}"#);
}
