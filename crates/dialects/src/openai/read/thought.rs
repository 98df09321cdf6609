//! Reasoning, in the many places where providers put it.

use gatewright_core::chat::Part;
use serde_json::{Map, Value};

use super::{take_list, take_string};

/// Takes all reasoning out of a message. Blocks with signatures (LiteLLM's, OpenRouter's) win over bare text.
pub(super) fn take(message: &mut Map<String, Value>) -> Vec<Part> {
    let text = take_text(message);
    let blocks = take_list(message, "thinking_blocks").unwrap_or_default();
    let details = take_list(message, "reasoning_details").unwrap_or_default();
    let mut parts: Vec<Part> = blocks.into_iter().filter_map(litellm_block).collect();
    if parts.is_empty() {
        parts = detailed(details);
    }
    let told = parts.iter().any(|part| matches!(part, Part::Reasoning { text, .. } if !text.is_empty()));
    match text {
        Some(text) if !told && !text.is_empty() => give_text(&mut parts, text),
        _ => {}
    }
    parts
}

/// A `thinking` or `redacted_thinking` block of Anthropic's, or Mistral's with a list inside.
pub(super) fn block(object: &mut Map<String, Value>) -> Option<Part> {
    if object.get("type").and_then(Value::as_str) == Some("redacted_thinking") {
        return take_string(object, "data").map(|data| Part::RedactedReasoning { data });
    }
    let text = match object.shift_remove("thinking")? {
        Value::String(text) => text,
        Value::Array(items) => items.iter().filter_map(|item| item.get("text")?.as_str()).collect(),
        other => {
            object.insert("thinking".into(), other);
            return None;
        }
    };
    let signature = take_string(object, "signature").filter(|signature| !signature.is_empty());
    Some(Part::Reasoning { text, signature })
}

/// The text of reasoning, under whichever name.
pub(super) fn take_text(message: &mut Map<String, Value>) -> Option<String> {
    let ours = take_string(message, "reasoning_content").filter(|text| !text.is_empty());
    let theirs = take_string(message, "reasoning");
    ours.or(theirs)
}

fn litellm_block(value: Value) -> Option<Part> {
    match value {
        Value::Object(mut object) => block(&mut object),
        _ => None,
    }
}

/// OpenRouter's `reasoning_details`. Its summaries are left alone: what may be shown stands in `reasoning` too.
pub(super) fn detailed(details: Vec<Value>) -> Vec<Part> {
    let mut parts = Vec::new();
    for detail in details {
        let text_of = |key: &str| detail.get(key).and_then(Value::as_str).map(str::to_owned);
        match detail.get("type").and_then(Value::as_str) {
            Some("reasoning.text") => parts.push(Part::Reasoning {
                text: text_of("text").unwrap_or_default(),
                signature: text_of("signature").filter(|signature| !signature.is_empty()),
            }),
            Some("reasoning.encrypted") => {
                parts.extend(text_of("data").map(|data| Part::RedactedReasoning { data }));
            }
            _ => {}
        }
    }
    parts
}

/// Puts the text into the block that has a signature and no text, or before all others.
fn give_text(parts: &mut Vec<Part>, told: String) {
    let empty = parts.iter_mut().find_map(|part| match part {
        Part::Reasoning { text, .. } => Some(text),
        _ => None,
    });
    match empty {
        Some(text) => *text = told,
        None => parts.insert(0, Part::Reasoning { text: told, signature: None }),
    }
}
