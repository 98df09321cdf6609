//! OpenInference's attributes, which Arize and Phoenix read: the same facts in their names.

use std::sync::Arc;

use gatewright_core::chat::{Answer, Chat, MediaSource, Part};
use gatewright_core::{Call, Operation, Usage};
use serde_json::Map;

use crate::attributes::{Attributes, Value};
use crate::content::{Room, role};
use crate::semconv;

/// What kind of step a span is; every one has it.
pub(crate) const KIND: &str = "openinference.span.kind";

/// A conversation's newest messages; each is some attributes.
const MOST_MESSAGES: usize = 64;

/// What is known from the beginning; `told` has it under the conventions' names already.
pub(crate) fn tell_call(call: &Call, told: &mut Attributes) {
    let kind = match call.operation {
        Operation::Embeddings => "EMBEDDING",
        Operation::Rerank => "RERANKER",
        _ => "LLM",
    };
    let parameters: Map<String, serde_json::Value> = told.told().filter_map(parameter).collect();
    told.put(KIND, kind);
    told.put("llm.invocation_parameters", &serde_json::Value::Object(parameters).to_string());
    told.again(semconv::TAGS, "tag.tags");
}

fn parameter((key, value): (&str, Value<'_>)) -> Option<(String, serde_json::Value)> {
    let name = key.strip_prefix("gen_ai.request.")?;
    matches!(value, Value::Whole(_) | Value::Real(_)).then(|| (name.to_owned(), value.json()))
}

/// Who was asked.
pub(crate) struct Asked<'a> {
    pub(crate) operation: Operation,
    /// The model, by the name that the client has for it.
    pub(crate) model: &'a Arc<str>,
    pub(crate) provider: Option<&'a Arc<str>>,
}

/// What was used, and what was answered where that is told; `told` has the model that answered and the cost already.
pub(crate) fn tell_end(
    asked: &Asked<'_>,
    usage: Option<&Usage>,
    answer: Option<&Answer>,
    told: &mut Attributes,
) {
    let name = match asked.operation {
        Operation::Embeddings => "embedding.model_name",
        Operation::Rerank => "reranker.model_name",
        _ => "llm.model_name",
    };
    if !told.again(semconv::RESPONSE_MODEL, name) {
        told.put(name, asked.model);
    }
    if let Some(provider) = asked.provider {
        told.put("llm.provider", provider);
    }
    told.again(semconv::COST, "llm.cost.total");
    if let Some(usage) = usage {
        for (name, tokens) in [
            ("llm.token_count.prompt", usage.total_input()),
            ("llm.token_count.completion", usage.output),
            ("llm.token_count.total", usage.total()),
            ("llm.token_count.prompt_details.cache_read", usage.cache_read),
            ("llm.token_count.prompt_details.cache_write", usage.cache_write()),
            ("llm.token_count.completion_details.reasoning", usage.reasoning),
        ] {
            if tokens > 0 {
                told.put(name, tokens);
            }
        }
    }
    if let Some(answer) = answer {
        tell_answer(answer, told);
    }
}

/// What was asked, the newest messages first in room and last in order.
pub(crate) fn tell_question(chat: &Chat, room: &mut Room, told: &mut Attributes) {
    let first = chat.turns.len().saturating_sub(MOST_MESSAGES);
    let turns = chat.turns.get(first..).unwrap_or_default();
    for (place, turn) in turns.iter().enumerate().rev() {
        if room.is_open() {
            tell_message(
                &format!("llm.input_messages.{place}.message"),
                (role(turn), &turn.parts),
                room,
                told,
            );
        }
    }
    if told.again(semconv::INPUT_MESSAGES, "input.value") {
        told.put("input.mime_type", "application/json");
    }
}

fn tell_answer(answer: &Answer, told: &mut Attributes) {
    // What is told in the conventions' form is bounded; the same bound holds here.
    let bound = match told.find(semconv::OUTPUT_MESSAGES) {
        Some(Value::Text(messages)) => messages.len(),
        _ => 0,
    };
    let mut room = Room::new(bound);
    for (place, choice) in answer.choices.iter().take(MOST_MESSAGES).enumerate() {
        let prefix = format!("llm.output_messages.{place}.message");
        tell_message(&prefix, ("assistant", &choice.parts), &mut room, told);
    }
    if told.again(semconv::OUTPUT_MESSAGES, "output.value") {
        told.put("output.mime_type", "application/json");
    }
}

fn tell_message(
    prefix: &str,
    (role, parts): (&'static str, &[Part]),
    room: &mut Room,
    told: &mut Attributes,
) {
    told.put(&format!("{prefix}.role"), role);
    if let [Part::Text { text, .. }] = parts {
        told.put(&format!("{prefix}.content"), room.text(text));
        return;
    }
    let (mut contents, mut calls) = (0, 0);
    for part in parts.iter().take(MOST_MESSAGES) {
        if !room.is_open() {
            return;
        }
        match part {
            Part::ToolCall(call) => {
                let prefix = format!("{prefix}.tool_calls.{calls}.tool_call");
                calls += 1;
                told.put(&format!("{prefix}.id"), &*call.id);
                told.put(&format!("{prefix}.function.name"), &*call.name);
                told.put(&format!("{prefix}.function.arguments"), room.text(&call.arguments));
            }
            Part::ToolResult(result) => {
                told.put(&format!("{prefix}.tool_call_id"), &*result.id);
                let text = result.parts.iter().filter_map(text_of).collect::<String>();
                told.put(&format!("{prefix}.content"), room.text(&text));
            }
            part => {
                let prefix = format!("{prefix}.contents.{contents}.message_content");
                if let Some((kind, name, text)) = content(part) {
                    contents += 1;
                    told.put(&format!("{prefix}.type"), kind);
                    told.put(&format!("{prefix}.{name}"), room.text(text));
                }
            }
        }
    }
}

/// Its kind, the name of its text, and the text.
fn content(part: &Part) -> Option<(&'static str, &'static str, &str)> {
    match part {
        Part::Media(media) => match &media.source {
            MediaSource::Url(url) => Some(("image", "image.image.url", url)),
            MediaSource::Text(text) => Some(("text", "text", text)),
            MediaSource::Base64 { .. } | MediaSource::File(_) => None,
        },
        Part::Reasoning { text, .. } => Some(("reasoning", "text", text)),
        part => text_of(part).map(|text| ("text", "text", text)),
    }
}

fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text { text, .. } | Part::Refusal(text) => Some(text),
        _ => None,
    }
}
