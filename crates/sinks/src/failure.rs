//! What a payload says of a call that failed.

use gatewright_core::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::content::REDACTED;
use crate::record::{Ending, Record};

/// Where upstreams name their answer to a request.
const REQUEST_IDS: [&str; 3] = ["x-request-id", "request-id", "x-amzn-requestid"];

/// What went wrong, in words where no prompt can be quoted in them, and with all that is known of it.
pub(crate) fn of(record: &Record, redacted: bool) -> (Value, Value) {
    let (kind, status, words) = match &record.ending {
        Ending::Complete => return (Value::Null, Value::Null),
        Ending::Failed(err) => (err.kind(), err.status().as_u16(), err.message()),
        Ending::Abandoned => {
            let kind = ErrorKind::ClientGone;
            (kind, kind.status().as_u16(), "the client left before the end")
        }
    };
    let words = if redacted && !matches!(record.ending, Ending::Abandoned) { REDACTED } else { words };
    let err = match &record.ending {
        Ending::Failed(err) => Some(err),
        Ending::Complete | Ending::Abandoned => None,
    };
    let information = json!({
        "error_code": status.to_string(),
        "error_class": kind.class(),
        "llm_provider": record.served_by.as_deref().map_or("", |by| &*by.provider),
        "traceback": "",
        "error_message": words,
        "error_rate_limit_category": category(kind),
        "error_rate_limit_type": err.and_then(limited),
        "error_provider_request_id": err.and_then(|err| REQUEST_IDS.iter().find_map(|name| header(err, name))),
    });
    (words.into(), information)
}

/// Whose limit was in the way, in LiteLLM's words.
fn category(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::LimitReached => Some("litellm_rate_limit"),
        ErrorKind::RateLimited | ErrorKind::QuotaExhausted => Some("vendor_rate_limit"),
        _ => None,
    }
}

/// What one of the gateway's own limits counts, in LiteLLM's words.
fn limited(err: &Error) -> Option<&str> {
    let ours = matches!(err.kind(), ErrorKind::LimitReached | ErrorKind::BudgetExceeded);
    match header(err, "rate_limit_type").filter(|_| ours)? {
        "max_parallel_requests" => Some("concurrent_requests"),
        counted => Some(counted),
    }
}

fn header<'a>(err: &'a Error, name: &str) -> Option<&'a str> {
    err.headers().get(name)?.to_str().ok()
}
