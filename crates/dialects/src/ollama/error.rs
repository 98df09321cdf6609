//! Errors: reading an upstream's, and writing a client's.

use bytes::{BufMut as _, Bytes, BytesMut};
use gatewright_core::{Error, ErrorKind, UpstreamFault};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::json::{json, put_json};

/// Phrases by which the server says that the conversation is too long.
const TOO_LONG: [&str; 3] =
    ["exceeds maximum context length", "exceeds the context length", "input length exceeds"];

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
}

/// Reads an error answer, whatever its body is.
pub(super) fn fault(status: StatusCode, body: &[u8]) -> UpstreamFault {
    let told = serde_json::from_slice::<Value>(body).ok();
    let message = told
        .as_ref()
        .and_then(|told| words(told.get("error")?))
        .unwrap_or_else(|| crate::status::text(status, body));
    let kind = kind_of(status, &message);
    UpstreamFault { kind, message, wire_type: None, code: None, param: None }
}

/// An error that came inside a good answer, or in a line of its stream.
pub(super) fn inside(told: &Value) -> Error {
    let message = words(told).unwrap_or_else(|| told.to_string());
    let kind = if is_too_long(&message) { ErrorKind::ContextWindow } else { ErrorKind::Upstream };
    Error::new(kind, message)
}

/// The body of an error answer for a client.
pub(super) fn body(error: &Error) -> Bytes {
    json(&Body { error: error.message() })
}

/// The last line of a stream that fails.
pub(super) fn line(error: &Error) -> Bytes {
    let mut out = BytesMut::new();
    put_json(&mut out, &Body { error: error.message() });
    out.put_u8(b'\n');
    out.freeze()
}

/// The server tells a text; a proxy before it may tell an object with one.
fn words(told: &Value) -> Option<String> {
    let text = told.as_str().or_else(|| told.get("message")?.as_str())?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn is_too_long(message: &str) -> bool {
    TOO_LONG.iter().any(|phrase| message.contains(phrase))
}

fn kind_of(status: StatusCode, message: &str) -> ErrorKind {
    match status.as_u16() {
        400 | 413 | 500 if is_too_long(message) => ErrorKind::ContextWindow,
        // A model that lacks what is asked of it; another deployment may have it.
        400 if message.contains("does not support") => ErrorKind::Unsupported,
        other => crate::status::kind_or_whose(other),
    }
}
