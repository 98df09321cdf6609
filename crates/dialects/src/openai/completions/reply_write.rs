//! A whole answer for a client.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use gatewright_core::chat::{Answer, Choice, Part};
use gatewright_core::{AttemptId, ReplyStyle};
use serde_json::Value;

use super::{logprobs, prompt};
use crate::json::Fields;
use crate::openai::{finish, usage};

/// Writes an answer.
pub(super) fn write(answer: &Answer, style: &ReplyStyle) -> Bytes {
    let echoed = prompt::echoed(style.asked.as_ref());
    let mut out = BytesMut::with_capacity(1024);
    let mut body = Fields::open(&mut out);
    body.text("id", &completion_id(&answer.id, style.attempt));
    body.text("object", "text_completion");
    body.json("created", if answer.created == 0 { &style.created } else { &answer.created });
    body.text("model", &style.model);
    body.list("choices", &answer.choices, |out, one| choice(out, one, echoed.as_deref().unwrap_or_default()));
    if let Some(used) = &answer.usage {
        body.json("usage", &usage::written(used));
    }
    body.close();
    out.freeze()
}

fn choice(out: &mut BytesMut, choice: &Choice, echoed: &str) {
    let mut wire = Fields::open(out);
    let texts = choice.parts.iter().filter_map(|part| match part {
        Part::Text { text, .. } | Part::Refusal(text) => Some(text.as_str()),
        _ => None,
    });
    let text: String = std::iter::once(echoed).chain(texts).collect();
    wire.text("text", &text);
    wire.json("index", &choice.index);
    let likely = choice.logprobs.as_ref().and_then(|chat| logprobs::from_chat(chat, echoed.chars().count()));
    wire.value("logprobs", &likely.unwrap_or(Value::Null));
    wire.text("finish_reason", finish::word(choice.finish));
    wire.close();
}

/// The answer's id, or ours where its upstream gives none.
pub(super) fn completion_id(id: &str, attempt: AttemptId) -> Cow<'_, str> {
    match id {
        "" => Cow::Owned(format!("cmpl-{attempt}")),
        id => Cow::Borrowed(id),
    }
}
