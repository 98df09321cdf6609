//! A stream's events as the answer that they tell, and what a recording says of one.

use gatewright_core::chat::{Answer, Choice, Delta, Event, Finish, Part, PartKind, ToolCall};
use serde_json::{Map, Value, json};

pub(super) fn gathered(events: &[Event]) -> Answer {
    assert_eq!(events.last(), Some(&Event::End));
    let mut answer = Answer::default();
    let mut parts: Vec<Part> = Vec::new();
    let mut ended = Vec::new();
    let mut choice = Choice {
        index: 0,
        parts: Vec::new(),
        finish: Finish::Stop,
        stop_sequence: None,
        logprobs: None,
        extra: Map::new(),
    };
    for event in events.iter().cloned() {
        match event {
            Event::Start { id, model, created, .. } => {
                (answer.id, answer.model, answer.created) = (id, model, created);
            }
            Event::PartStart { index, kind, .. } => {
                assert_eq!(index as usize, parts.len());
                parts.push(match kind {
                    PartKind::Text => Part::text(""),
                    PartKind::Reasoning => Part::Reasoning { text: String::new(), signature: None },
                    PartKind::RedactedReasoning { data } => Part::RedactedReasoning { data },
                    PartKind::ToolCall { id, name } => {
                        Part::ToolCall(ToolCall { id, name, arguments: String::new(), cache: None })
                    }
                    PartKind::Refusal => Part::Refusal(String::new()),
                    PartKind::Other(value) => Part::Other(value),
                });
            }
            Event::PartDelta { index, delta, .. } => match (&mut parts[index as usize], delta) {
                (Part::Text { text, .. } | Part::Refusal(text), Delta::Text(more))
                | (Part::Reasoning { text, .. }, Delta::Reasoning(more)) => text.push_str(&more),
                (Part::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(&more),
                (Part::Text { citations, .. }, Delta::Citation(citation)) => citations.push(citation),
                (Part::Reasoning { signature, .. }, Delta::Signature(more)) => *signature = Some(more),
                (part, delta) => panic!("{delta:?} for {part:?}"),
            },
            Event::PartEnd { index, .. } => {
                assert!(!ended.contains(&index), "a part ends twice");
                ended.push(index);
            }
            Event::Usage(usage) => answer.usage = Some(usage),
            Event::Finish { reason, .. } => choice.finish = reason,
            Event::Logprobs { .. } | Event::Ping | Event::End => {}
        }
    }
    assert_eq!(ended.len(), parts.len(), "every part ends");
    choice.parts = parts;
    answer.choices.push(choice);
    answer
}

/// What the recordings say of an answer.
pub(super) fn facts(answer: &Answer) -> Value {
    let choice = &answer.choices[0];
    let (mut text, mut reasoning, mut refusal) = (String::new(), String::new(), String::new());
    let mut calls = Vec::new();
    for part in &choice.parts {
        match part {
            Part::Text { text: more, .. } => text.push_str(more),
            Part::Reasoning { text: more, .. } => reasoning.push_str(more),
            Part::Refusal(more) => refusal.push_str(more),
            Part::ToolCall(call) => {
                let args: Value = serde_json::from_str(&call.arguments).unwrap();
                calls.push(json!({ "name": call.name, "args": args, "id": call.id }));
            }
            _ => {}
        }
    }
    let finish = match choice.finish {
        Finish::Stop | Finish::ToolCalls => "completed",
        _ => "incomplete",
    };
    let usage = answer.usage.unwrap_or_default();
    json!({
        "text": text, "reasoning": reasoning, "refusal": refusal, "tool_calls": calls, "finish": finish,
        "usage": {
            "prompt": usage.total_input(), "completion": usage.output, "total": usage.total(),
            "cached": usage.cache_read, "reasoning": usage.reasoning,
        },
    })
}

/// Where the facts differ from the recording's.
pub(super) fn differences(how: &str, got: &Value, want: &Value) -> Vec<String> {
    let keys = ["text", "reasoning", "refusal", "tool_calls", "finish", "usage"];
    let differs = keys.into_iter().filter(|key| got[key] != want[key]);
    differs.map(|key| format!("{how}: {key}\n    got  {}\n    want {}", got[key], want[key])).collect()
}
