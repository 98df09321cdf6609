//! How an answer ends: statuses, reasons, and failures inside a good answer.

use bytes::Bytes;
use gatewright_core::chat::{Finish, Part};
use gatewright_core::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::openai::fault;

/// The ends of an answer in this dialect's words.
pub(super) struct Ending {
    pub(super) status: &'static str,
    /// Why it is incomplete.
    pub(super) reason: Option<&'static str>,
}

/// What an answer of this status means, as far as it is an answer.
pub(super) fn finish(status: &str, reason: Option<&str>, parts: &[Part]) -> Finish {
    match (status, reason) {
        ("incomplete", Some("content_filter")) => Finish::ContentFilter,
        ("incomplete", _) => Finish::Length,
        _ if parts.iter().any(|part| matches!(part, Part::ToolCall(_))) => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// How a client is told why an answer ended.
pub(super) fn ending(finish: Finish) -> Ending {
    let reason = match finish {
        Finish::Length | Finish::ContextWindow | Finish::Pause => Some("max_output_tokens"),
        Finish::ContentFilter => Some("content_filter"),
        Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::FunctionCall | Finish::Refusal => {
            None
        }
    };
    Ending { status: if reason.is_some() { "incomplete" } else { "completed" }, reason }
}

/// The error of an answer that says that it failed, or of an `error` event.
pub(super) fn failure(response: &Value) -> Error {
    let error = match response.get("error") {
        Some(error) if error.is_object() => error,
        _ => response,
    };
    if error.get("message").is_some() {
        // Beside the words that it reads, an answer's error has only a code, and an event's type is not the error's.
        let (message, code) = (&error["message"], &error["code"]);
        return fault::inside(
            json!({"error": {"message": message, "code": code, "type": code}}).to_string().as_bytes(),
        );
    }
    let status = response.get("status").and_then(Value::as_str).unwrap_or("failed");
    Error::new(ErrorKind::Upstream, format!("the upstream's answer is {status}"))
}

/// The last event of a stream that fails. The API's reference has its fields flat; the API itself, and the libraries that
/// raise it, have them in an `error`.
pub(super) fn error_event(error: &Error) -> Bytes {
    let kind = error.wire_type().unwrap_or(error.kind().openai_type());
    let code = error.code().unwrap_or(kind);
    let (message, param) = (error.message(), error.param());
    let event = json!({
        "type": "error",
        "code": code,
        "message": message,
        "param": param,
        "sequence_number": 0,
        "error": {"type": kind, "code": code, "message": message, "param": param},
    });
    event.to_string().into()
}
