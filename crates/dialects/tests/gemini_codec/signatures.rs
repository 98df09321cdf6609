//! Signatures find their way back to the part that they came with.

use gatewright_core::chat::{Chat, Part, Role, ToolCall, Turn};
use serde_json::{Value, json};

use super::{codec, decode, encode, style};

fn thought(text: &str, signature: Option<&str>) -> Part {
    Part::Reasoning { text: text.into(), signature: signature.map(|own| format!("gemini.{own}")) }
}

fn call(id: &str) -> Part {
    Part::ToolCall(ToolCall { id: id.into(), name: "f".into(), arguments: "{}".into(), cache: None })
}

/// The parts of one turn of the model as they are sent: each thought, text and call with its signature.
fn sent(parts: Vec<Part>, name: &str) -> Vec<(String, Option<String>)> {
    let chat = Chat { turns: vec![Turn::new(Role::Assistant, parts)], ..Chat::default() };
    let body = encode(&chat, name);
    let parts = body["contents"][0]["parts"].as_array().cloned().unwrap_or_default();
    let what = |part: &Value| match (part["thought"] == true, part["text"].as_str()) {
        (true, Some(text)) => format!("({text})"),
        (_, Some(text)) => text.to_owned(),
        (_, None) => part["functionCall"]["id"].as_str().unwrap_or("?").to_owned(),
    };
    parts.iter().map(|part| (what(part), part["thoughtSignature"].as_str().map(str::to_owned))).collect()
}

fn check(parts: Vec<Part>, name: &str, want: &[(&str, Option<&str>)]) {
    let want: Vec<_> = want.iter().map(|(text, sig)| ((*text).to_owned(), sig.map(str::to_owned))).collect();
    assert_eq!(sent(parts, name), want);
}

const OLDER: &str = "gemini-2.5-flash";
const NEWER: &str = "gemini-3-flash-preview";
const UNCHECKED: Option<&str> = Some("skip_thought_signature_validator");

#[test]
fn a_signature_stands_at_its_part() {
    check(vec![thought("", Some("s")), call("a"), call("b")], NEWER, &[("a", Some("s")), ("b", None)]);
    check(vec![thought("t", Some("s")), call("a")], NEWER, &[("(t)", None), ("a", Some("s"))]);
    check(vec![Part::text("x"), thought("", Some("s"))], NEWER, &[("x", Some("s"))]);
    // OpenAI's clients have lost the order.
    check(vec![thought("", Some("s")), Part::text("x")], NEWER, &[("x", Some("s"))]);
    check(vec![thought("t", Some("s")), Part::text("x")], OLDER, &[("(t)", Some("s")), ("x", None)]);
    check(
        vec![thought("", Some("1")), call("a"), thought("", Some("2")), call("b")],
        NEWER,
        &[("a", Some("1")), ("b", Some("2"))],
    );
    check(vec![thought("", Some("s"))], NEWER, &[("", Some("s"))]);
}

#[test]
fn a_call_that_another_model_made_says_so_where_calls_are_checked() {
    check(vec![call("a"), call("b")], NEWER, &[("a", UNCHECKED), ("b", None)]);
    check(vec![call("a"), call("b")], OLDER, &[("a", None), ("b", None)]);
}

#[test]
fn another_providers_signature_is_not_sent_and_comes_back_to_it() {
    let claudes = || Part::Reasoning { text: "t".into(), signature: Some("Claude's +/".into()) };
    check(vec![claudes(), call("a")], NEWER, &[("(t)", None), ("a", UNCHECKED)]);
    let choice = gatewright_core::chat::Choice {
        index: 0,
        parts: vec![claudes()],
        finish: gatewright_core::chat::Finish::Stop,
        stop_sequence: None,
        logprobs: None,
        extra: Default::default(),
    };
    let answer = gatewright_core::chat::Answer { choices: vec![choice], ..Default::default() };
    let shown: Value = serde_json::from_slice(&codec().encode_reply(&answer, &style())).unwrap();
    let chat = decode(&json!({"contents": [shown["candidates"][0]["content"]]})).unwrap();
    assert_eq!(chat.turns[0].parts, [claudes()]);
    let none = json!({"text": "t", "thought": true, "thoughtSignature": UNCHECKED});
    let chat = decode(&json!({"contents": [{"role": "model", "parts": [none]}]})).unwrap();
    assert_eq!(chat.turns[0].parts, [thought("t", None)]);
}
