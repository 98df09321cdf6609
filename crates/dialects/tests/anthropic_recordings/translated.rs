//! Recorded traffic of clients and upstreams that speak different dialects.

use bytes::Bytes;
use gatewright_core::{Codec, Dialect, Json, JsonLimits, Losses, Translate};
use gatewright_dialects::of;
use serde_json::{Value, json};

use super::facts::{compare, differs, facts, plain};
use super::{codec, decoded, model_facts, relayed, replay, style};

fn openai() -> &'static dyn Codec {
    of(Dialect::OpenAiChat)
}

#[test]
fn openai_clients_of_anthropic_get_their_facts() {
    replay(|file| file == "anthropic.chat.jsonl.gz", check_openai_client);
}

#[test]
fn anthropic_clients_of_openai_like_providers_get_their_facts() {
    replay(|file| file.ends_with(".messages_x.jsonl.gz"), check_anthropic_client);
}

fn check_openai_client(case: &Value) -> Vec<String> {
    let mut misses = check_request(case);
    let mut expect = case["expect"].clone();
    // Of the reasons to stop, OpenAI's dialect has fewer.
    expect["finish"] = match expect["finish"].as_str() {
        Some("pause_turn") => "max_tokens".into(),
        Some("stop_sequence") => "end_turn".into(),
        _ => expect["finish"].clone(),
    };
    check_reply(case, codec(), openai(), &expect, &mut misses);
    misses
}

fn check_anthropic_client(case: &Value) -> Vec<String> {
    let mut misses = Vec::new();
    let mut expect = case["expect"].clone();
    expect["finish"] = match expect["finish"].as_str() {
        Some("length") => "max_tokens".into(),
        Some("tool_calls") => "tool_use".into(),
        Some("content_filter") => "refusal".into(),
        Some(_) => "end_turn".into(),
        None => Value::Null,
    };
    check_reply(case, openai(), codec(), &expect, &mut misses);
    misses
}

fn check_request(case: &Value) -> Vec<String> {
    let mut misses = Vec::new();
    let client = Bytes::from(case["client_request"]["body"].to_string());
    let want = &case["upstream_request"]["body"];
    let chat = match openai().decode_request(&Json::parse(client, JsonLimits::default()).unwrap()) {
        Ok(chat) => chat,
        Err(err) => return vec![format!("request refused: {err}")],
    };
    let mut losses = Losses::default();
    let facts = model_facts(want["model"].as_str().unwrap());
    let written = codec().encode_request(&chat, &facts, &mut losses).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    let mut want = plain(want);
    if want["thinking"].is_null() && !want["output_config"]["effort"].is_null() {
        want["thinking"] = json!({ "type": "adaptive" });
    }
    differs(&mut misses, "request", &plain(&written), &want);
    if losses != Losses::default() {
        misses.push(format!("request lost {losses:?}"));
    }
    misses
}

fn check_reply(
    case: &Value,
    upstream: &'static dyn Codec,
    client: &'static dyn Codec,
    expect: &Value,
    misses: &mut Vec<String>,
) {
    let body = case["upstream_response"]["body"]["text"].as_str().unwrap().as_bytes();
    if case["upstream_response"]["status"] != 200 {
        return;
    }
    if case["stream"] == true {
        let relay = Translate::new(upstream.decoder(), client.encoder(&style()));
        let stream = match relayed(Box::new(relay), body, 64) {
            Ok(stream) => stream,
            Err(err) => return failed(expect, err.message(), misses),
        };
        let answer = decoded(client.decoder(), &stream, 1000).unwrap();
        compare(misses, "streamed", &facts(&answer), expect);
        return;
    }
    match upstream.decode_reply(body) {
        Err(err) => failed(expect, err.message(), misses),
        Ok(answer) => {
            let written = client.encode_reply(&answer, &style());
            let back = client.decode_reply(&written).unwrap();
            compare(misses, "whole", &facts(&back), expect);
        }
    }
}

/// A reply that is an error was recorded as one.
fn failed(expect: &Value, message: &str, misses: &mut Vec<String>) {
    if expect["error"].is_null() {
        misses.push(format!("failed: {message}"));
    }
}
