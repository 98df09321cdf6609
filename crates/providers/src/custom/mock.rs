//! LiteLLM's `mock_response`: an answer without an upstream, plain or streamed; also the demo model.

use std::sync::Arc;

use gatewright_core::chat::{Answer, Choice, Extra, Finish, Part};
use gatewright_core::{
    Call, Clock, Error, ErrorKind, Frames, Head, Operation, Reply, Result, ServedBy, SystemClock, Target,
    Usage,
};

use crate::{fault, reply};

/// What is answered instead of asking a model.
pub(crate) struct Canned(Outcome);

enum Outcome {
    Text(String),
    Failure(ErrorKind),
}

// === impl Canned ===

impl Canned {
    /// A text, or the name of one of LiteLLM's exceptions.
    pub(crate) fn new(text: &str) -> Self {
        let failure = match text {
            "litellm.RateLimitError" => Some(ErrorKind::RateLimited),
            "litellm.InternalServerError" => Some(ErrorKind::Upstream),
            "litellm.ContextWindowExceededError" => Some(ErrorKind::ContextWindow),
            "litellm.ContentPolicyViolationError" => Some(ErrorKind::ContentPolicy),
            "litellm.Timeout" => Some(ErrorKind::Timeout),
            _ => None,
        };
        Self(failure.map_or_else(|| Outcome::Text(text.to_owned()), Outcome::Failure))
    }

    /// The answer, in the client's dialect.
    pub(crate) fn answer(&self, call: &Call, target: &Target, served_by: Arc<ServedBy>) -> Result<Reply> {
        if !matches!(call.operation, Operation::Chat | Operation::CountTokens) {
            let words = format!("this deployment is a mock that has no {}", call.operation.as_str());
            return Err(fault::worded(ErrorKind::Unsupported, &served_by.provider, &words));
        }
        let text = match &self.0 {
            Outcome::Text(text) => text,
            Outcome::Failure(kind) => return Err(failure(*kind, &served_by)),
        };
        let input = gatewright_tokens::estimate(call.chat()?);
        let head = Head { served_by: Some(served_by), ..Head::default() };
        if call.operation == Operation::CountTokens {
            let data = call.codec.encode_count(input);
            return Ok(Reply {
                head: head.into(),
                frames: Frames::one(gatewright_core::Frame { data, ..Default::default() }),
            });
        }
        let answer = told(call, text, input);
        let style = reply::style(call, target, &target.shown);
        if call.stream {
            let frame = reply::told_frame(call.codec, &answer, &style);
            return Ok(Reply { head: Box::new(Head { streams: true, ..head }), frames: Frames::one(frame) });
        }
        let frame = reply::whole_frame(call.codec, &answer, &style);
        Ok(Reply { head: head.into(), frames: Frames::one(frame) })
    }
}

fn failure(kind: ErrorKind, served_by: &ServedBy) -> Error {
    fault::worded(kind, &served_by.provider, "this deployment is a mock that fails")
}

fn told(call: &Call, text: &str, input: u64) -> Answer {
    let choice = Choice {
        index: 0,
        parts: vec![Part::text(text)],
        finish: Finish::Stop,
        stop_sequence: None,
        logprobs: None,
        extra: Extra::new(),
    };
    let output = gatewright_tokens::estimate_bytes(text.as_bytes());
    Answer {
        id: format!("chatcmpl-{}", call.id),
        model: call.model.to_string(),
        created: SystemClock.unix_seconds(),
        choices: vec![choice],
        usage: Some(Usage { input, output, cache_in_input: true, ..Usage::default() }),
        service_tier: None,
        extra: Extra::new(),
    }
}
