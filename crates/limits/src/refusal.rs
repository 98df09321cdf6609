//! A refusal in the words that LiteLLM's clients know.

use std::time::Duration;

use gatewright_core::{Error, ErrorKind, Utc};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::rule::Rule;

/// The error for a call that one rule refused, at this second of the wall clock.
pub(crate) fn refusal(kind: ErrorKind, rule: &Rule, remaining: u64, resets_in: Duration, now: u64) -> Error {
    let seconds = resets_in.as_secs() + u64::from(resets_in.subsec_nanos() > 0);
    let resets_at = format!("{} UTC", Utc(now.saturating_add(seconds)));
    let message = format!(
        "Rate limit exceeded for {}: {}. Limit type: {}. Current limit: {}, Remaining: {remaining}. \
         Limit resets at: {resets_at}",
        rule.scope,
        rule.id,
        rule.counter.name(),
        rule.limit,
    );
    let headers = [
        ("retry-after", HeaderValue::from(seconds)),
        ("rate_limit_type", HeaderValue::from_static(rule.counter.name())),
    ];
    let mut headers: HeaderMap =
        headers.into_iter().map(|(name, value)| (HeaderName::from_static(name), value)).collect();
    if let Ok(value) = HeaderValue::try_from(resets_at) {
        headers.insert(HeaderName::from_static("reset_at"), value);
    }
    Error::new(kind, message).with_retry_after(Duration::from_secs(seconds)).with_headers(headers)
}
