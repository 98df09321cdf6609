//! Replays recorded traffic of Amazon Bedrock through the codecs and compares the facts that a client must get.
//!
//! The recordings are not part of the repository: `RECORDINGS` names their directory, and without it there is
//! nothing to replay.

#![cfg(test)]

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use gatewright_core::chat::{Answer, Delta, Event, Finish, Part, PartKind};
use gatewright_core::{AttemptId, Codec, Dialect, RawEvent, ReplyStyle, Usage};
use gatewright_dialects::{Splitter, claude_on_bedrock, of};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// What is compared: text, reasoning, calls, why it stopped, usage.
#[derive(Debug, Default, PartialEq)]
struct Facts {
    text: String,
    reasoning: String,
    calls: Vec<(String, String, Value)>,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

#[test]
fn recorded_traffic_keeps_its_facts() {
    let Some(folder) = std::env::var_os("RECORDINGS") else { return };
    let file = File::open(Path::new(&folder).join("bedrock.chat.jsonl.gz")).unwrap();
    let mut cases = 0;
    for line in BufReader::new(MultiGzDecoder::new(file)).lines() {
        check(&serde_json::from_str(&line.unwrap()).unwrap());
        cases += 1;
    }
    assert!(cases > 0);
}

fn check(case: &Value) {
    let (id, response) = (&case["id"], &case["upstream_response"]);
    let model = case["deployment"]["model"].as_str().unwrap();
    let codec = if model.contains("/invoke/") { claude_on_bedrock() } else { of(Dialect::BedrockConverse) };
    let body: Bytes = match response["body"]["base64"].as_str() {
        Some(coded) => BASE64.decode(coded).unwrap().into(),
        None => response["body"]["text"].as_str().unwrap().to_owned().into(),
    };
    let status = StatusCode::from_u16(response["status"].as_u64().unwrap().try_into().unwrap()).unwrap();
    if !status.is_success() {
        let told = response["headers"].as_object().unwrap().iter();
        let headers: HeaderMap = told
            .map(|(name, value)| (name.parse().unwrap(), value.as_str().unwrap().parse().unwrap()))
            .collect::<Vec<(http::HeaderName, http::HeaderValue)>>()
            .into_iter()
            .collect();
        let fault = codec.decode_refusal(status, &headers, &body);
        assert_eq!(fault.message, case["expect"]["error"]["message"], "{id}");
        return;
    }
    let want = expected(&case["expect"]);
    if case["stream"] == true {
        for size in [1, 7, 100_000] {
            assert_eq!(streamed(codec, &body, size), want, "{id} in pieces of {size}");
            assert_eq!(streamed(codec, &relayed(codec, &body, size), 64), want, "{id} relayed");
        }
        return;
    }
    assert_eq!(whole(&codec.decode_reply(&body).unwrap()), want, "{id}");
    let frame = codec.relay_reply(body, &style()).unwrap();
    assert_eq!((frame.usage, frame.last), (want.usage, true), "{id}");
    let relayed = codec.decode_reply(&frame.data).unwrap();
    let written = codec.encode_reply(&relayed, &style());
    assert_eq!(whole(&codec.decode_reply(&written).unwrap()), want, "{id} written");
}

fn style() -> ReplyStyle {
    ReplyStyle {
        model: "the-alias".into(),
        include_usage: true,
        created: 1,
        attempt: AttemptId::from_bytes([0; 16]),
        older_functions: false,
        asked: None,
    }
}

fn expected(expect: &Value) -> Facts {
    let text = |key: &str| expect[key].as_str().unwrap_or_default().to_owned();
    let count = |key: &str| expect["usage"][key].as_u64().unwrap_or_default();
    let calls = expect["tool_calls"].as_array().unwrap().iter();
    let calls = calls.map(|call| {
        (
            call["id"].as_str().unwrap().to_owned(),
            call["name"].as_str().unwrap().to_owned(),
            call["args"].clone(),
        )
    });
    let usage = Usage {
        input: count("prompt") - count("cached") - count("cache_write"),
        output: count("completion"),
        cache_read: count("cached"),
        cache_write_5m: count("cache_write"),
        ..Usage::default()
    };
    Facts {
        text: text("text"),
        reasoning: text("reasoning"),
        calls: calls.collect(),
        finish: Some(match expect["finish"].as_str().unwrap() {
            "tool_use" => Finish::ToolCalls,
            "max_tokens" => Finish::Length,
            _ => Finish::Stop,
        }),
        usage: expect["usage"]["prompt"].is_u64().then_some(usage),
    }
}

fn whole(answer: &Answer) -> Facts {
    let choice = &answer.choices[0];
    let mut facts = Facts { finish: Some(choice.finish), usage: answer.usage, ..Facts::default() };
    for part in &choice.parts {
        match part {
            Part::Text { text, .. } => facts.text.push_str(text),
            Part::Reasoning { text, .. } => facts.reasoning.push_str(text),
            Part::ToolCall(call) => facts.calls.push((
                call.id.clone(),
                call.name.clone(),
                serde_json::from_str(&call.arguments).unwrap(),
            )),
            other => panic!("{other:?}"),
        }
    }
    facts
}

fn streamed(codec: &dyn Codec, stream: &[u8], size: usize) -> Facts {
    let mut decoder = codec.decoder();
    let mut events = Vec::new();
    each_event(codec, stream, size, &mut |event| decoder.event(event, &mut events));
    decoder.close(&mut events).unwrap();
    assert_eq!(events.last(), Some(&Event::End));
    let mut facts = Facts::default();
    let mut arguments: Vec<(u32, String)> = Vec::new();
    for event in events {
        match event {
            Event::PartStart { kind: PartKind::ToolCall { id, name }, index, .. } => {
                facts.calls.push((id, name, json!(null)));
                arguments.push((index, String::new()));
            }
            Event::PartDelta { delta: Delta::Text(text), .. } => facts.text.push_str(&text),
            Event::PartDelta { delta: Delta::Reasoning(text), .. } => facts.reasoning.push_str(&text),
            Event::PartDelta { delta: Delta::Arguments(piece), index, .. } => {
                let (_, text) = arguments.iter_mut().find(|(part, _)| *part == index).unwrap();
                text.push_str(&piece);
            }
            Event::Finish { reason, .. } => facts.finish = Some(reason),
            Event::Usage(usage) => facts.usage = Some(usage),
            _ => {}
        }
    }
    for (call, (_, text)) in facts.calls.iter_mut().zip(arguments) {
        call.2 = serde_json::from_str(&text).unwrap();
    }
    facts
}

fn relayed(codec: &dyn Codec, stream: &[u8], size: usize) -> Vec<u8> {
    let mut relay = codec.relay(&style());
    let mut out = BytesMut::new();
    each_event(codec, stream, size, &mut |event| relay.event(event, &mut out).map(drop));
    relay.close(&mut out).unwrap();
    out.to_vec()
}

fn each_event(
    codec: &dyn Codec,
    stream: &[u8],
    size: usize,
    each: &mut dyn FnMut(RawEvent<'_>) -> gatewright_core::Result<()>,
) {
    let mut splitter = Splitter::new(codec.framing(), 1 << 24);
    stream.chunks(size).for_each(|chunk| splitter.feed(chunk, each).unwrap());
    splitter.close(each).unwrap();
}
