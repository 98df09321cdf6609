//! The canonical answer into a client's.

use bytes::Bytes;
use gatewright_core::ReplyStyle;
use gatewright_core::chat::Answer;
use serde::Serialize;

use super::message_encode::Message;
use super::usage::UsageOut;
use super::{logprobs, words};
use crate::json::json;

#[derive(Serialize)]
struct Reply<'a> {
    id: &'a str,
    message: Message<'a>,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logprobs: Vec<logprobs::Piece>,
    usage: UsageOut,
}

/// Writes the answer. The dialect has one choice only; its clients cannot ask for more.
pub(super) fn reply(answer: &Answer, style: &ReplyStyle) -> Bytes {
    let choice = answer.choices.first();
    let parts = choice.map_or(&[][..], |choice| &choice.parts);
    let attempt = style.attempt.to_string();
    json(&Reply {
        id: if answer.id.is_empty() { &attempt } else { &answer.id },
        message: Message::new(parts, true),
        finish_reason: words::finish_reason(choice.map(|choice| choice.finish).unwrap_or_default()),
        logprobs: choice
            .and_then(|choice| choice.logprobs.as_ref())
            .map(logprobs::written)
            .unwrap_or_default(),
        usage: UsageOut::from(&answer.usage.unwrap_or_default()),
    })
}
