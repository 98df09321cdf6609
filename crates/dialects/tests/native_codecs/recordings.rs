//! Recorded traffic of both providers, where `RECORDINGS` names its folder.

use std::io::Read as _;
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;
use gatewright_core::chat::{Delta, Event, Part, PartKind};
use gatewright_core::{Dialect, Usage};
use gatewright_dialects::of;
use http::StatusCode;
use serde_json::{Value, json};

use super::{events, relayed, style};

/// What was said, as the recordings tell it.
#[derive(Default)]
struct Said {
    text: String,
    reasoning: String,
    calls: Vec<Value>,
    cited: u64,
    usage: Usage,
}

fn cases(file: &str) -> Vec<Value> {
    let Some(folder) = std::env::var_os("RECORDINGS").map(PathBuf::from) else { return Vec::new() };
    let mut text = String::new();
    let file = std::fs::File::open(folder.join(file)).unwrap();
    MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Said {
    fn call(&mut self, name: &str, arguments: &str) {
        let args: Value = serde_json::from_str(arguments).unwrap();
        self.calls.push(json!({"name": name, "args": args}));
    }

    fn whole(parts: &[Part], usage: Option<Usage>) -> Self {
        let mut said = Self { usage: usage.unwrap_or_default(), ..Self::default() };
        for part in parts {
            match part {
                Part::Text { text, citations, .. } => {
                    said.text.push_str(text);
                    said.cited += citations.len() as u64;
                }
                Part::Reasoning { text, .. } => said.reasoning.push_str(text),
                Part::ToolCall(call) => said.call(&call.name, &call.arguments),
                _ => {}
            }
        }
        said
    }

    fn streamed(events: &[Event]) -> Self {
        let mut said = Self::default();
        let mut open: Vec<(u32, String, String)> = Vec::new();
        for event in events {
            match event {
                Event::PartStart { index, kind: PartKind::ToolCall { name, .. }, .. } => {
                    open.push((*index, name.clone(), String::new()));
                }
                Event::PartDelta { index, delta, .. } => match delta {
                    Delta::Text(text) => said.text.push_str(text),
                    Delta::Reasoning(text) => said.reasoning.push_str(text),
                    Delta::Citation(_) => said.cited += 1,
                    Delta::Arguments(more) => {
                        open.iter_mut().find(|(part, ..)| part == index).unwrap().2.push_str(more);
                    }
                    _ => {}
                },
                Event::PartEnd { index, .. } => {
                    if let Some(at) = open.iter().position(|(part, ..)| part == index) {
                        let (_, name, arguments) = open.remove(at);
                        said.call(&name, &arguments);
                    }
                }
                Event::Usage(usage) => said.usage = *usage,
                _ => {}
            }
        }
        assert_eq!(events.last(), Some(&Event::End));
        said
    }

    fn check(&self, case: &Value, how: &str) {
        let (wanted, name) = (&case["expect"], format!("{} {how}", case["id"]));
        assert_eq!(self.text, wanted["text"], "{name}");
        assert_eq!(self.reasoning, wanted["reasoning"], "{name}");
        assert_eq!(self.cited, wanted["citations"], "{name}");
        let calls = wanted["tool_calls"].as_array().unwrap().iter();
        let calls: Vec<Value> =
            calls.map(|call| json!({"name": call["name"], "args": call["args"]})).collect();
        assert_eq!(self.calls, calls, "{name}");
        for (count, got) in [
            ("prompt", self.usage.input),
            ("completion", self.usage.output),
            ("cached", self.usage.cache_read),
        ] {
            // A recording tells the counts that its provider told.
            if let Some(wanted) = wanted["usage"].get(count) {
                assert_eq!(got, *wanted, "{name}: {count}");
            }
        }
    }
}

#[test]
fn recorded_chats_keep_their_facts() {
    for (file, dialect) in
        [("cohere.chat.jsonl.gz", Dialect::CohereChat), ("ollama.chat.jsonl.gz", Dialect::OllamaChat)]
    {
        for case in cases(file) {
            let body = case["upstream_response"]["body"]["text"].as_str().unwrap().as_bytes();
            if case["stream"] == true {
                let whole = relayed(dialect, body, usize::MAX).unwrap();
                for size in [1, 7, 1 << 20] {
                    Said::streamed(&events(dialect, body, size).unwrap()).check(&case, "streamed");
                    assert_eq!(relayed(dialect, body, size).unwrap(), whole, "{}", case["id"]);
                }
                let (again, usage) = whole;
                let again = Said::streamed(&events(dialect, &again, 64).unwrap());
                again.check(&case, "relayed");
                assert_eq!(usage, Some(again.usage), "{}", case["id"]);
                continue;
            }
            let answer = of(dialect).decode_reply(body).unwrap();
            Said::whole(&answer.choices[0].parts, answer.usage).check(&case, "whole");
            let written = of(dialect).encode_reply(&answer, &style());
            let again = of(dialect).decode_reply(&written).unwrap();
            Said::whole(&again.choices[0].parts, again.usage).check(&case, "written");
            assert_eq!(again.usage.map(|usage| usage.billed()), answer.usage.map(|usage| usage.billed()));
            let frame = of(dialect).relay_reply(body.to_vec().into(), &style()).unwrap();
            assert_eq!(frame.usage, answer.usage, "{}", case["id"]);
        }
    }
}

#[test]
fn recorded_vectors_keep_their_facts() {
    for case in cases("ollama.embedding.jsonl.gz") {
        let body = case["upstream_response"]["body"]["text"].as_str().unwrap();
        let codec = of(Dialect::OllamaChat).embeddings().unwrap();
        let embedded = codec.decode_reply(body.as_bytes()).unwrap();
        let told: Value = serde_json::from_str(body).unwrap();
        assert_eq!(embedded.vectors.len(), told["embeddings"].as_array().unwrap().len());
        let first = told["embeddings"][0][0].as_f64().unwrap();
        assert!((f64::from(embedded.vectors[0][0]) - first).abs() < 1e-7);
        assert_eq!(embedded.usage.unwrap().input, case["expect"]["usage"]["prompt"]);
    }
    for case in cases("cohere.embedding.jsonl.gz") {
        let answer = &case["upstream_response"];
        let status = StatusCode::from_u16(answer["status"].as_u64().unwrap() as u16).unwrap();
        let body = answer["body"]["text"].as_str().unwrap();
        let fault = of(Dialect::CohereChat).decode_error(status, body.as_bytes());
        assert_eq!(fault.message, case["expect"]["error"]["message"]);
    }
}
