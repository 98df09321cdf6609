//! Failures of an upstream as errors of a call, in the words that LiteLLM's clients match on.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use gatewright_catalogue::Catalogue;
use gatewright_core::{Clock, Codec, Error, ErrorKind, SystemClock};
use gatewright_transport::{Failure, FailureKind};
use http::{HeaderMap, StatusCode};

/// An answer with an error status.
pub(crate) fn refused(
    codec: &dyn Codec,
    provider: &str,
    (status, headers): (StatusCode, HeaderMap),
    body: &[u8],
) -> Error {
    let fault = codec.decode_refusal(status, &headers, body);
    let mut err = worded(fault.kind, provider, &fault.message).with_status(shown_status(status));
    if let Some(param) = fault.param {
        err = err.with_param(param);
    }
    if let Some(wait) = retry_after(&headers, SystemClock.wall()) {
        err = err.with_retry_after(wait);
    }
    err.with_headers(headers)
}

/// A deployment that says what cannot be, or too little.
pub(crate) fn misconfigured(words: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidRequest, words)
}

/// An exchange that broke.
pub(crate) fn broken(provider: &str, failure: &Failure) -> Error {
    let (kind, words) = match failure.kind {
        FailureKind::Dns | FailureKind::Connect | FailureKind::Tls => {
            (ErrorKind::Unreachable, "Connection error.")
        }
        FailureKind::ConnectTimeout => (ErrorKind::Unreachable, "Connection timed out."),
        FailureKind::Refused => (ErrorKind::InvalidRequest, "this address may not be called"),
        FailureKind::Closed if !failure.sent => (ErrorKind::Unreachable, "Connection error."),
        FailureKind::Closed => (ErrorKind::Connection, "Connection error."),
        FailureKind::Protocol => (ErrorKind::BadGateway, "the answer is not valid HTTP"),
        FailureKind::TooLarge => (ErrorKind::BadGateway, "the answer is too large"),
        FailureKind::Decompression => (ErrorKind::BadGateway, "the answer cannot be decompressed"),
    };
    worded(kind, provider, words).with_detail(failure.to_string())
}

/// A request that was not answered: it broke, or nothing came in time.
pub(crate) fn unanswered(provider: &str, failure: Option<&Failure>) -> Error {
    failure.map_or_else(|| timed_out(provider, "an answer"), |failure| broken(provider, failure))
}

/// Nothing came in time.
pub(crate) fn timed_out(provider: &str, waited_for: &str) -> Error {
    worded(ErrorKind::Timeout, provider, &format!("Request timed out waiting for {waited_for}."))
}

/// An error that a codec met inside an answer, with the provider's name put before it.
pub(crate) fn inside(provider: &str, err: Error) -> Error {
    if err.provider().is_some() {
        return err;
    }
    let message = words(err.kind(), provider, err.message());
    err.with_message(message).with_provider(intern(provider))
}

/// An error of the provider's, in LiteLLM's words.
pub(crate) fn worded(kind: ErrorKind, provider: &str, message: &str) -> Error {
    Error::new(kind, words(kind, provider, message)).with_provider(intern(provider))
}

/// `litellm.RateLimitError: RateLimitError: OpenAIException - <message>`.
fn words(kind: ErrorKind, provider: &str, message: &str) -> String {
    let class = kind.class();
    let prefix = match kind {
        ErrorKind::InvalidRequest | ErrorKind::Unsupported => format!("litellm.{class}: "),
        ErrorKind::ContextWindow => format!("litellm.{class}: litellm.BadRequestError: {class}: "),
        ErrorKind::ContentPolicy => format!("litellm.{class}: litellm.{class}: "),
        _ => format!("litellm.{class}: {class}: "),
    };
    format!("{prefix}{}Exception - {message}", exception_name(provider))
}

/// The provider's name as LiteLLM writes it before `Exception`.
fn exception_name(provider: &str) -> String {
    match provider {
        "openai" => "OpenAI".to_owned(),
        "xai" => "XAI".to_owned(),
        "vertex_ai" => "VertexAI".to_owned(),
        _ => {
            let mut letters = provider.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
        }
    }
}

/// A static name for the providers that errors are told apart by; others share one.
fn intern(provider: &str) -> &'static str {
    Catalogue::builtin().named(provider).map_or("custom", |known| known.name())
}

/// Anthropic's 529 and other statuses without a name become 503, which every client knows.
fn shown_status(status: StatusCode) -> StatusCode {
    match status.as_u16() {
        520.. => StatusCode::SERVICE_UNAVAILABLE,
        _ => status,
    }
}

/// How long the provider asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let positive = |number: f64| (number > 0.0 && number < 1e6).then_some(number);
    if let Some(millis) = text("retry-after-ms").and_then(|t| t.parse().ok()).and_then(positive) {
        return Some(Duration::from_secs_f64(millis / 1000.0));
    }
    let value = text("retry-after")?;
    if let Some(seconds) = value.parse().ok().and_then(positive) {
        return Some(Duration::from_secs_f64(seconds));
    }
    httpdate::parse_http_date(value).ok()?.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_as_litellm_writes_them() {
        for (kind, provider, want) in [
            (ErrorKind::RateLimited, "openai", "litellm.RateLimitError: RateLimitError: OpenAIException - m"),
            (
                ErrorKind::QuotaExhausted,
                "openai",
                "litellm.RateLimitError: RateLimitError: OpenAIException - m",
            ),
            (ErrorKind::InvalidRequest, "openai", "litellm.BadRequestError: OpenAIException - m"),
            (
                ErrorKind::ContextWindow,
                "openai",
                "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: OpenAIException - m",
            ),
            (
                ErrorKind::UpstreamAuth,
                "anthropic",
                "litellm.AuthenticationError: AuthenticationError: AnthropicException - m",
            ),
        ] {
            assert_eq!(worded(kind, provider, "m").message(), want);
        }
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (name, value, millis) in [
            ("retry-after", "2", Some(2000)),
            ("retry-after", "0.5", Some(500)),
            ("retry-after-ms", "250", Some(250)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT", Some(10_000)),
            ("retry-after", "soon", None),
            ("retry-after", "-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(retry_after(&headers, now), millis.map(Duration::from_millis), "{name}: {value}");
        }
    }
}
