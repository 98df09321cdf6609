//! Whole answers, read from an upstream and written for a client.

use gatewright_core::chat::{Answer, Choice, Extra, Finish, Part, ToolCall};
use gatewright_core::{ErrorKind, Usage};
use serde_json::{Value, json};

use super::{codec, style};

fn message(fields: Value) -> Vec<u8> {
    let mut message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": { "input_tokens": 1, "output_tokens": 2 },
    });
    message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    message.to_string().into_bytes()
}

fn read(fields: Value) -> Answer {
    codec().decode_reply(&message(fields)).unwrap()
}

fn call(name: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall { id: "t".into(), name: name.into(), arguments: arguments.into(), cache: None })
}

fn choice(parts: Vec<Part>, finish: Finish) -> Choice {
    Choice { index: 0, parts, finish, stop_sequence: None, logprobs: None, extra: Extra::new() }
}

fn written(parts: Vec<Part>, finish: Finish, usage: Usage) -> Value {
    let choices = vec![choice(parts, finish)];
    let answer = Answer { id: "chatcmpl-1".into(), choices, usage: Some(usage), ..Answer::default() };
    serde_json::from_slice(&codec().encode_reply(&answer, &style())).unwrap()
}

#[test]
fn every_reason_to_stop_is_read_and_written() {
    for (wire, finish) in [
        ("end_turn", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("stop_sequence", Finish::StopSequence),
        ("tool_use", Finish::ToolCalls),
        ("pause_turn", Finish::Pause),
        ("refusal", Finish::Refusal),
        ("model_context_window_exceeded", Finish::ContextWindow),
    ] {
        let answer = read(json!({ "stop_reason": wire, "stop_sequence": "X" }));
        assert_eq!(answer.choices[0].finish, finish, "{wire}");
        assert_eq!(answer.choices[0].stop_sequence.as_deref(), Some("X"));
        assert_eq!(written(vec![], finish, Usage::default())["stop_reason"], wire);
    }
    assert_eq!(read(json!({ "stop_reason": "of_tomorrow" })).choices[0].finish, Finish::Stop);
    assert_eq!(written(vec![], Finish::FunctionCall, Usage::default())["stop_reason"], "tool_use");
    assert_eq!(written(vec![], Finish::ContentFilter, Usage::default())["stop_reason"], "refusal");
}

#[test]
fn content_is_read_and_written_in_order() {
    let content = json!([
        { "type": "thinking", "thinking": "hm", "signature": "s" },
        { "type": "redacted_thinking", "data": "z" },
        { "type": "text", "text": "so", "citations": [{ "type": "page_location", "document_index": 0 }] },
        { "type": "server_tool_use", "id": "s", "name": "web_search", "input": { "query": "q" } },
        { "type": "web_search_tool_result", "tool_use_id": "s", "content": [] },
        { "type": "tool_use", "id": "t", "name": "f", "input": { "a": 1 } },
    ]);
    let answer = read(json!({ "content": content, "stop_reason": "tool_use" }));
    assert_eq!((answer.id.as_str(), answer.model.as_str()), ("msg_1", "claude"));
    let back: Value = serde_json::from_slice(&codec().encode_reply(&answer, &style())).unwrap();
    assert_eq!(back["content"], content);
    assert_eq!(back["id"], "msg_1");
}

#[test]
fn the_json_tool_is_read_as_the_answers_text() {
    let tool = json!({ "type": "tool_use", "id": "t", "name": "json_tool_call", "input": { "a": 1 } });
    let chatter = json!({ "type": "text", "text": "Here it is:" });
    let other = json!({ "type": "tool_use", "id": "t", "name": "f", "input": {} });
    for (content, parts, finish) in [
        (json!([tool]), vec![Part::text(r#"{"a":1}"#)], Finish::Stop),
        (json!([chatter, tool]), vec![Part::text(r#"{"a":1}"#)], Finish::Stop),
        (json!([other, tool]), vec![call("f", "{}"), Part::text(r#"{"a":1}"#)], Finish::ToolCalls),
        (json!([other]), vec![call("f", "{}")], Finish::ToolCalls),
    ] {
        let answer = read(json!({ "content": content, "stop_reason": "tool_use" }));
        assert_eq!(answer.choices, [choice(parts, finish)], "{content}");
    }
}

#[test]
fn usage_counts_the_cache_beside_the_input() {
    for (wire, want) in [
        (
            json!({ "input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100,
                    "cache_creation_input_tokens": 30, "service_tier": "standard",
                    "cache_creation": { "ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20 },
                    "output_tokens_details": { "thinking_tokens": 3 },
                    "server_tool_use": { "web_search_requests": 2, "web_fetch_requests": 1 } }),
            Usage {
                input: 10,
                output: 5,
                cache_read: 100,
                cache_write_5m: 10,
                cache_write_1h: 20,
                reasoning: 3,
                web_searches: 2,
                ..Usage::default()
            },
        ),
        // Without a split, all was written for the default time.
        (
            json!({ "input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 7, "cache_creation": null }),
            Usage { input: 1, output: 1, cache_write_5m: 7, ..Usage::default() },
        ),
    ] {
        let answer = read(json!({ "usage": wire }));
        assert_eq!(answer.usage, Some(want), "{wire}");
    }
    assert_eq!(
        read(json!({ "usage": { "service_tier": "standard" } })).service_tier.as_deref(),
        Some("default")
    );
}

#[test]
fn an_openai_count_is_written_without_the_cached_input() {
    let usage = Usage {
        input: 100,
        output: 7,
        cache_read: 60,
        cache_write_5m: 10,
        cache_in_input: true,
        ..Usage::default()
    };
    let body = written(vec![Part::text("hi")], Finish::Stop, usage);
    assert_eq!(
        body,
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "alias",
            "content": [{ "type": "text", "text": "hi" }], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {
                "input_tokens": 30, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 60,
                "cache_creation": { "ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0 },
                "output_tokens": 7, "service_tier": "standard",
            },
        })
    );
}

#[test]
fn odd_parts_are_written_honestly() {
    for (part, want, stop) in [
        (Part::text(""), json!([]), "end_turn"),
        (call("f", ""), json!([{ "type": "tool_use", "id": "t", "name": "f", "input": {} }]), "end_turn"),
        (
            call("f", "{\"a\":"),
            json!([{ "type": "tool_use", "id": "t", "name": "f", "input": { "invalid_arguments": "{\"a\":" } }]),
            "end_turn",
        ),
        (
            call("f", "[1]"),
            json!([{ "type": "tool_use", "id": "t", "name": "f", "input": { "invalid_arguments": "[1]" } }]),
            "end_turn",
        ),
        (Part::Refusal("no".into()), json!([{ "type": "text", "text": "no" }]), "refusal"),
        (
            Part::Reasoning { text: "hm".into(), signature: None },
            json!([{ "type": "thinking", "thinking": "hm", "signature": "" }]),
            "end_turn",
        ),
        (Part::Other(json!({ "type": "strange" })), json!([]), "end_turn"),
    ] {
        let body = written(vec![part.clone()], Finish::Stop, Usage::default());
        assert_eq!((&body["content"], &body["stop_reason"]), (&want, &json!(stop)), "{part:?}");
    }
}

#[test]
fn a_refusal_is_read_with_its_words() {
    let details = json!({ "type": "refusal", "category": "bio", "explanation": "I will not." });
    let answer = read(json!({ "stop_reason": "refusal", "stop_details": details }));
    assert_eq!(answer.choices, [choice(vec![Part::Refusal("I will not.".into())], Finish::Refusal)]);
    assert_eq!(answer.extra["stop_details"], details);
    // A client that finds the words in the details does not find them in the content too.
    let body: Value = serde_json::from_slice(&codec().encode_reply(&answer, &style())).unwrap();
    assert_eq!((&body["content"], &body["stop_details"]), (&json!([]), &details));
}

#[test]
fn what_is_no_message_is_an_error() {
    for (body, kind) in [
        (&b"<html>"[..], ErrorKind::BadGateway),
        (b"{}", ErrorKind::BadGateway),
        (br#"{"type":"completion"}"#, ErrorKind::BadGateway),
        (br#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#, ErrorKind::Unavailable),
    ] {
        assert_eq!(codec().decode_reply(body).unwrap_err().kind(), kind);
    }
    // A log line never quotes an answer.
    let secret = message(json!({ "content": "my secret" }));
    assert!(!codec().decode_reply(&secret).unwrap_err().to_string().contains("secret"));
    let secret = message(json!({ "content": [{ "type": "text", "text": ["my secret"] }] }));
    if let Err(err) = codec().decode_reply(&secret) {
        assert!(!err.to_string().contains("secret"));
    }
}
