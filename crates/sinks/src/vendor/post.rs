//! Requests to a target, and what its answers mean.

use std::time::Duration;

use bytes::Bytes;
use gatewright_core::Secret;
use gatewright_transport::{Request, Transport, Trust};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode, Uri};

use crate::Undelivered;

/// How a target is reached.
#[derive(Clone)]
pub struct Line {
    /// The HTTP client.
    pub transport: Transport,
    /// Who chose the target's address: an operator's may be anywhere, a caller's is guarded.
    pub trust: Trust,
}

/// How much of an answer is read: what it says is told to nobody but us.
const MOST_ANSWER: usize = 1 << 20;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

// === impl Line ===

impl Line {
    /// A request with a JSON body.
    pub(super) fn post(
        &self,
        uri: &Uri,
        headers: &[(HeaderName, HeaderValue)],
        body: impl Into<Bytes>,
    ) -> Request {
        let mut request = Request::new(Method::POST, uri.clone(), [body.into()].into_iter().collect());
        request.trust = self.trust;
        request.headers.insert(CONTENT_TYPE, JSON);
        for (name, value) in headers {
            request.headers.insert(name, value.clone());
        }
        request
    }

    /// Sends it; answers the body where the target took it.
    pub(super) async fn send(&self, request: Request) -> Result<Bytes, Undelivered> {
        let failed = |failure: gatewright_transport::Failure| Undelivered::later(failure.kind.to_string());
        let response = self.transport.send(request).await.map_err(failed)?;
        let (status, after) = (response.status, retry_after(&response.headers));
        let body = response.decoded(MOST_ANSWER).await;
        match status {
            status if status.is_success() => body.map_err(failed),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Err(Undelivered::Later { why: words(status), after })
            }
            status if status.is_server_error() => Err(Undelivered::Later { why: words(status), after }),
            status => Err(Undelivered::never(words(status))),
        }
    }
}

fn words(status: StatusCode) -> String {
    format!("the target answers {}", status.as_u16())
}

fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// A header whose value is a secret.
pub(super) fn secret(name: HeaderName, text: &Secret) -> Result<(HeaderName, HeaderValue), String> {
    let value = HeaderValue::from_str(text.reveal());
    let mut value = value.map_err(|_| format!("the value of `{name}` cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Whether records can be sent to this address. Says what is wrong, without it.
pub fn check_address(text: &str) -> Result<(), String> {
    address(text, "").map(drop)
}

/// An address with a path behind it.
pub(super) fn address(base: &str, path: &str) -> Result<Uri, String> {
    let base = base.trim().trim_end_matches('/');
    let base = if base.contains("://") { base.to_owned() } else { format!("https://{base}") };
    let uri: Uri = format!("{base}{path}").parse().map_err(|_| "expected an address".to_owned())?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if !authority.as_str().contains('@') => Ok(uri),
        _ => Err("expected an http or https address, without a password in it".to_owned()),
    }
}
