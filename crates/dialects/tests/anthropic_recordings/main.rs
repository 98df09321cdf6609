//! Replays recorded traffic of Anthropic's API through the codec and compares the facts that a client must get.
//!
//! The recordings are not part of the repository: `RECORDINGS` names their directory, and without it there is
//! nothing to replay.

#![cfg(test)]

mod facts;
mod translated;
#[path = "../support/whole.rs"]
mod whole;

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    Codec, Decode, Dialect, Json, JsonLimits, Losses, ModelFacts, RawEvent, ReasoningControl, Relay,
    ReplyStyle, Result,
};
use gatewright_dialects::{of, sse::Splitter};
use http::StatusCode;
use serde_json::{Value, json};

use facts::{compare, differs, facts, plain};
use whole::whole;

fn codec() -> &'static dyn Codec {
    of(Dialect::AnthropicMessages)
}

fn style() -> ReplyStyle {
    ReplyStyle {
        model: "the-alias".into(),
        include_usage: true,
        created: 1,
        attempt: gatewright_core::AttemptId::from_bytes([0; 16]),
        older_functions: false,
        asked: None,
    }
}

#[test]
fn recorded_traffic_keeps_its_facts() {
    replay(|file| matches!(file, "anthropic.chat.jsonl.gz" | "anthropic.messages.jsonl.gz"), check);
}

/// Checks every recorded case of the files; without recordings there is nothing to check.
fn replay(wanted: fn(&str) -> bool, check: fn(&Value) -> Vec<String>) {
    let Some(directory) = std::env::var_os("RECORDINGS") else { return };
    let (mut cases, mut misses) = (0, Vec::new());
    for name in names(&directory) {
        if !wanted(&name) {
            continue;
        }
        let file = File::open(Path::new(&directory).join(&name)).unwrap();
        for line in BufReader::new(MultiGzDecoder::new(file)).lines() {
            let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
            cases += 1;
            misses.extend(check(&case).into_iter().map(|miss| format!("{name} {}: {miss}", case["id"])));
        }
    }
    assert!(cases > 0, "no recordings in {}", directory.display());
    assert!(misses.is_empty(), "{} misses in {cases} cases:\n{}", misses.len(), misses.join("\n"));
}

fn names(directory: &OsString) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn check(case: &Value) -> Vec<String> {
    let mut misses = Vec::new();
    let body = case["upstream_response"]["body"]["text"].as_str().unwrap().as_bytes();
    let status = case["upstream_response"]["status"].as_u64().unwrap();
    let expect = &case["expect"];
    if status != 200 {
        let fault = codec().decode_error(StatusCode::from_u16(status as u16).unwrap(), body);
        let got = json!({ "message": fault.message, "type": fault.wire_type });
        differs(&mut misses, "error", &got["message"], &expect["error"]["message"]);
        differs(&mut misses, "error type", &got["type"], &expect["error"]["type"]);
    } else if case["stream"] == true {
        for chunk in [1, 7, 100_000] {
            let decoded = facts(&events(body, chunk).unwrap());
            compare(&mut misses, &format!("decoded in chunks of {chunk}"), &decoded, expect);
            let relayed = relay(body, chunk).unwrap();
            compare(&mut misses, "relayed", &facts(&events(&relayed, 64).unwrap()), expect);
            differs(&mut misses, "relayed bytes", &json!(sparse(&relayed)), &json!(sparse(body)));
        }
    } else {
        compare(&mut misses, "decoded", &facts(&codec().decode_reply(body).unwrap()), expect);
        let frame = codec().relay_reply(Bytes::copy_from_slice(body), &style()).unwrap();
        let relayed = codec().decode_reply(&frame.data).unwrap();
        assert_eq!(relayed.model, "the-alias");
        compare(&mut misses, "relayed", &facts(&relayed), expect);
        let written = codec().encode_reply(&relayed, &style());
        compare(&mut misses, "written", &facts(&codec().decode_reply(&written).unwrap()), expect);
    }
    if case["client"] == "messages" {
        misses.extend(check_request(case));
    }
    misses
}

/// A request that is decoded and written again asks for the same.
fn check_request(case: &Value) -> Vec<String> {
    let mut misses = Vec::new();
    let client = case["client_request"]["body"].to_string();
    let want = &case["upstream_request"]["body"];
    let model = want["model"].as_str().unwrap();
    let mut body = Json::parse(Bytes::from(client), JsonLimits::default()).unwrap();
    match codec().decode_request(&body) {
        Ok(chat) => misses.extend(check_rewritten(&chat, model, want)),
        // What the provider refused may be refused here.
        Err(_) if case["upstream_response"]["status"] == 400 => {}
        Err(err) => misses.push(format!("request refused: {err}")),
    }
    codec().readdress(&mut body, model);
    let readdressed: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
    differs(&mut misses, "readdressed", &plain(&readdressed), &plain(want));
    misses
}

fn check_rewritten(chat: &Chat, model: &str, want: &Value) -> Vec<String> {
    let mut misses = Vec::new();
    let mut losses = Losses::default();
    let written = codec().encode_request(chat, &model_facts(model), &mut losses).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    let mut want = plain(want);
    // Effort without a word on thinking asks a model that can think to think: other dialects know no effort besides.
    if want["thinking"].is_null() && !want["output_config"]["effort"].is_null() {
        want["thinking"] = json!({ "type": "adaptive" });
    }
    differs(&mut misses, "request", &plain(&written), &want);
    if losses != Losses::default() {
        misses.push(format!("request lost {losses:?}"));
    }
    misses
}

fn model_facts(model: &str) -> ModelFacts {
    let adaptive = ["4-6", "4-7", "4-8"].iter().any(|version| model.contains(version));
    ModelFacts {
        name: model.into(),
        max_output: None,
        reasoning: if adaptive { ReasoningControl::Adaptive } else { ReasoningControl::Budget },
        structured_output: adaptive || model.contains("4-5"),
        document_links: false,
    }
}

/// The events of a stream without blank lines and padding, and without the model's name.
fn sparse(stream: &[u8]) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    let mut splitter = Splitter::new(1 << 24);
    let mut each = |event: RawEvent<'_>| {
        let mut data: Value = serde_json::from_slice(event.data).unwrap();
        if let Some(message) = data.get_mut("message") {
            message["model"] = Value::Null;
        }
        out.push((event.name.to_owned(), data));
        Ok(())
    };
    splitter.feed(stream, &mut each).unwrap();
    splitter.close(&mut each).unwrap();
    out
}

fn relay(stream: &[u8], chunk: usize) -> Result<Vec<u8>> {
    let out = relayed(codec().relay(&style()), stream, chunk)?;
    assert!(out.windows(11).any(|window| window == b"\"the-alias\""));
    Ok(out)
}

/// What a client gets of a stream that comes in chunks of this size.
fn relayed(mut relay: Box<dyn Relay>, stream: &[u8], chunk: usize) -> Result<Vec<u8>> {
    let mut splitter = Splitter::new(1 << 24);
    let mut out = BytesMut::new();
    for chunk in stream.chunks(chunk) {
        splitter.feed(chunk, &mut |event| relay.event(event, &mut out).map(drop))?;
    }
    splitter.close(&mut |event| relay.event(event, &mut out).map(drop))?;
    relay.close(&mut out)?;
    Ok(out.to_vec())
}

fn events(stream: &[u8], chunk: usize) -> Result<Answer> {
    decoded(codec().decoder(), stream, chunk)
}

/// The answer that a stream tells.
fn decoded(mut decoder: Box<dyn Decode>, stream: &[u8], chunk: usize) -> Result<Answer> {
    let mut splitter = Splitter::new(1 << 24);
    let mut events = Vec::new();
    for chunk in stream.chunks(chunk) {
        splitter.feed(chunk, &mut |event| decoder.event(event, &mut events))?;
    }
    splitter.close(&mut |event| decoder.event(event, &mut events))?;
    decoder.close(&mut events)?;
    Ok(whole(&events))
}
