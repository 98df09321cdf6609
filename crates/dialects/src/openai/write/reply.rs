//! A whole answer for a client.

use bytes::Bytes;
use gatewright_core::ReplyStyle;
use gatewright_core::chat::{Answer, Choice, Part};
use serde_json::{Map, Value, json};

use super::{function_call, reasoning_text, thinking_blocks};
use crate::json::object;
use crate::openai::relay::answer_id;
use crate::openai::{finish, usage};

/// Extras of a choice that stand beside its message and not in it.
const BESIDE: &[&str] =
    &["content_filter_results", "native_finish_reason", "stop_reason", "token_ids", "seed", "text"];

/// Writes an answer.
pub(in crate::openai) fn write(answer: &Answer, style: &ReplyStyle) -> Bytes {
    let mut body = Map::new();
    let id = if answer.id.is_empty() { answer_id(style.attempt) } else { answer.id.clone() };
    body.insert("id".into(), id.into());
    body.insert("object".into(), "chat.completion".into());
    let created = if answer.created == 0 { style.created } else { answer.created };
    body.insert("created".into(), created.into());
    body.insert("model".into(), (&*style.model).into());
    body.insert("choices".into(), answer.choices.iter().map(|one| choice(one, style)).collect());
    body.extend(answer.usage.as_ref().map(|used| ("usage".to_owned(), usage::write(used))));
    body.extend(answer.service_tier.as_deref().map(|tier| ("service_tier".to_owned(), tier.into())));
    add_missing(&mut body, &answer.extra);
    object(&body)
}

fn choice(choice: &Choice, style: &ReplyStyle) -> Value {
    let mut wire = Map::new();
    wire.insert("index".into(), choice.index.into());
    let mut message = message(&choice.parts);
    let (beside, inside): (Vec<_>, Vec<_>) =
        choice.extra.iter().partition(|(key, _)| BESIDE.contains(&key.as_str()));
    for (key, value) in inside {
        match (message.get_mut(key), value) {
            // Annotations of kinds that have no canonical form stand beside the converted ones.
            (Some(Value::Array(ours)), Value::Array(theirs)) => ours.extend(theirs.iter().cloned()),
            (Some(_), _) => {}
            (None, value) => drop(message.insert(key.clone(), value.clone())),
        }
    }
    if style.older_functions {
        call_as_function(&mut message);
    }
    wire.insert("message".into(), Value::Object(message));
    wire.insert(
        "finish_reason".into(),
        finish::word(finish::shown(choice.finish, style.older_functions)).into(),
    );
    wire.extend(choice.logprobs.clone().map(|value| ("logprobs".to_owned(), value)));
    wire.extend(choice.stop_sequence.as_deref().map(|text| ("stop_reason".to_owned(), text.into())));
    for (key, value) in beside {
        wire.entry(key.clone()).or_insert_with(|| value.clone());
    }
    Value::Object(wire)
}

fn message(parts: &[Part]) -> Map<String, Value> {
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    let mut text: Option<String> = None;
    let mut refusal = String::new();
    let (mut calls, mut annotations, mut cited, mut others) = (vec![], vec![], vec![], vec![]);
    for part in parts {
        match part {
            Part::Text { text: more, citations, .. } => {
                let all = text.get_or_insert_default();
                let start = all.chars().count();
                all.push_str(more);
                let span = (start, start + more.chars().count());
                annotations.extend(citations.iter().filter_map(|citation| annotation(citation, span)));
                let own: Vec<Value> = citations.iter().filter(|citation| is_own(citation)).cloned().collect();
                cited.extend((!own.is_empty()).then_some(Value::Array(own)));
            }
            Part::ToolCall(call) => calls.push(Value::Object(function_call(call))),
            Part::Refusal(more) => refusal.push_str(more),
            Part::Other(value) => others.push(value.clone()),
            Part::Reasoning { .. }
            | Part::RedactedReasoning { .. }
            | Part::Media(_)
            | Part::ToolResult(_) => {}
        }
    }
    message.insert("content".into(), text.map_or(Value::Null, Value::from));
    message.extend(reasoning_text(parts).map(|text| ("reasoning_content".to_owned(), text.into())));
    message.extend(thinking_blocks(parts).map(|blocks| ("thinking_blocks".to_owned(), blocks.into())));
    let lists = [("tool_calls", calls), ("annotations", annotations)];
    message
        .extend(lists.into_iter().filter(|(_, l)| !l.is_empty()).map(|(key, l)| (key.to_owned(), l.into())));
    if !refusal.is_empty() {
        message.insert("refusal".into(), refusal.into());
    }
    message
        .extend(provider_fields(cited, others).map(|fields| ("provider_specific_fields".to_owned(), fields)));
    message
}

/// The older form has one call, and no id.
fn call_as_function(message: &mut Map<String, Value>) {
    let Some(calls) = message.shift_remove("tool_calls") else { return };
    if let Some(function) = calls.get(0).and_then(|call| call.get("function")) {
        message.insert("function_call".into(), function.clone());
    }
}

/// A citation of the web as an annotation of the text between `span`.
pub(super) fn annotation(citation: &Value, span: (usize, usize)) -> Option<Value> {
    let url = citation.get("url")?;
    let start = citation.get("start_index").cloned().unwrap_or_else(|| span.0.into());
    let end = citation.get("end_index").cloned().unwrap_or_else(|| span.1.into());
    let title = citation.get("title").filter(|title| !title.is_null()).cloned().unwrap_or_else(|| "".into());
    Some(json!({
        "type": "url_citation",
        "url_citation": {"start_index": start, "end_index": end, "url": url, "title": title},
    }))
}

/// Whether a citation is Anthropic's own, which says more than an annotation holds.
pub(super) fn is_own(citation: &Value) -> bool {
    citation.get("encrypted_index").is_none_or(|index| index.as_str().is_some_and(|index| !index.is_empty()))
}

/// Where LiteLLM's clients look for a block that this dialect has no field for.
pub(super) fn home(block: &Value) -> &'static str {
    match block.get("type").and_then(Value::as_str) {
        Some("web_search_tool_result") => "web_search_results",
        Some(kind) if kind.ends_with("_tool_result") => "tool_results",
        _ => "blocks",
    }
}

/// What this dialect has no field for. The citations are those of each text in a list of its own.
fn provider_fields(citations: Vec<Value>, blocks: Vec<Value>) -> Option<Value> {
    let mut fields = Map::new();
    if !citations.is_empty() {
        fields.insert("citations".into(), citations.into());
    }
    for block in blocks {
        if let Value::Array(list) = fields.entry(home(&block)).or_insert_with(|| json!([])) {
            list.push(block);
        }
    }
    (!fields.is_empty()).then_some(Value::Object(fields))
}

fn add_missing(body: &mut Map<String, Value>, extra: &Map<String, Value>) {
    for (key, value) in extra {
        body.entry(key.clone()).or_insert_with(|| value.clone());
    }
}
