//! The canonical answer into a client's.

use bytes::Bytes;
use gatewright_core::chat::{Answer, Part};
use gatewright_core::{ReplyStyle, Usage};
use serde::Serialize;
use serde_json::Value;

use super::message::Call;
use super::{time, words};
use crate::json::json;

/// One line of a stream, or all there is.
#[derive(Serialize)]
pub(super) struct LineOut<'a> {
    pub(super) model: &'a str,
    pub(super) created_at: &'a str,
    pub(super) message: MessageOut<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<&'a Value>,
    pub(super) done: bool,
    #[serde(flatten)]
    pub(super) end: Option<End>,
}

/// What is said.
#[derive(Default, Serialize)]
pub(super) struct MessageOut<'a> {
    pub(super) role: Model,
    pub(super) content: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) thinking: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tool_calls: Vec<Call<'a>>,
}

/// Only the model answers.
#[derive(Default, Serialize)]
pub(super) enum Model {
    #[default]
    #[serde(rename = "assistant")]
    Assistant,
}

/// What only the last line says.
#[derive(Serialize)]
pub(super) struct End {
    done_reason: &'static str,
    prompt_eval_count: u64,
    eval_count: u64,
}

/// Writes the answer. The dialect has one choice only; its clients cannot ask for more.
pub(super) fn reply(answer: &Answer, style: &ReplyStyle) -> Bytes {
    let choice = answer.choices.first();
    let (mut content, mut thinking, mut tool_calls) = (String::new(), String::new(), Vec::new());
    for part in choice.map_or(&[][..], |choice| &choice.parts) {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => content.push_str(text),
            Part::Reasoning { text, .. } => thinking.push_str(text),
            Part::ToolCall(call) => tool_calls.push(Call::new(call)),
            Part::Media(_) | Part::ToolResult(_) | Part::RedactedReasoning { .. } | Part::Other(_) => {}
        }
    }
    let finish = choice.map(|choice| choice.finish).unwrap_or_default();
    let logprobs = choice.and_then(|choice| choice.logprobs.as_ref()?.get("content"));
    json(&LineOut {
        model: &style.model,
        created_at: &time::written(if answer.created == 0 { style.created } else { answer.created }),
        message: MessageOut { content: &content, thinking: &thinking, tool_calls, ..MessageOut::default() },
        logprobs,
        done: true,
        end: Some(End::new(words::done_reason(finish), &answer.usage.unwrap_or_default())),
    })
}

// === impl End ===

impl End {
    /// The end of an answer.
    pub(super) fn new(done_reason: &'static str, usage: &Usage) -> Self {
        Self { done_reason, prompt_eval_count: usage.total_input(), eval_count: usage.output }
    }
}
