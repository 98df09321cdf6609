//! An upstream's answer, whole or a line of its stream.

use std::borrow::Cow;

use gatewright_core::chat::{Answer, Choice, Extra, Part};
use gatewright_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error;
use super::words::{self, CallIn, Counts};
use crate::json::tells;

/// One line of a stream, or all there is.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow, default)]
    pub(super) model: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) created_at: Cow<'a, str>,
    pub(super) message: Option<Message>,
    #[serde(default)]
    pub(super) done: bool,
    #[serde(borrow)]
    pub(super) done_reason: Option<Cow<'a, str>>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    pub(super) logprobs: Option<Vec<Value>>,
    error: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) content: String,
    pub(super) thinking: Option<String>,
    pub(super) tool_calls: Option<Vec<CallIn>>,
}

/// Reads the answer.
pub(super) fn reply(body: &[u8]) -> Result<Answer> {
    let line = Line::read(body)?;
    let usage = line.counts().usage();
    let Some(message) = line.message else {
        return Err(Error::new(ErrorKind::BadGateway, "the provider's answer is no message"));
    };
    let parts = message.parts(&line.created_at);
    let reason = line.done_reason.as_deref().unwrap_or_default();
    Ok(Answer {
        model: line.model.into_owned(),
        choices: vec![Choice {
            index: 0,
            finish: words::finish(reason, parts.iter().any(words::is_call)),
            parts,
            stop_sequence: None,
            logprobs: line.logprobs.filter(|tokens| !tokens.is_empty()).map(logprobs),
            extra: Extra::new(),
        }],
        usage,
        ..Answer::default()
    })
}

/// The server tells likelihoods as OpenAI does.
pub(super) fn logprobs(tokens: Vec<Value>) -> Value {
    json!({"content": tokens, "refusal": null})
}

/// An answer that the dialect does not know. The parser's own words may quote the answer, so only its verdict and the
/// place are told.
pub(super) fn malformed(err: &serde_json::Error) -> Error {
    let detail = format!("{:?} error at line {} column {}", err.classify(), err.line(), err.column());
    Error::new(ErrorKind::BadGateway, "the provider's answer could not be read").with_detail(detail)
}

// === impl Line ===

impl<'a> Line<'a> {
    /// Reads one. An error is an `Err`.
    pub(super) fn read(data: &'a [u8]) -> Result<Self> {
        let line: Self = serde_json::from_slice(data).map_err(|err| malformed(&err))?;
        match &line.error {
            Some(told) if tells(told) => Err(error::inside(told)),
            _ => Ok(line),
        }
    }

    /// The counts in it.
    pub(super) fn counts(&self) -> Counts {
        Counts { prompt_eval_count: self.prompt_eval_count, eval_count: self.eval_count }
    }
}

impl Message {
    fn parts(self, moment: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        let thought = self.thinking.filter(|text| !text.is_empty());
        parts.extend(thought.map(|text| Part::Reasoning { text, signature: None }));
        parts.extend((!self.content.is_empty()).then(|| Part::text(self.content)));
        for (number, call) in (0..).zip(self.tool_calls.into_iter().flatten()) {
            parts.push(Part::ToolCall(call.read(|| words::call_id(moment, number))));
        }
        parts
    }
}
