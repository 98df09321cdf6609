//! Errors: reading an upstream's, and writing a client's.

use bytes::Bytes;
use gatewright_core::{Error, ErrorKind, UpstreamFault};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Phrases by which a provider says that the conversation is too long.
const TOO_LONG: [&str; 9] = [
    "prompt is too long",
    "prompt: length",
    "exceed context limit",
    "maximum context length",
    "longer than the model's context",
    "exceeds the available context size",
    "exceeds the maximum number of tokens allowed",
    "input is too long",
    "input length and `max_tokens` exceed",
];

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: BodyError<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct BodyError<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
    code: Option<Value>,
    param: Option<String>,
}

/// Reads an error answer, whatever its body is.
pub(super) fn fault(status: StatusCode, body: &[u8]) -> UpstreamFault {
    let wire = read(body);
    let message = match wire.message {
        Some(message) if !message.is_empty() => message,
        _ => crate::status::text(status, body),
    };
    let kind = kind_of(Some(status), wire.kind.as_deref(), &message);
    UpstreamFault { kind, message, wire_type: wire.kind, code: wire.code.map(code_text), param: wire.param }
}

/// An `error` event in a stream, whose status said that all was well.
pub(super) fn from_event(data: &[u8]) -> Error {
    let wire = read(data);
    let message = wire.message.unwrap_or_else(|| "the provider reported an error in its stream".to_owned());
    let error = Error::new(kind_of(None, wire.kind.as_deref(), &message), message);
    match wire.kind {
        Some(kind) => error.with_type(kind),
        None => error,
    }
}

/// The body of an error answer for a client.
pub(super) fn body(error: &Error) -> Bytes {
    let body = Body {
        kind: "error",
        error: BodyError { kind: wire_type(error), message: error.message() },
        request_id: error.headers().get("request-id").and_then(|id| id.to_str().ok()),
    };
    serde_json::to_vec(&body).map(Bytes::from).unwrap_or_default()
}

/// The last event of a stream that fails.
pub(super) fn event(error: &Error) -> Bytes {
    let mut out = b"event: error\ndata: ".to_vec();
    out.extend_from_slice(&body(error));
    out.extend_from_slice(b"\n\n");
    out.into()
}

/// An upstream of another dialect has other names for its errors; a client of this one gets only this one's.
fn wire_type(error: &Error) -> &str {
    match error.wire_type() {
        Some(own) if kind_by_type(own).is_some() => own,
        _ => error.kind().anthropic_type(),
    }
}

fn read(body: &[u8]) -> Wire {
    let nothing = Wire { kind: None, message: None, code: None, param: None };
    let Ok(Value::Object(mut whole)) = serde_json::from_slice(body) else { return nothing };
    match whole.remove("error") {
        Some(Value::String(message)) => Wire { message: Some(message), ..nothing },
        Some(error @ Value::Object(_)) => serde_json::from_value(error).unwrap_or(nothing),
        _ => {
            let mut text = |key: &str| match whole.remove(key) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            };
            Wire { message: text("message").or_else(|| text("detail")), ..nothing }
        }
    }
}

fn kind_of(status: Option<StatusCode>, wire_type: Option<&str>, message: &str) -> ErrorKind {
    let status = status.map(|status| status.as_u16()).filter(|status| *status >= 400);
    let by_type = wire_type.and_then(kind_by_type);
    if is_spent(message) {
        let limited = by_type == Some(ErrorKind::RateLimited) || status == Some(429);
        return if limited { ErrorKind::QuotaExhausted } else { ErrorKind::PaymentRequired };
    }
    let by_request = matches!(status, None | Some(400 | 413 | 422))
        && matches!(by_type, None | Some(ErrorKind::InvalidRequest | ErrorKind::TooLarge));
    if by_request && let Some(kind) = kind_by_words(message) {
        return kind;
    }
    match (by_type, status) {
        // These two types say little; a status that says more is believed.
        (Some(kind @ (ErrorKind::InvalidRequest | ErrorKind::Upstream)), Some(status)) => {
            kind_by_status(status).unwrap_or(kind)
        }
        (Some(kind), _) => kind,
        (None, Some(status)) if message.contains("Overloaded") && status >= 500 => ErrorKind::Unavailable,
        (None, Some(status)) => kind_by_status(status).unwrap_or(match status {
            400..500 => ErrorKind::InvalidRequest,
            _ => ErrorKind::Upstream,
        }),
        (None, None) => ErrorKind::Upstream,
    }
}

/// The words of a spend limit: the tier's with a rate limit's status, the account's own with a bad request's. Neither is
/// lifted before the month is over.
fn is_spent(message: &str) -> bool {
    message.starts_with("You have reached your") && message.contains("usage limits")
}

pub(crate) fn kind_by_words(message: &str) -> Option<ErrorKind> {
    let message = message.to_ascii_lowercase();
    if TOO_LONG.iter().any(|phrase| message.contains(phrase)) {
        return Some(ErrorKind::ContextWindow);
    }
    if message.contains("content filtering policy") {
        return Some(ErrorKind::ContentPolicy);
    }
    message.contains("credit balance is too low").then_some(ErrorKind::PaymentRequired)
}

fn kind_by_type(wire_type: &str) -> Option<ErrorKind> {
    Some(match wire_type {
        "invalid_request_error" => ErrorKind::InvalidRequest,
        "authentication_error" => ErrorKind::UpstreamAuth,
        "billing_error" => ErrorKind::PaymentRequired,
        "permission_error" => ErrorKind::UpstreamForbidden,
        "not_found_error" => ErrorKind::NotFound,
        "request_too_large" => ErrorKind::TooLarge,
        "rate_limit_error" => ErrorKind::RateLimited,
        "timeout_error" => ErrorKind::Timeout,
        "api_error" => ErrorKind::Upstream,
        "overloaded_error" => ErrorKind::Unavailable,
        _ => return None,
    })
}

/// Anthropic has a status of its own for being overloaded.
pub(crate) fn kind_by_status(status: u16) -> Option<ErrorKind> {
    match status {
        529 => Some(ErrorKind::Unavailable),
        other => crate::status::kind(other),
    }
}

fn code_text(code: Value) -> String {
    match code {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
