//! Errors: reading an upstream's, and writing a client's. What kind an error is stands in a header, or in the body's
//! `__type`; in a stream it is the event's name.

use bytes::{Bytes, BytesMut};
use gatewright_core::{Error, ErrorKind, RawEvent, UpstreamFault};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use crate::anthropic::error::{kind_by_status, kind_by_words};
use crate::aws_events::{self, Kind};
use crate::json::json;

/// The header that names an error: `ValidationException:http://internal.amazon.com/…`.
const NAME: &str = "x-amzn-errortype";

/// Phrases by which a validation says that the conversation is too long, beside Anthropic's own.
const TOO_LONG: [&str; 6] = [
    "too many tokens",
    "too long for requested model",
    "maximum tokens you requested exceeds the model limit",
    "input tokens exceeds",
    "exceeds the maximum length",
    "model's maximum context",
];

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "__type")]
    name: &'static str,
    message: &'a str,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    message: Option<String>,
    #[serde(rename = "Message")]
    message_in_capitals: Option<String>,
    #[serde(rename = "__type")]
    name: Option<String>,
    #[serde(rename = "originalMessage")]
    original: Option<String>,
}

/// The error's name in the answer's head.
pub(super) fn named_in(headers: &HeaderMap) -> Option<&str> {
    headers.get(NAME)?.to_str().ok()
}

/// Reads an error answer, whatever its body is.
pub(super) fn fault(status: StatusCode, named: Option<&str>, body: &[u8]) -> UpstreamFault {
    let wire: Wire = serde_json::from_slice(body).unwrap_or_default();
    let name = named.or(wire.name.as_deref()).map(|name| bare(name).to_owned());
    let message = wire.message.or(wire.message_in_capitals).filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| crate::status::text(status, body));
    let kind = kind_of(name.as_deref(), &message)
        .or_else(|| kind_by_status(status.as_u16()))
        .unwrap_or(if status.is_client_error() { ErrorKind::InvalidRequest } else { ErrorKind::Upstream });
    UpstreamFault { kind, message, wire_type: name, code: None, param: None }
}

/// Whether an event of this name tells that something went wrong.
pub(super) fn is_exception(name: &str) -> bool {
    name.ends_with("xception") || name.ends_with("rror")
}

/// An exception in a stream, whose status said that all was well.
pub(super) fn from_event(event: RawEvent<'_>) -> Error {
    let wire: Wire = serde_json::from_slice(event.data).unwrap_or_default();
    let said = wire.message.or(wire.message_in_capitals).or(wire.original).filter(|text| !text.is_empty());
    let message = said.unwrap_or_else(|| format!("the provider reported {} in its stream", event.name));
    let kind = kind_of(Some(event.name), &message).unwrap_or(ErrorKind::Upstream);
    Error::new(kind, message).with_type(event.name.to_owned())
}

/// The body of an error answer for a client.
pub(super) fn body(error: &Error) -> Bytes {
    json(&Body { name: name_of(error.kind()), message: error.message() })
}

/// The last event of a stream that fails. Its name is the exception's with a small letter first.
pub(super) fn event(error: &Error) -> Bytes {
    let name = match name_of(error.kind()) {
        "ThrottlingException" => "throttlingException",
        "ValidationException" => "validationException",
        "ServiceUnavailableException" => "serviceUnavailableException",
        "InternalServerException" => "internalServerException",
        // A stream has no words for the others.
        _ => "modelStreamErrorException",
    };
    let mut out = BytesMut::new();
    aws_events::write(&mut out, Kind::Exception, name, &body(error));
    out.freeze()
}

/// `com.amazon.coral.service#ValidationException:http://…` without what stands around the name.
fn bare(name: &str) -> &str {
    let name = name.rsplit_once('#').map_or(name, |(_, name)| name);
    name.split(':').next().unwrap_or_default().trim()
}

fn kind_of(name: Option<&str>, message: &str) -> Option<ErrorKind> {
    let name = name?.to_ascii_lowercase();
    Some(match name.strip_suffix("exception").unwrap_or(&name) {
        "validation" => validation(message),
        "throttling" | "toomanyrequests" => throttled(message),
        "servicequotaexceeded" => ErrorKind::QuotaExhausted,
        "accessdenied" => ErrorKind::UpstreamForbidden,
        "unrecognizedclient"
        | "invalidsignature"
        | "signaturedoesnotmatch"
        | "incompletesignature"
        | "invalidclienttokenid"
        | "missingauthenticationtoken"
        | "requestexpired"
        | "expiredtoken" => ErrorKind::UpstreamAuth,
        "resourcenotfound" | "unknownoperation" => ErrorKind::NotFound,
        "modeltimeout" => ErrorKind::Timeout,
        "modelnotready" | "serviceunavailable" => ErrorKind::Unavailable,
        "modelerror" | "modelstreamerror" | "internalserver" | "internalfailure" => ErrorKind::Upstream,
        _ => return None,
    })
}

fn validation(message: &str) -> ErrorKind {
    let lower = message.to_ascii_lowercase();
    if TOO_LONG.iter().any(|phrase| lower.contains(phrase)) {
        return ErrorKind::ContextWindow;
    }
    if lower.contains("model identifier is invalid") {
        return ErrorKind::NotFound;
    }
    kind_by_words(message).unwrap_or(ErrorKind::InvalidRequest)
}

/// A day's quota is lifted by no wait that a call could have.
fn throttled(message: &str) -> ErrorKind {
    match message.contains("per day") {
        true => ErrorKind::QuotaExhausted,
        false => ErrorKind::RateLimited,
    }
}

fn name_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Unsupported
        | ErrorKind::ContextWindow
        | ErrorKind::ContentPolicy
        | ErrorKind::TooLarge
        | ErrorKind::Unprocessable => "ValidationException",
        ErrorKind::Unauthenticated | ErrorKind::UpstreamAuth => "UnrecognizedClientException",
        ErrorKind::Forbidden | ErrorKind::UpstreamForbidden | ErrorKind::PaymentRequired => {
            "AccessDeniedException"
        }
        ErrorKind::UnknownModel | ErrorKind::NotFound => "ResourceNotFoundException",
        ErrorKind::Timeout => "ModelTimeoutException",
        ErrorKind::BudgetExceeded | ErrorKind::QuotaExhausted => "ServiceQuotaExceededException",
        ErrorKind::LimitReached | ErrorKind::RateLimited => "ThrottlingException",
        ErrorKind::Unavailable => "ServiceUnavailableException",
        ErrorKind::ClientGone
        | ErrorKind::Internal
        | ErrorKind::Unreachable
        | ErrorKind::Connection
        | ErrorKind::Upstream
        | ErrorKind::BadGateway => "InternalServerException",
    }
}
