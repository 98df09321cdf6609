//! Questions to token servers, and their answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gatewright_core::{Clock, Error, ErrorKind, Result, Secret};
use gatewright_transport::{Request, Transport, Trust};
use http::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// What stands for itself in a form.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The largest answer of a token server.
const MOST: usize = 64 << 10;

/// What questions are asked with.
pub(crate) struct Exchange<'a> {
    pub(super) transport: &'a Transport,
    /// Whose token server is asked, for people.
    pub(super) whose: &'static str,
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
    /// Sber writes it short for some.
    #[serde(alias = "tok")]
    access_token: String,
    expires_in: Option<Seconds>,
    /// Since 1970, where that alone is said: in seconds by Azure's machines, in seconds or milliseconds by Sber.
    #[serde(alias = "expires_at", alias = "exp")]
    expires_on: Option<Seconds>,
}

/// Azure's machines write numbers as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

#[derive(Default, Deserialize)]
struct Failure {
    error: String,
}

/// A token's life where its server says none.
const AN_HOUR: u64 = 3600;

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, date: None }
    }
}

// === impl Seconds ===

impl Seconds {
    fn read(&self) -> Option<u64> {
        match self {
            Self::Number(seconds) => Some(*seconds),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

// === impl Exchange ===

impl Exchange<'_> {
    /// Asks for a token with a form.
    pub(super) async fn post(
        &self,
        address: &str,
        mut headers: HeaderMap,
        fields: &[(&str, &str)],
    ) -> Result<Token, Refused> {
        let form: Vec<String> =
            fields.iter().map(|(key, value)| format!("{}={}", coded(key), coded(value))).collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
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
        let answer: Answer = serde_json::from_slice(&answer).map_err(|_| self.unreadable())?;
        let end = answer.expires_on.and_then(|end| end.read()).map(seconds);
        let left = end.map(|end| end.saturating_sub(self.clock.unix_seconds()));
        let life = answer.expires_in.and_then(|life| life.read()).or(left).unwrap_or(AN_HOUR);
        Ok(Token { secret: answer.access_token.into(), life: Duration::from_secs(life.min(12 * 3600)) })
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
            Error::new(ErrorKind::Unreachable, format!("{} token server could not be reached", self.whose))
                .with_detail(failure.to_string())
        };
        let response = self.transport.send(request).await.map_err(away)?;
        let (status, date) = (response.status, date(&response.headers));
        let body = response.decoded(MOST).await.map_err(away)?;
        match status.is_success() {
            true => Ok(body),
            false => Err(Refused { error: self.refused(status, &body), date }),
        }
    }

    /// An answer that says no token.
    pub(super) fn unreadable(&self) -> Error {
        Error::new(
            ErrorKind::BadGateway,
            format!("the answer of {} token server could not be read", self.whose),
        )
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Error {
        let Failure { error } = serde_json::from_slice(body).unwrap_or_default();
        let is_word = error.len() <= 40 && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let word = if is_word && !error.is_empty() { format!(": {error}") } else { String::new() };
        let kind = match status.as_u16() {
            429 => ErrorKind::RateLimited,
            500.. => ErrorKind::Unavailable,
            _ => ErrorKind::UpstreamAuth,
        };
        let (whose, status) = (self.whose, status.as_u16());
        let words = format!("{whose} token server refused the deployment's credentials ({status}{word})");
        Error::new(kind, words)
    }
}

/// A text as it stands in a form or an address.
pub(super) fn coded(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string()
}

/// A header that is a secret.
pub(super) fn secret_header(name: HeaderName, text: &str) -> Result<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::new(ErrorKind::UpstreamAuth, "a token cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// A moment in seconds, which may be given in milliseconds: those of today have three digits more.
fn seconds(moment: u64) -> u64 {
    if moment > 100_000_000_000 { moment / 1000 } else { moment }
}

fn date(headers: &HeaderMap) -> Option<u64> {
    let date: SystemTime = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}
