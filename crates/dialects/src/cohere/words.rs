//! The words of the dialect that mean the same in requests, answers and streams.

use gatewright_core::chat::Finish;
use gatewright_core::{Error, ErrorKind};

/// Why the model stopped, from the wire. A word that is not known yet ends the turn like any other.
pub(super) fn finish(word: &str) -> Finish {
    match word {
        "MAX_TOKENS" => Finish::Length,
        "STOP_SEQUENCE" => Finish::StopSequence,
        "TOOL_CALL" => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// Why the model stopped, for the wire.
pub(super) fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Refusal | Finish::Pause => "COMPLETE",
        Finish::StopSequence => "STOP_SEQUENCE",
        Finish::Length | Finish::ContextWindow => "MAX_TOKENS",
        Finish::ToolCalls | Finish::FunctionCall => "TOOL_CALL",
        Finish::ContentFilter => FAILED,
    }
}

/// The word for an answer that went wrong.
pub(super) const FAILED: &str = "ERROR";

/// An answer that says of itself that it went wrong, though its status says that all is well.
pub(super) fn failure(word: &str, told: Option<&str>) -> Option<Error> {
    let (kind, words) = match word {
        FAILED => (ErrorKind::Upstream, "the provider failed while it answered"),
        "TIMEOUT" => (ErrorKind::Timeout, "the provider took too long to answer"),
        _ => return None,
    };
    Some(Error::new(kind, told.filter(|told| !told.is_empty()).unwrap_or(words).to_owned()))
}
