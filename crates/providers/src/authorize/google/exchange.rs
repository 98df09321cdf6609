//! Questions to token servers, and their answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gatewright_core::{Clock, Error, ErrorKind, Result, Secret};
use gatewright_transport::{Request, Transport, Trust};
use http::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// What the tokens are for.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What stands for itself in a form.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The largest answer of a token server.
const MOST: usize = 64 << 10;

/// What questions are asked with.
pub(crate) struct Exchange<'a> {
    pub(super) transport: &'a Transport,
    pub(super) trust: Trust,
    pub(super) clock: &'a dyn Clock,
}

/// A token, and how long it lives from now.
pub(crate) struct Token {
    pub(super) secret: Secret,
    pub(super) life: Duration,
}

/// Why there is none, and what time it is for the server.
pub(super) struct Refused {
    pub(super) error: Error,
    pub(super) date: Option<u64>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default = "an_hour")]
    expires_in: u64,
}

#[derive(Default, Deserialize)]
struct Failure {
    error: String,
}

fn an_hour() -> u64 {
    3600
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, date: None }
    }
}

// === impl Exchange ===

impl Exchange<'_> {
    /// Asks for a token with a form.
    pub(super) async fn post(&self, address: &str, fields: &[(&str, &str)]) -> Result<Token, Refused> {
        let coded = |text: &str| utf8_percent_encode(text, FORM).to_string();
        let form: Vec<String> =
            fields.iter().map(|(key, value)| format!("{}={}", coded(key), coded(value))).collect();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
        self.token(Method::POST, address, headers, form.join("&").into()).await
    }

    /// Asks for a token in any way.
    pub(super) async fn token(
        &self,
        method: Method,
        address: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Token, Refused> {
        let answer = self.ask(method, address, headers, body).await?;
        let Answer { access_token, expires_in } =
            serde_json::from_slice(&answer).map_err(|_| unreadable())?;
        Ok(Token { secret: access_token.into(), life: Duration::from_secs(expires_in.min(12 * 3600)) })
    }

    /// The body of an answer. What the server says of a failure is told as far as it is one word: it may quote what it
    /// was sent.
    pub(super) async fn ask(
        &self,
        method: Method,
        address: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, Refused> {
        let uri: Uri = address
            .parse()
            .map_err(|_| Error::new(ErrorKind::InvalidRequest, "the credentials' token address is no URL"))?;
        let request = Request { method, uri, headers, body: [body].into_iter().collect(), trust: self.trust };
        let away = |failure: gatewright_transport::Failure| {
            Error::new(ErrorKind::Unreachable, "Google's token server could not be reached")
                .with_detail(failure.to_string())
        };
        let response = self.transport.send(request).await.map_err(away)?;
        let (status, date) = (response.status, date(&response.headers));
        let body = response.decoded(MOST).await.map_err(away)?;
        match status.is_success() {
            true => Ok(body),
            false => Err(Refused { error: refused(status, &body), date }),
        }
    }
}

/// A header that is a secret.
pub(super) fn secret_header(name: HeaderName, text: &str) -> Result<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::new(ErrorKind::UpstreamAuth, "a token cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// A token server's answer that says no token.
pub(super) fn unreadable() -> Error {
    Error::new(ErrorKind::BadGateway, "the answer of Google's token server could not be read")
}

fn refused(status: StatusCode, body: &[u8]) -> Error {
    let Failure { error } = serde_json::from_slice(body).unwrap_or_default();
    let is_word = error.len() <= 40 && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let word = if is_word && !error.is_empty() { format!(": {error}") } else { String::new() };
    let kind = match status.as_u16() {
        429 => ErrorKind::RateLimited,
        500.. => ErrorKind::Unavailable,
        _ => ErrorKind::UpstreamAuth,
    };
    let words =
        format!("Google's token server refused the deployment's credentials ({}{word})", status.as_u16());
    Error::new(kind, words)
}

fn date(headers: &HeaderMap) -> Option<u64> {
    let date: SystemTime = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}
