//! An upstream's whole answer into the canonical one.

use std::borrow::Cow;

use gatewright_core::chat::{Answer, Choice, Extra, Finish, Part};
use gatewright_core::{Error, ErrorKind, Result};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::usage::UsageIn;
use super::words::{self, JSON_TOOL};
use super::{content_decode as content, error};
use crate::scan::Scanner;

#[derive(Default)]
struct Message<'a> {
    kind: Option<Cow<'a, str>>,
    id: Cow<'a, str>,
    model: Cow<'a, str>,
    parts: Vec<Part>,
    stop_reason: Option<Cow<'a, str>>,
    stop_sequence: Option<Cow<'a, str>>,
    usage: Option<UsageIn>,
    extra: Extra,
}

/// Reads the answer.
pub(super) fn reply(body: &[u8]) -> Result<Answer> {
    let message = Message::read(body);
    let Some((kind, message)) = message.and_then(|mut message| Some((message.kind.take()?, message))) else {
        return Err(match serde_json::from_slice::<IgnoredAny>(body) {
            Err(err) => malformed(&err),
            Ok(_) => unreadable("a field of it is of the wrong kind"),
        });
    };
    match &*kind {
        "message" => Ok(answer(message)),
        "error" => Err(error::from_event(body)),
        _ => Err(Error::new(ErrorKind::BadGateway, "the provider's answer is no message")),
    }
}

impl<'a> Message<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        let mut message = Self::default();
        let mut s = Scanner::new(body);
        s.object(|s, field| {
            match &*field.name()? {
                b"type" => message.kind = Some(s.text()?),
                b"id" => message.id = s.text()?,
                b"model" => message.model = s.text()?,
                b"content" => message.parts = parts(s)?,
                b"stop_reason" => message.stop_reason = s.text_or_null()?,
                b"stop_sequence" => message.stop_sequence = s.text_or_null()?,
                b"usage" => message.usage = s.value()?,
                key @ (b"stop_details" | b"container" | b"context_management") => {
                    let value: Option<Value> = s.value()?;
                    let key = std::str::from_utf8(key).ok()?;
                    message.extra.extend(value.map(|value| (key.to_owned(), value)));
                }
                _ => {}
            }
            Some(())
        })?;
        s.end()?;
        Some(message)
    }
}

fn parts(s: &mut Scanner<'_>) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    s.array(|s| {
        let plain = s.plain_text().map(Part::text);
        parts.push(match plain {
            Some(text) => text,
            None => {
                let at = s.skip()?;
                content::part(s.slice(&at)).ok()?
            }
        });
        Some(())
    })?;
    Some(parts)
}

/// An answer that the dialect does not know. The parser's own words may quote the answer, so only its verdict and the
/// place are told.
pub(crate) fn malformed(err: &serde_json::Error) -> Error {
    unreadable(format!("{:?} error at line {} column {}", err.classify(), err.line(), err.column()))
}

/// An answer that cannot be read; `detail` is for the log.
pub(crate) fn unreadable(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadGateway, "the provider's answer could not be read").with_detail(detail)
}

/// The words in which a model declined, where the provider gives them.
pub(super) fn refusal(stop_details: Option<&Value>) -> Option<String> {
    let text = stop_details?.get("explanation")?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn answer(message: Message<'_>) -> Answer {
    let mut parts = message.parts;
    let mut finish = message.stop_reason.as_deref().map(words::finish).unwrap_or_default();
    unwrap_json_tool(&mut parts, &mut finish);
    if let Some(text) = refusal(message.extra.get("stop_details")) {
        parts.push(Part::Refusal(text));
    }
    let tier = message.usage.as_ref().and_then(|usage| usage.service_tier.as_deref());
    Answer {
        id: message.id.into_owned(),
        model: message.model.into_owned(),
        created: 0,
        service_tier: tier.map(|tier| words::tier_in(tier).to_owned()),
        usage: message.usage.as_ref().map(UsageIn::usage),
        choices: vec![Choice {
            index: 0,
            parts,
            finish,
            stop_sequence: message.stop_sequence.map(Cow::into_owned),
            logprobs: None,
            extra: Extra::new(),
        }],
        extra: message.extra,
    }
}

/// A call of the tool that stands for JSON output is the answer's text. Where it is the only call, what else the
/// model said would spoil the JSON, and the turn is over.
pub(crate) fn unwrap_json_tool(parts: &mut Vec<Part>, finish: &mut Finish) {
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
