//! Answers as HTTP: LiteLLM's headers, bodies and error bodies.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use gatewright_core::{Codec, Decisions, Error, Framing, Head, KeyStanding, Reply};
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{StatusCode, header};

use crate::admission::Place;
use crate::call_name::CALL_ID;
use crate::edge::{EdgeBody, ListBody};
use crate::{Settings, explain};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const AWS_EVENTS: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");

/// Our headers, hashed at compile time.
mod name {
    use http::header::HeaderName;

    pub(super) const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
    pub(super) const CACHE: HeaderName = HeaderName::from_static("x-gatewright-cache");
    pub(super) const CACHE_KEY: HeaderName = HeaderName::from_static("x-litellm-cache-key");
    pub(super) const DROPPED_PARAMS: HeaderName = HeaderName::from_static("x-gatewright-dropped-params");
    pub(super) const ATTEMPTED_FALLBACKS: HeaderName =
        HeaderName::from_static("x-litellm-attempted-fallbacks");
    pub(super) const ATTEMPTED_RETRIES: HeaderName = HeaderName::from_static("x-litellm-attempted-retries");
    pub(super) const KEY_MAX_BUDGET: HeaderName = HeaderName::from_static("x-litellm-key-max-budget");
    pub(super) const KEY_RPM_LIMIT: HeaderName = HeaderName::from_static("x-litellm-key-rpm-limit");
    pub(super) const KEY_SPEND: HeaderName = HeaderName::from_static("x-litellm-key-spend");
    pub(super) const KEY_TPM_LIMIT: HeaderName = HeaderName::from_static("x-litellm-key-tpm-limit");
    pub(super) const MODEL_API_BASE: HeaderName = HeaderName::from_static("x-litellm-model-api-base");
    pub(super) const MODEL_GROUP: HeaderName = HeaderName::from_static("x-litellm-model-group");
    pub(super) const MODEL_ID: HeaderName = HeaderName::from_static("x-litellm-model-id");
    pub(super) const MODEL_NAME: HeaderName = HeaderName::from_static("x-litellm-model-name");
    pub(super) const OVERHEAD_DURATION_MS: HeaderName =
        HeaderName::from_static("x-litellm-overhead-duration-ms");
    pub(super) const RESPONSE_COST: HeaderName = HeaderName::from_static("x-litellm-response-cost");
    pub(super) const RESPONSE_DURATION_MS: HeaderName =
        HeaderName::from_static("x-litellm-response-duration-ms");
    pub(super) const SIMILARITY: HeaderName = HeaderName::from_static("x-litellm-semantic-similarity");
    pub(super) const VERSION: HeaderName = HeaderName::from_static("x-litellm-version");
}

/// What is told about a request besides its answer.
pub(crate) struct Told<'a> {
    /// What the call is called.
    pub(crate) name: HeaderValue,
    pub(crate) received: Instant,
    pub(crate) settings: &'a Settings,
    /// Fields that were taken out of the client's request.
    pub(crate) dropped: Vec<Cow<'static, str>>,
    pub(crate) key: Option<&'a KeyStanding>,
    /// Whether the client reads a stream as one JSON list.
    pub(crate) as_list: bool,
    /// How the call was routed, where the client asks.
    pub(crate) decisions: Option<Arc<Decisions>>,
    /// Its place inside, which a stream keeps until its end.
    pub(crate) place: Place,
}

/// A reply for the client.
pub(crate) async fn reply(reply: Reply, codec: &'static dyn Codec, told: Told<'_>) -> Response {
    let Reply { head, mut frames } = reply;
    let head = *head;
    let mut headers = base(told.name.clone());
    served(&mut headers, &head, &told);
    if told.settings.show_upstream_headers {
        upstream(&mut headers, &head.headers);
    }
    headers.extend(head.told);
    let body = match head.streams {
        true if told.as_list => {
            headers.insert(CONTENT_TYPE, JSON);
            headers.insert(name::BUFFERING, HeaderValue::from_static("no"));
            Body::new(ListBody::new(EdgeBody::events(frames, codec, told.place)))
        }
        true => {
            let bytes = head.content_type.is_some();
            headers.insert(CONTENT_TYPE, head.content_type.unwrap_or_else(|| stream_type(codec.framing())));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(name::BUFFERING, HeaderValue::from_static("no"));
            match bytes {
                true => Body::new(EdgeBody::bytes(frames, told.place)),
                false => Body::new(EdgeBody::events(frames, codec, told.place)),
            }
        }
        false => {
            headers.insert(CONTENT_TYPE, head.content_type.unwrap_or(JSON));
            match frames.next().await {
                Some(Ok(frame)) => Body::from(frame.data),
                Some(Err(err)) => return failed(&err, codec, told),
                None => Body::empty(),
            }
        }
    };
    if let Some(decisions) = &told.decisions {
        explain::tell(&mut headers, decisions);
    }
    // What the call cost is in it where the answer is whole.
    standing(&mut headers, told.key);
    answer(StatusCode::OK, headers, body)
}

fn stream_type(framing: Framing) -> HeaderValue {
    match framing {
        Framing::Sse | Framing::Bytes => EVENTS,
        Framing::Ndjson => LINES,
        Framing::AwsEvents => AWS_EVENTS,
    }
}

/// A call that failed, with what the upstream's answer had in its head.
pub(crate) fn failed(err: &Error, codec: &dyn Codec, told: Told<'_>) -> Response {
    let mut response = refused(err, codec, told.name, told.key);
    if told.settings.show_upstream_headers {
        upstream(response.headers_mut(), err.headers());
    }
    if let Some(decisions) = &told.decisions {
        explain::tell(response.headers_mut(), decisions);
    }
    response
}

/// A call of a known key that came to nothing.
pub(crate) fn refused(
    err: &Error,
    codec: &dyn Codec,
    name: HeaderValue,
    key: Option<&KeyStanding>,
) -> Response {
    let mut response = error(err, codec, name);
    standing(response.headers_mut(), key);
    response
}

/// An error in the client's dialect.
pub(crate) fn error(err: &Error, codec: &dyn Codec, name: HeaderValue) -> Response {
    let mut headers = base(name);
    headers.insert(CONTENT_TYPE, JSON);
    if let Some(by) = err.served_by() {
        put(&mut headers, name::MODEL_ID, &by.deployment);
        put(&mut headers, name::MODEL_NAME, &by.model);
    }
    if let Some(wait) = err.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    for name in ["rate_limit_type", "reset_at"] {
        if let Some(value) = err.headers().get(name) {
            headers.insert(HeaderName::from_static(name), value.clone());
        }
    }
    answer(err.status(), headers, Body::from(codec.encode_error(err)))
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    document(status, value.to_string().into())
}

/// The same, already written.
pub(crate) fn document(status: StatusCode, body: Bytes) -> Response {
    let mut headers = HeaderMap::with_capacity(8);
    secure(&mut headers);
    headers.insert(CONTENT_TYPE, JSON);
    answer(status, headers, Body::from(body))
}

/// Something that is the same for everybody.
pub(crate) fn file(mut headers: HeaderMap, body: Body) -> Response {
    secure(&mut headers);
    answer(StatusCode::OK, headers, body)
}

/// The answer of a route that is served beside ours.
pub(crate) async fn secured(mut response: Response) -> Response {
    secure(response.headers_mut());
    response
}

/// No such route.
pub(crate) fn not_found() -> Response {
    json(StatusCode::NOT_FOUND, &serde_json::json!({"detail": "Not Found"}))
}

/// The route has no such method.
pub(crate) fn method_not_allowed() -> Response {
    json(StatusCode::METHOD_NOT_ALLOWED, &serde_json::json!({"detail": "Method Not Allowed"}))
}

fn answer(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// What every answer to a call says.
fn base(name: HeaderValue) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(32);
    headers.insert(CALL_ID, name);
    headers.insert(name::VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    secure(&mut headers);
    headers
}

fn secure(headers: &mut HeaderMap) {
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn served(headers: &mut HeaderMap, head: &Head, told: &Told<'_>) {
    if let Some(by) = &head.served_by {
        put(headers, name::MODEL_ID, &by.deployment);
        put(headers, name::MODEL_NAME, &by.model);
        put(headers, name::MODEL_API_BASE, &by.api_base);
        put(headers, name::MODEL_GROUP, &by.group);
    }
    headers.insert(name::ATTEMPTED_RETRIES, HeaderValue::from(head.retries));
    headers.insert(name::ATTEMPTED_FALLBACKS, HeaderValue::from(head.fallbacks));
    if let Some(cost) = head.cost {
        put_text(headers, name::RESPONSE_COST, cost.to_string());
    }
    if let Some(cached) = &head.cached {
        put(headers, name::CACHE_KEY, &cached.key);
        headers.insert(name::CACHE, HeaderValue::from_static(if cached.hit { "hit" } else { "miss" }));
        if let Some(similarity) = cached.similarity {
            put_text(headers, name::SIMILARITY, similarity.to_string());
        }
    }
    let all = told.received.elapsed();
    put_text(headers, name::RESPONSE_DURATION_MS, millis(all));
    put_text(headers, name::OVERHEAD_DURATION_MS, millis(all.saturating_sub(head.waited)));
    if !told.dropped.is_empty() || !head.dropped.is_empty() {
        let all: Vec<&str> = told.dropped.iter().chain(&head.dropped).map(AsRef::as_ref).collect();
        put_text(headers, name::DROPPED_PARAMS, all.join(", "));
    }
}

/// What the holder of a key is told of it.
fn standing(headers: &mut HeaderMap, key: Option<&KeyStanding>) {
    let Some(key) = key else { return };
    put_text(headers, name::KEY_SPEND, key.spent.total().to_string());
    if let Some(most) = key.most {
        put_text(headers, name::KEY_MAX_BUDGET, most.to_string());
    }
    for (name, limit) in [(name::KEY_RPM_LIMIT, key.requests), (name::KEY_TPM_LIMIT, key.tokens)] {
        headers.extend(limit.map(|limit| (name, HeaderValue::from(limit))));
    }
}

/// The upstream's headers under `llm_provider-`; its rate limits and the id that Anthropic's clients report under their
/// own names too.
fn upstream(headers: &mut HeaderMap, from: &HeaderMap) {
    for (name, value) in from {
        // Hop-by-hop facts and the provider's cookies are nobody else's business.
        if matches!(*name, TRANSFER_ENCODING | CONTENT_LENGTH | header::CONNECTION | header::SET_COOKIE) {
            continue;
        }
        if name.as_str().starts_with("x-ratelimit-") || *name == "request-id" {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(prefixed) = prefixed(name) {
            headers.insert(prefixed, value.clone());
        }
    }
}

/// `llm_provider-…`, made once a thread. Upstreams choose the names, so not all are kept.
fn prefixed(name: &HeaderName) -> Option<HeaderName> {
    const MOST_KEPT: usize = 256;
    thread_local! {
        static KEPT: RefCell<HashMap<HeaderName, HeaderName>> = RefCell::default();
    }
    KEPT.with_borrow_mut(|kept| {
        if let Some(known) = kept.get(name) {
            return Some(known.clone());
        }
        let made = HeaderName::try_from(format!("llm_provider-{name}")).ok()?;
        if kept.len() < MOST_KEPT {
            kept.insert(name.clone(), made.clone());
        }
        Some(made)
    })
}

/// Milliseconds with three decimals, digit by digit: the general way of formatting costs ten times as much.
fn millis(duration: Duration) -> String {
    let mut micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let mut reversed = Vec::with_capacity(24);
    while micros > 0 || reversed.len() < 5 {
        if reversed.len() == 3 {
            reversed.push(b'.');
        }
        reversed.push(b'0' + (micros % 10) as u8);
        micros /= 10;
    }
    reversed.reverse();
    String::from_utf8(reversed).unwrap_or_default()
}

/// A value that is empty or cannot stand in a header is left out.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if value.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The same where the text is nobody else's.
fn put_text(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if value.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_milliseconds_with_three_decimals() {
        for (micros, told) in [
            (0, "0.000"),
            (7, "0.007"),
            (999, "0.999"),
            (1_000, "1.000"),
            (60_010, "60.010"),
            (123_456_789, "123456.789"),
        ] {
            assert_eq!(millis(Duration::from_micros(micros)), told);
        }
        assert_eq!(millis(Duration::MAX), "18446744073709551.615");
    }

    #[test]
    fn an_upstreams_names_are_told_with_a_prefix_however_many_there_are() {
        for round in 0..2 {
            for n in 0..300 {
                let name = HeaderName::try_from(format!("x-{n}")).unwrap();
                let told = prefixed(&name).unwrap();
                assert_eq!(told.as_str(), format!("llm_provider-x-{n}"), "round {round}");
            }
        }
    }
}
