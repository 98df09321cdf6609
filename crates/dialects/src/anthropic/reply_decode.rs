//! An upstream's whole answer into the canonical one.

use std::borrow::Cow;

use gatewright_core::chat::{Answer, Choice, Extra, Finish, Part};
use gatewright_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::usage::UsageIn;
use super::words::{self, JSON_TOOL};
use super::{content_decode as content, error};

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(default, borrow)]
    content: Vec<&'a RawValue>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    stop_details: Option<Value>,
    container: Option<Value>,
    context_management: Option<Value>,
    usage: Option<UsageIn>,
}

/// Reads the answer.
pub(super) fn reply(body: &[u8]) -> Result<Answer> {
    let message: Message<'_> = serde_json::from_slice(body).map_err(|err| malformed(&err))?;
    match &*message.kind {
        "message" => answer(message),
        "error" => Err(error::from_event(body)),
        _ => Err(Error::new(ErrorKind::BadGateway, "the provider's answer is no message")),
    }
}

/// An answer that the dialect does not know. The parser's own words may quote the answer, so only its verdict and the
/// place are told.
pub(super) fn malformed(err: &serde_json::Error) -> Error {
    unreadable(format!("{:?} error at line {} column {}", err.classify(), err.line(), err.column()))
}

/// An answer that cannot be read; `detail` is for the log.
pub(super) fn unreadable(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadGateway, "the provider's answer could not be read").with_detail(detail)
}

/// The words in which a model declined, where the provider gives them.
pub(super) fn refusal(stop_details: Option<&Value>) -> Option<String> {
    let text = stop_details?.get("explanation")?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn answer(message: Message<'_>) -> Result<Answer> {
    let parts: serde_json::Result<Vec<Part>> = message.content.into_iter().map(content::part).collect();
    let mut parts = parts.map_err(|err| malformed(&err))?;
    let mut finish = message.stop_reason.as_deref().map(words::finish).unwrap_or_default();
    unwrap_json_tool(&mut parts, &mut finish);
    if let Some(text) = refusal(message.stop_details.as_ref()) {
        parts.push(Part::Refusal(text));
    }
    let mut extra = Extra::new();
    for (key, value) in [
        ("stop_details", message.stop_details),
        ("container", message.container),
        ("context_management", message.context_management),
    ] {
        if let Some(value) = value {
            extra.insert(key.to_owned(), value);
        }
    }
    let tier = message.usage.as_ref().and_then(|usage| usage.service_tier.as_deref());
    Ok(Answer {
        id: message.id,
        model: message.model,
        created: 0,
        service_tier: tier.map(|tier| words::tier_in(tier).to_owned()),
        usage: message.usage.as_ref().map(UsageIn::usage),
        choices: vec![Choice {
            index: 0,
            parts,
            finish,
            stop_sequence: message.stop_sequence,
            logprobs: None,
            extra: Extra::new(),
        }],
        extra,
    })
}

/// A call of the tool that stands for JSON output is the answer's text. Where it is the only call, what else the
/// model said would spoil the JSON, and the turn is over.
fn unwrap_json_tool(parts: &mut Vec<Part>, finish: &mut Finish) {
    let is_answer = |part: &Part| matches!(part, Part::ToolCall(call) if call.name == JSON_TOOL);
    if !parts.iter().any(is_answer) {
        return;
    }
    let alone = parts.iter().all(|part| is_answer(part) || !matches!(part, Part::ToolCall(_)));
    if alone {
        parts.retain(|part| !matches!(part, Part::Text { .. }));
        if *finish == Finish::ToolCalls {
            *finish = Finish::Stop;
        }
    }
    for part in parts {
        if let Part::ToolCall(call) = part
            && call.name == JSON_TOOL
        {
            *part = Part::text(std::mem::take(&mut call.arguments));
        }
    }
}
