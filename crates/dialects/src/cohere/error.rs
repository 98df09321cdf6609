//! Errors: reading an upstream's, and writing a client's.

use bytes::{Bytes, BytesMut};
use gatewright_core::{Error, ErrorKind, UpstreamFault};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{stream_encode, words};
use crate::json::json;

/// Phrases by which the provider says that the conversation is too long, in lower case.
const TOO_LONG: [&str; 4] =
    ["too many tokens", "context length", "maximum context", "exceeds the limit of tokens"];

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    message: &'a str,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    message: Option<Value>,
    error: Option<Value>,
    detail: Option<Value>,
}

/// Reads an error answer, whatever its body is.
pub(super) fn fault(status: StatusCode, body: &[u8]) -> UpstreamFault {
    let message = words(body).unwrap_or_else(|| crate::status::text(status, body));
    let kind = kind_of(status, &message);
    UpstreamFault { kind, message, wire_type: None, code: None, param: None }
}

/// An answer with a good status that is none.
pub(super) fn inside(body: &[u8]) -> Error {
    told(body).unwrap_or_else(|| Error::new(ErrorKind::BadGateway, "the provider's answer is no message"))
}

/// What an event that is none of the dialect's says, where that is an error.
pub(super) fn told(data: &[u8]) -> Option<Error> {
    words(data).map(|words| Error::new(ErrorKind::Upstream, words))
}

/// The body of an error answer for a client.
pub(super) fn body(error: &Error) -> Bytes {
    let id = error.headers().get("request-id").and_then(|id| id.to_str().ok());
    json(&Body { id, message: error.message() })
}

/// The last event of a stream that fails.
pub(super) fn event(error: &Error) -> Bytes {
    let mut out = BytesMut::new();
    stream_encode::put_end(&mut out, words::FAILED, Some(error.message()), None);
    out.freeze()
}

/// The provider's words; `error` and `detail` are those of proxies before it.
fn words(body: &[u8]) -> Option<String> {
    let wire: Wire = serde_json::from_slice(body).ok()?;
    let said = [wire.message, wire.error, wire.detail].into_iter().flatten().find_map(|value| match value {
        Value::String(text) => Some(text),
        Value::Object(mut fields) => match fields.remove("message") {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    });
    said.filter(|said| !said.is_empty())
}

fn kind_of(status: StatusCode, message: &str) -> ErrorKind {
    let lower = message.to_lowercase();
    match status.as_u16() {
        400 | 413 | 422 if TOO_LONG.iter().any(|phrase| lower.contains(phrase)) => ErrorKind::ContextWindow,
        // A trial key's calls of a month are not given back before the month is over.
        429 if lower.contains("trial key") && lower.contains("month") => ErrorKind::QuotaExhausted,
        // A text with a token that may not be used.
        498 => ErrorKind::ContentPolicy,
        501 => ErrorKind::Unsupported,
        other => crate::status::kind_or_whose(other),
    }
}
