//! What a recording says of an answer, and comparing with it.

use gatewright_core::chat::{Answer, Finish, Part};
use serde_json::{Value, json};

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
