//! Replays recorded answers of providers that speak OpenAI's dialect, where `RECORDINGS` names their directory.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test; helpers of one are not seen as such")]

use std::io::Read;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use gatewright_core::chat::{Answer, Delta, Event, Finish, Part, PartKind};
use gatewright_core::{Codec, Dialect, RawEvent, ReplyStyle, Result, Usage};
use gatewright_dialects::sse::Splitter;
use http::StatusCode;
use serde_json::{Value, json};

/// What a client learns of an answer, its first choice.
#[derive(Debug, Default)]
struct Facts {
    text: String,
    reasoning: String,
    refusal: String,
    calls: Vec<(String, String, String)>,
    finish: Option<String>,
    usage: Option<Usage>,
    choices: usize,
}

struct Case<'a> {
    name: String,
    stream: bool,
    status: StatusCode,
    body: &'a str,
    expect: &'a Value,
}

#[test]
fn recorded_answers_say_what_was_recorded() {
    #[expect(clippy::disallowed_methods, reason = "the recordings are no part of the repository")]
    let Ok(directory) = std::env::var("RECORDINGS") else { return };
    let (mut read, mut misses) = (0, Vec::new());
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| is_chat(file)) {
        for line in unpack(file).lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let path = record["upstream_request"]["path"].as_str().unwrap_or_default();
            let answer = &record["upstream_response"];
            let Some(body) = answer["body"]["text"].as_str() else { continue };
            if !path.ends_with("chat/completions") {
                continue;
            }
            read += 1;
            let case = Case {
                name: format!("{} {}", file.file_stem().unwrap().to_string_lossy(), record["id"]),
                stream: record["stream"] == true,
                status: StatusCode::from_u16(u16::try_from(answer["status"].as_u64().unwrap()).unwrap())
                    .unwrap(),
                body,
                expect: &record["expect"],
            };
            check(&case, &mut misses);
        }
    }
    assert!(read > 0, "no recordings were found");
    assert!(misses.is_empty(), "{} misses in {read} recordings:\n{}", misses.len(), misses.join("\n"));
}

fn is_chat(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".chat.jsonl.gz") || name.ends_with(".messages_x.jsonl.gz")
}

fn unpack(file: &Path) -> String {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    text
}

fn check(case: &Case<'_>, misses: &mut Vec<String>) {
    let codec = gatewright_dialects::of(Dialect::OpenAiChat);
    if !case.status.is_success() {
        return check_fault(codec, case, misses);
    }
    let ways = match case.stream {
        true => [("decoded", decode_stream(codec, case.body)), ("relayed", relay_stream(codec, case.body))],
        false => [("decoded", decode_whole(codec, case.body)), ("relayed", relay_whole(codec, case.body))],
    };
    for (way, facts) in ways {
        let mut miss = |what: &str, got: String, want: String| {
            misses.push(format!("{} {way}: {what} is {got}, recorded {want}", case.name));
        };
        match (facts, case.expect["error"]["message"].as_str()) {
            (Err(err), Some(message)) if err.message() == message => {}
            (Err(err), _) => miss("the answer", err.to_string(), case.expect["error"].to_string()),
            (Ok(_), Some(message)) => miss("the answer", "no error".into(), message.into()),
            (Ok(facts), None) => compare(&facts, case.expect, &mut miss),
        }
    }
}

fn check_fault(codec: &dyn Codec, case: &Case<'_>, misses: &mut Vec<String>) {
    let fault = codec.decode_error(case.status, case.body.as_bytes());
    let want = &case.expect["error"];
    let code = match &want["code"] {
        Value::Number(number) => Value::from(number.to_string()),
        other => other.clone(),
    };
    let got = json!([fault.message, fault.wire_type, fault.code, fault.param]);
    let want = json!([want["message"], want["type"], code, want["param"]]);
    if got != want {
        misses.push(format!("{}: the error is {got}, recorded {want}", case.name));
    }
}

fn compare(facts: &Facts, expect: &Value, miss: &mut dyn FnMut(&str, String, String)) {
    for (what, got) in [("text", &facts.text), ("reasoning", &facts.reasoning), ("refusal", &facts.refusal)] {
        let want = expect[what].as_str().unwrap_or_default();
        if got != want {
            miss(what, format!("{got:?}"), format!("{want:?}"));
        }
    }
    let calls: Vec<Value> =
        facts.calls.iter().map(|(id, name, args)| json!([id, name, loose(args)])).collect();
    let wanted = expect["tool_calls"].as_array().cloned().unwrap_or_default();
    let wanted: Vec<Value> =
        wanted.iter().map(|call| json!([call["id"], call["name"], call["args"]])).collect();
    if calls != wanted {
        miss("calls", json!(calls).to_string(), json!(wanted).to_string());
    }
    let finish = expect["finish"].as_str().map(|word| match word {
        "stop" if !calls.is_empty() => "tool_calls",
        "eos" | "end_turn" | "stop_sequence" => "stop",
        "max_tokens" => "length",
        word => word,
    });
    let got = facts
        .finish
        .as_deref()
        .map(|word| if word == "stop" && !calls.is_empty() { "tool_calls" } else { word });
    if got != finish {
        miss("finish", format!("{got:?}"), format!("{finish:?}"));
    }
    let choices = usize::try_from(expect["n"].as_u64().unwrap_or(1)).unwrap();
    if facts.choices != choices {
        miss("choices", facts.choices.to_string(), choices.to_string());
    }
    compare_usage(facts.usage, &expect["usage"], miss);
}

fn compare_usage(usage: Option<Usage>, expect: &Value, miss: &mut dyn FnMut(&str, String, String)) {
    let Some(prompt) = expect["prompt"].as_u64() else { return };
    let Some(usage) = usage else { return miss("usage", "absent".into(), expect.to_string()) };
    // Where reasoning is counted beside the completion, only the total says so.
    let apart = expect["total"].as_u64().unwrap_or_default().saturating_sub(prompt);
    let completion = expect["completion"].as_u64().unwrap_or_default();
    let output = if apart == completion + usage.reasoning { apart } else { completion };
    for (what, got, want) in [
        ("prompt", usage.total_input(), Some(prompt)),
        ("completion", usage.output, Some(output)),
        ("cached", usage.cache_read, expect["cached"].as_u64()),
        ("reasoning tokens", usage.reasoning, expect["reasoning"].as_u64()),
        ("audio in", usage.audio_input, expect["audio_in"].as_u64()),
        ("audio out", usage.audio_output, expect["audio_out"].as_u64()),
    ] {
        if want.is_some_and(|want| want != got) {
            miss(what, got.to_string(), format!("{want:?}"));
        }
    }
}

fn loose(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

fn style() -> ReplyStyle {
    ReplyStyle {
        model: "alias".into(),
        include_usage: true,
        created: 1,
        attempt: gatewright_core::AttemptId::from_bytes([0; 16]),
        older_functions: false,
        asked: None,
    }
}

fn word(finish: Finish) -> String {
    match finish {
        Finish::Stop | Finish::StopSequence => "stop",
        Finish::Length | Finish::ContextWindow | Finish::Pause => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::FunctionCall => "function_call",
        Finish::ContentFilter | Finish::Refusal => "content_filter",
    }
    .to_owned()
}

fn decode_whole(codec: &dyn Codec, body: &str) -> Result<Facts> {
    let answer: Answer = codec.decode_reply(body.as_bytes())?;
    let mut facts = Facts { usage: answer.usage, choices: answer.choices.len(), ..Facts::default() };
    let Some(choice) = answer.choices.iter().find(|choice| choice.index == 0) else { return Ok(facts) };
    facts.finish = Some(word(choice.finish));
    for part in &choice.parts {
        match part {
            Part::Text { text, .. } => facts.text.push_str(text),
            Part::Reasoning { text, .. } => facts.reasoning.push_str(text),
            Part::Refusal(text) => facts.refusal.push_str(text),
            Part::ToolCall(call) => {
                facts.calls.push((call.id.clone(), call.name.clone(), call.arguments.clone()))
            }
            _ => {}
        }
    }
    Ok(facts)
}

fn relay_whole(codec: &dyn Codec, body: &str) -> Result<Facts> {
    let frame = codec.relay_reply(Bytes::copy_from_slice(body.as_bytes()), &style())?;
    let value: Value = serde_json::from_slice(&frame.data).expect("a relayed answer is JSON");
    assert_eq!(value["model"], "alias");
    let choices = value["choices"].as_array().unwrap();
    let mut facts = Facts { usage: frame.usage, choices: choices.len(), ..Facts::default() };
    if let Some(choice) = choices.iter().find(|choice| choice["index"] == 0) {
        add(&mut facts, &choice["message"], choice);
    }
    Ok(facts)
}

fn decode_stream(codec: &dyn Codec, body: &str) -> Result<Facts> {
    let mut decoder = codec.decoder();
    let mut events = Vec::new();
    let mut splitter = Splitter::new(1 << 20);
    splitter.feed(body.as_bytes(), &mut |event: RawEvent<'_>| decoder.event(event, &mut events))?;
    splitter.close(&mut |event: RawEvent<'_>| decoder.event(event, &mut events))?;
    decoder.close(&mut events)?;
    let mut facts = Facts::default();
    let mut calls: Vec<(u32, (String, String, String))> = Vec::new();
    for event in events {
        match event {
            Event::PartStart { choice: 0, index, kind: PartKind::ToolCall { id, name } } => {
                calls.push((index, (id, name, String::new())));
            }
            Event::PartDelta { choice: 0, index, delta: Delta::Arguments(more) } => {
                calls.iter_mut().find(|(known, _)| *known == index).unwrap().1.2.push_str(&more);
            }
            Event::PartDelta { choice: 0, delta: Delta::Text(more), .. } => facts.text.push_str(&more),
            Event::PartDelta { choice: 0, delta: Delta::Reasoning(more), .. } => {
                facts.reasoning.push_str(&more)
            }
            Event::Finish { choice, reason, .. } => {
                facts.choices += 1;
                if choice == 0 {
                    facts.finish = Some(word(reason));
                }
            }
            Event::Usage(usage) => facts.usage = Some(usage),
            _ => {}
        }
    }
    facts.calls = calls.into_iter().map(|(_, call)| call).collect();
    Ok(facts)
}

fn relay_stream(codec: &dyn Codec, body: &str) -> Result<Facts> {
    let mut relay = codec.relay(&style());
    let mut out = BytesMut::new();
    let mut facts = Facts::default();
    let mut splitter = Splitter::new(1 << 20);
    let mut each = |event: RawEvent<'_>| {
        let peek = relay.event(event, &mut out)?;
        facts.usage = peek.usage.or(facts.usage);
        Ok(())
    };
    splitter.feed(body.as_bytes(), &mut each)?;
    splitter.close(&mut each)?;
    assert!(relay.close(&mut out)?.last);
    let mut seen = Vec::new();
    let mut last = String::new();
    Splitter::new(1 << 20).feed(&out, &mut |event: RawEvent<'_>| {
        last = String::from_utf8_lossy(event.data).into_owned();
        let value: Value = serde_json::from_str(&last).unwrap_or_default();
        for choice in value["choices"].as_array().into_iter().flatten() {
            let index = choice["index"].as_u64().unwrap_or_default();
            if !seen.contains(&index) {
                seen.push(index);
            }
            if index == 0 {
                add(&mut facts, &choice["delta"], choice);
            }
        }
        assert!(value.is_null() || (value["model"] == "alias" && value["object"] == "chat.completion.chunk"));
        Ok(())
    })?;
    assert_eq!(last, "[DONE]");
    facts.choices = seen.len();
    Ok(facts)
}

/// Adds a message, or a delta of one, as a client of the dialect reads it.
fn add(facts: &mut Facts, message: &Value, choice: &Value) {
    let text = |key: &str| message[key].as_str().unwrap_or_default();
    facts.text.push_str(text("content"));
    facts.reasoning.push_str(text("reasoning_content"));
    facts.refusal.push_str(text("refusal"));
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        let arguments = function["arguments"].as_str().unwrap_or_default();
        match function["name"].as_str() {
            Some(name) => {
                let id = call["id"].as_str().unwrap_or_default().to_owned();
                facts.calls.push((id, name.to_owned(), arguments.to_owned()));
            }
            None => {
                let at = usize::try_from(call["index"].as_u64().unwrap_or_default()).unwrap();
                facts.calls[at].2.push_str(arguments);
            }
        }
    }
    if let Some(word) = choice["finish_reason"].as_str() {
        facts.finish = Some(word.to_owned());
    }
}
