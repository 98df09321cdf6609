//! From the canonical conversation to OpenAI's wire.

mod media;
mod message;
pub(super) mod reply;
pub(super) mod request;
pub(super) mod stream;

use gatewright_core::chat::{CacheMark, Part, ToolCall};
use serde_json::{Map, Value, json};

/// A prompt-cache mark in Anthropic's form.
fn mark(mark: CacheMark) -> Value {
    match mark {
        CacheMark::FiveMinutes => json!({"type": "ephemeral"}),
        CacheMark::OneHour => json!({"type": "ephemeral", "ttl": "1h"}),
    }
}

/// A call of a function.
fn function_call(call: &ToolCall) -> Map<String, Value> {
    let arguments = arguments(call);
    let mut wire = Map::new();
    wire.insert("id".into(), call.id.as_str().into());
    wire.insert("type".into(), "function".into());
    wire.insert("function".into(), json!({"name": call.name, "arguments": arguments}));
    wire
}

/// Clients parse the arguments; no arguments are an empty object.
fn arguments(call: &ToolCall) -> &str {
    if call.arguments.is_empty() { "{}" } else { &call.arguments }
}

/// Reasoning as one text, where there is any in clear.
fn reasoning_text(parts: &[Part]) -> Option<String> {
    let mut texts = parts.iter().filter_map(|part| match part {
        Part::Reasoning { text, .. } if !text.is_empty() => Some(text.as_str()),
        _ => None,
    });
    let first = texts.next()?.to_owned();
    Some(texts.fold(first, |all, text| all + text))
}

/// Reasoning in blocks, where any has a signature or is hidden: only then can it come back to its provider.
fn thinking_blocks(parts: &[Part]) -> Option<Vec<Value>> {
    let signed = parts.iter().any(|part| {
        matches!(part, Part::RedactedReasoning { .. } | Part::Reasoning { signature: Some(_), .. })
    });
    let block = |part: &Part| match part {
        Part::Reasoning { text, signature } => {
            Some(json!({"type": "thinking", "thinking": text, "signature": signature}))
        }
        Part::RedactedReasoning { data } => Some(json!({"type": "redacted_thinking", "data": data})),
        _ => None,
    };
    signed.then(|| parts.iter().filter_map(block).collect())
}
