//! The canonical answer into a client's.

use std::borrow::Cow;

use bytes::Bytes;
use gatewright_core::ReplyStyle;
use gatewright_core::chat::{Answer, Choice, Finish, Part};
use serde::Serialize;
use serde_json::Value;

use super::content_encode::Block;
use super::reply_decode::refusal;
use super::usage::UsageOut;
use super::words;
use crate::json::json;

#[derive(Serialize)]
struct Message<'a> {
    id: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_details: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a Value>,
    usage: UsageOut<'a>,
}

/// Writes the answer. The dialect has one choice only; its clients cannot ask for more.
pub(super) fn reply(answer: &Answer, style: &ReplyStyle) -> Bytes {
    let choice = answer.choices.first();
    let parts = choice.map_or(&[][..], |choice| &choice.parts);
    let stop_details = answer.extra.get("stop_details");
    // What the details say already is not said twice.
    let detailed = refusal(stop_details);
    let is_new = |part: &&Part| !matches!(part, Part::Refusal(text) if Some(text) == detailed.as_ref());
    let message = Message {
        id: message_id(&answer.id, style),
        kind: "message",
        role: "assistant",
        model: &style.model,
        content: parts.iter().filter(is_new).filter_map(Block::of_reply).collect(),
        stop_reason: words::stop_reason(choice.map_or(Finish::Stop, finish)),
        stop_sequence: choice.and_then(|choice| choice.stop_sequence.as_deref()),
        stop_details,
        container: answer.extra.get("container"),
        usage: UsageOut::new(&answer.usage.unwrap_or_default(), answer.service_tier.as_deref()),
    };
    json(&message)
}

/// Clients of this dialect expect ids that begin with `msg_`.
pub(super) fn message_id<'a>(id: &'a str, style: &ReplyStyle) -> Cow<'a, str> {
    if id.starts_with("msg_") {
        return Cow::Borrowed(id);
    }
    Cow::Owned(match id.strip_prefix("chatcmpl-").unwrap_or(id) {
        "" => format!("msg_{}", style.attempt),
        rest => format!("msg_{rest}"),
    })
}

/// A refusal in words ends an OpenAI answer like any other; here the reason says so.
fn finish(choice: &Choice) -> Finish {
    let refused = choice.parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    match choice.finish {
        Finish::Stop if refused => Finish::Refusal,
        finish => finish,
    }
}
