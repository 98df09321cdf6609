//! What the status of a refusal says, whichever dialect its body is in, and what is told of a body that says nothing.

use gatewright_core::ErrorKind;
use http::StatusCode;

/// Bodies that are no JSON are shown up to here: a proxy's HTML page says enough in its first lines.
const LONGEST_TEXT: usize = 500;

/// The kind of a status that means one thing everywhere.
pub(crate) fn kind(status: u16) -> Option<ErrorKind> {
    Some(match status {
        400 => ErrorKind::InvalidRequest,
        401 => ErrorKind::UpstreamAuth,
        402 => ErrorKind::PaymentRequired,
        403 => ErrorKind::UpstreamForbidden,
        404 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        413 => ErrorKind::TooLarge,
        422 => ErrorKind::Unprocessable,
        429 => ErrorKind::RateLimited,
        500 => ErrorKind::Upstream,
        502 => ErrorKind::BadGateway,
        503 => ErrorKind::Unavailable,
        _ => return None,
    })
}

/// The same, and whose fault any other one is.
pub(crate) fn kind_or_whose(status: u16) -> ErrorKind {
    kind(status).unwrap_or(match status {
        400..500 => ErrorKind::InvalidRequest,
        _ => ErrorKind::Upstream,
    })
}

/// What is told of a body that has no message of its dialect in it.
pub(crate) fn text(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    match text.trim() {
        "" => format!("the provider answered {} without a message", status.as_u16()),
        text => text.chars().take(LONGEST_TEXT).collect(),
    }
}
