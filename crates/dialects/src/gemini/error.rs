//! Errors: reading an upstream's, and writing a client's. They are Google's usual ones: a status code, a status word
//! (`google.rpc.Code`), a message and details.

use bytes::Bytes;
use gatewright_core::{Error, ErrorKind, UpstreamFault};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::json::json;

/// Phrases by which the service says that the conversation is too long.
const TOO_LONG: [&str; 3] = [
    "exceeds the maximum number of tokens allowed",
    "input context is too long",
    "request payload size exceeds the limit",
];

#[derive(Serialize)]
struct Body<'a> {
    error: BodyError<'a>,
}

#[derive(Serialize)]
struct BodyError<'a> {
    code: u16,
    message: &'a str,
    status: &'a str,
}

/// What the body of an error says.
#[derive(Default)]
struct Wire {
    code: Option<u16>,
    message: Option<String>,
    status: Option<String>,
    /// `ErrorInfo.reason` (`API_KEY_INVALID`, `SERVICE_DISABLED`).
    reason: Option<String>,
    /// The limit that was reached (`GenerateRequestsPerDayPerProjectPerModel-FreeTier`).
    quota: Option<String>,
}

/// Reads an error answer, whatever its body is.
pub(super) fn fault(status: StatusCode, body: &[u8]) -> UpstreamFault {
    let wire = Wire::read(body);
    let message = match &wire.message {
        Some(message) if !message.is_empty() => message.clone(),
        _ => crate::status::text(status, body),
    };
    let kind = wire.kind(Some(status), &message);
    UpstreamFault { kind, message, wire_type: wire.status, code: wire.reason, param: None }
}

/// An `error` inside an answer whose status said that all was well.
pub(super) fn from_body(body: &[u8]) -> Error {
    let wire = Wire::read(body);
    let message = wire.message.clone();
    let message = message.unwrap_or_else(|| "the provider reported an error in its answer".to_owned());
    let error = Error::new(wire.kind(None, &message), message);
    match wire.status {
        Some(status) => error.with_type(status),
        None => error,
    }
}

/// The body of an error answer for a client.
pub(super) fn body(error: &Error) -> Bytes {
    let status = match error.wire_type() {
        Some(own) if is_status(own) => own,
        _ => status_word(error.status()),
    };
    json(&Body { error: BodyError { code: error.status().as_u16(), message: error.message(), status } })
}

/// The last event of a stream that fails.
pub(super) fn event(error: &Error) -> Bytes {
    [b"data: ".as_slice(), &body(error), b"\n\n"].concat().into()
}

// === impl Wire ===

impl Wire {
    fn read(body: &[u8]) -> Self {
        // A stream that is no stream of events comes as a list.
        let whole: Value = serde_json::from_slice(body).unwrap_or_default();
        let first = whole.get(0).unwrap_or(&whole);
        let error = match first.get("error") {
            Some(Value::String(message)) => {
                return Self { message: Some(message.clone()), ..Self::default() };
            }
            Some(error) => error,
            None => first,
        };
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let details = || error.get("details").and_then(Value::as_array).into_iter().flatten();
        let quota = |detail: &Value| text(detail.get("violations")?.get(0)?.get("quotaId"));
        Self {
            code: error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()),
            message: text(error.get("message")),
            status: text(error.get("status")),
            reason: details().find_map(|detail| text(detail.get("reason"))),
            quota: details().find_map(quota),
        }
    }

    fn kind(&self, status: Option<StatusCode>, message: &str) -> ErrorKind {
        let code = status.map(|status| status.as_u16()).filter(|status| *status >= 400).or(self.code);
        let words = message.to_ascii_lowercase();
        if TOO_LONG.iter().any(|phrase| words.contains(phrase)) {
            return ErrorKind::ContextWindow;
        }
        match self.reason.as_deref() {
            Some("API_KEY_INVALID" | "API_KEY_SERVICE_BLOCKED" | "ACCESS_TOKEN_EXPIRED") => {
                return ErrorKind::UpstreamAuth;
            }
            Some("BILLING_DISABLED") => return ErrorKind::PaymentRequired,
            _ => {}
        }
        // A day's quota is not back after any wait that a call could make.
        if self.quota.as_deref().is_some_and(|quota| quota.contains("PerDay")) {
            return ErrorKind::QuotaExhausted;
        }
        let by_status = self.status.as_deref().and_then(kind_by_status_word);
        match (code.and_then(crate::status::kind), by_status) {
            (Some(kind), _) | (None, Some(kind)) => kind,
            (None, None) => match code {
                Some(400..500) => ErrorKind::InvalidRequest,
                _ => ErrorKind::Upstream,
            },
        }
    }
}

fn kind_by_status_word(word: &str) -> Option<ErrorKind> {
    Some(match word {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => ErrorKind::InvalidRequest,
        "UNAUTHENTICATED" => ErrorKind::UpstreamAuth,
        "PERMISSION_DENIED" => ErrorKind::UpstreamForbidden,
        "NOT_FOUND" => ErrorKind::NotFound,
        "RESOURCE_EXHAUSTED" => ErrorKind::RateLimited,
        "DEADLINE_EXCEEDED" => ErrorKind::Timeout,
        "UNAVAILABLE" => ErrorKind::Unavailable,
        "INTERNAL" | "UNKNOWN" => ErrorKind::Upstream,
        _ => return None,
    })
}

fn is_status(word: &str) -> bool {
    kind_by_status_word(word).is_some()
}

/// The status word that goes with an HTTP status.
fn status_word(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        402 | 403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        502 | 503 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}
