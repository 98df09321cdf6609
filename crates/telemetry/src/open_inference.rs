//! OpenInference's attributes, which Arize and Phoenix read: the same facts in their names.

use std::sync::Arc;

use gatewright_core::chat::{Answer, Chat, MediaSource, Part};
use gatewright_core::{Call, Operation, Usage};
use opentelemetry::{KeyValue, Value};
use serde_json::{Map, json};

use crate::content::{Room, role};
use crate::ending::count;
use crate::semconv;

/// What kind of step a span is; every one has it.
pub(crate) const KIND: &str = "openinference.span.kind";

/// A conversation's newest messages; each is some attributes.
const MOST_MESSAGES: usize = 64;

/// What is known from the beginning; `told` has it under the conventions' names already.
pub(crate) fn tell_call(call: &Call, told: &mut Vec<KeyValue>) {
    let kind = match call.operation {
        Operation::Embeddings => "EMBEDDING",
        Operation::Rerank => "RERANKER",
        _ => "LLM",
    };
    let parameters: Map<String, serde_json::Value> = told.iter().filter_map(parameter).collect();
    let tags = told.iter().find(|pair| pair.key.as_str() == semconv::TAGS).map(|pair| pair.value.clone());
    told.push(KeyValue::new(KIND, kind));
    told.push(KeyValue::new("llm.invocation_parameters", serde_json::Value::Object(parameters).to_string()));
    told.extend(tags.map(|tags| KeyValue::new("tag.tags", tags)));
}

fn parameter(pair: &KeyValue) -> Option<(String, serde_json::Value)> {
    let name = pair.key.as_str().strip_prefix("gen_ai.request.")?;
    let value = match &pair.value {
        Value::I64(number) => json!(number),
        Value::F64(number) => json!(number),
        _ => return None,
    };
    Some((name.to_owned(), value))
}

/// Who was asked.
pub(crate) struct Asked<'a> {
    pub(crate) operation: Operation,
    /// The model, by the name that the client has for it.
    pub(crate) model: &'a Arc<str>,
    pub(crate) provider: Option<Arc<str>>,
}

/// What was used, and what was answered where that is told; `told` has the model that answered and the cost already.
pub(crate) fn tell_end(
    asked: Asked<'_>,
    usage: Option<&Usage>,
    answer: Option<&Answer>,
    told: &mut Vec<KeyValue>,
) {
    let known =
        |name: &str| told.iter().find(|pair| pair.key.as_str() == name).map(|pair| pair.value.clone());
    let (model, cost) = (known(semconv::RESPONSE_MODEL), known(semconv::COST));
    let name = match asked.operation {
        Operation::Embeddings => "embedding.model_name",
        Operation::Rerank => "reranker.model_name",
        _ => "llm.model_name",
    };
    told.push(KeyValue::new(name, model.unwrap_or_else(|| asked.model.clone().into())));
    told.extend(asked.provider.map(|provider| KeyValue::new("llm.provider", provider)));
    told.extend(cost.map(|cost| KeyValue::new("llm.cost.total", cost)));
    if let Some(usage) = usage {
        let counts = [
            ("llm.token_count.prompt", usage.total_input()),
            ("llm.token_count.completion", usage.output),
            ("llm.token_count.total", usage.total()),
            ("llm.token_count.prompt_details.cache_read", usage.cache_read),
            ("llm.token_count.prompt_details.cache_write", usage.cache_write()),
            ("llm.token_count.completion_details.reasoning", usage.reasoning),
        ];
        told.extend(
            counts.into_iter().filter(|(_, tokens)| *tokens > 0).map(|(name, tokens)| count(name, tokens)),
        );
    }
    if let Some(answer) = answer {
        tell_answer(answer, told);
    }
}

/// What was asked, the newest messages first in room and last in order.
pub(crate) fn tell_question(chat: &Chat, room: &mut Room, told: &mut Vec<KeyValue>) {
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
    let known =
        |name: &str| told.iter().find(|pair| pair.key.as_str() == name).map(|pair| pair.value.clone());
    if let Some(messages) = known(semconv::INPUT_MESSAGES) {
        told.push(KeyValue::new("input.value", messages));
        told.push(KeyValue::new("input.mime_type", "application/json"));
    }
}

fn tell_answer(answer: &Answer, told: &mut Vec<KeyValue>) {
    let known =
        |name: &str| told.iter().find(|pair| pair.key.as_str() == name).map(|pair| pair.value.clone());
    let messages = known(semconv::OUTPUT_MESSAGES);
    // What is told in the conventions' form is bounded; the same bound holds here.
    let mut room = Room::new(messages.as_ref().map_or(0, |messages| messages.as_str().len()));
    for (place, choice) in answer.choices.iter().take(MOST_MESSAGES).enumerate() {
        let prefix = format!("llm.output_messages.{place}.message");
        tell_message(&prefix, ("assistant", &choice.parts), &mut room, told);
    }
    if let Some(messages) = messages {
        told.push(KeyValue::new("output.value", messages));
        told.push(KeyValue::new("output.mime_type", "application/json"));
    }
}

fn tell_message(
    prefix: &str,
    (role, parts): (&'static str, &[Part]),
    room: &mut Room,
    told: &mut Vec<KeyValue>,
) {
    told.push(KeyValue::new(format!("{prefix}.role"), role));
    if let [Part::Text { text, .. }] = parts {
        told.push(KeyValue::new(format!("{prefix}.content"), room.text(text).to_owned()));
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
                told.extend([
                    KeyValue::new(format!("{prefix}.id"), call.id.clone()),
                    KeyValue::new(format!("{prefix}.function.name"), call.name.clone()),
                    KeyValue::new(
                        format!("{prefix}.function.arguments"),
                        room.text(&call.arguments).to_owned(),
                    ),
                ]);
            }
            Part::ToolResult(result) => {
                told.push(KeyValue::new(format!("{prefix}.tool_call_id"), result.id.clone()));
                let text = result.parts.iter().filter_map(text_of).collect::<String>();
                told.push(KeyValue::new(format!("{prefix}.content"), room.text(&text).to_owned()));
            }
            part => {
                let prefix = format!("{prefix}.contents.{contents}.message_content");
                if let Some((kind, name, text)) = content(part) {
                    contents += 1;
                    told.push(KeyValue::new(format!("{prefix}.type"), kind));
                    told.push(KeyValue::new(format!("{prefix}.{name}"), room.text(text).to_owned()));
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
