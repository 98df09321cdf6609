//! What a recording says of an answer, and comparing with it.

use gatewright_core::chat::{Answer, Finish, Part};
use serde_json::{Value, json};

/// What the recordings say of an answer.
pub(super) fn facts(answer: &Answer) -> Value {
    let choice = &answer.choices[0];
    let (mut text, mut reasoning, mut refusal) = (String::new(), String::new(), String::new());
    let (mut calls, mut cited) = (Vec::new(), 0);
    for part in &choice.parts {
        match part {
            Part::Text { text: more, citations, .. } => {
                text.push_str(more);
                cited += citations.len();
            }
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
        Finish::Stop => "end_turn",
        Finish::StopSequence => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Pause => "pause_turn",
        Finish::Refusal => "refusal",
        other => panic!("{other:?}"),
    };
    let usage = answer.usage.unwrap_or_default();
    json!({
        "text": text, "reasoning": reasoning, "refusal": refusal, "tool_calls": calls, "finish": finish,
        "citations": cited,
        "usage": {
            "prompt": usage.total_input(), "completion": usage.output, "total": usage.total(),
            "cached": usage.cache_read, "cache_write": usage.cache_write(),
            "reasoning": usage.reasoning, "audio_in": usage.audio_input, "audio_out": usage.audio_output,
        },
    })
}

pub(super) fn compare(misses: &mut Vec<String>, how: &str, got: &Value, want: &Value) {
    for key in ["text", "reasoning", "refusal", "tool_calls", "finish", "citations"] {
        differs(misses, &format!("{how}: {key}"), &got[key], &want[key]);
    }
    // A recording tells the counts that its provider told.
    for (key, count) in want["usage"].as_object().unwrap() {
        differs(misses, &format!("{how}: usage.{key}"), &got["usage"][key], count);
    }
}

pub(super) fn differs(misses: &mut Vec<String>, what: &str, got: &Value, want: &Value) {
    if got != want {
        misses.push(format!("{what}:\n    got  {}\n    want {}", short(got), short(want)));
    }
}

pub(super) fn short(value: &Value) -> String {
    value.to_string().chars().take(1500).collect()
}

/// The same request without what may be said in two ways.
pub(super) fn plain(request: &Value) -> Value {
    fn walk(value: &Value, key: &str) -> Value {
        match value {
            Value::String(text) if matches!(key, "content" | "system") => {
                let blocks =
                    if text.is_empty() { vec![] } else { vec![json!({ "type": "text", "text": text })] };
                Value::Array(blocks)
            }
            Value::Number(number) => json!(number.as_f64()),
            Value::Array(list) => list.iter().map(|item| walk(item, "")).collect(),
            Value::Object(fields) => {
                let fields = fields.iter().filter(|(key, value)| match key.as_str() {
                    "stream" | "is_error" => **value != false,
                    "tools" | "stop_sequences" => value.as_array().is_none_or(|list| !list.is_empty()),
                    "ttl" => **value != "5m",
                    "description" => **value != "",
                    _ => !value.is_null(),
                });
                Value::Object(fields.map(|(key, value)| (key.clone(), walk(value, key))).collect())
            }
            other => other.clone(),
        }
    }
    let mut plain = walk(request, "");
    if let Some(format) = plain.as_object_mut().unwrap().remove("output_format") {
        plain["output_config"]["format"] = format;
    }
    plain
}
