//! Health: whether the process lives, whether it can serve, and how the deployments do.

use std::time::Duration;

use axum::response::Response;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::gateway::peer;
use crate::{DoorFigures, Gateway, Ports, models, respond};

/// How the deployments do. What LiteLLM finds out by calling every model at the caller's expense is told here from
/// what the traffic showed.
pub trait Health: Send + Sync + 'static {
    /// Deployments that take calls.
    fn healthy(&self) -> Vec<Value>;

    /// Deployments that take none for now, or never will, each with a reason.
    fn unhealthy(&self) -> Vec<Value>;

    /// Whether calls can be served at all; else why not.
    fn ready(&self) -> Result<(), String>;

    /// How the ledger does. Calls are served without it.
    fn ledger(&self) -> LedgerHealth;

    /// Whether the Redis answers that replicas share their counts in; nothing where this process counts alone. Calls are
    /// served without it.
    fn redis(&self) -> Option<bool>;

    /// The same and more for Prometheus, with what goes on at the door: its type and the text, in the form that the client's
    /// `Accept` asks for. May take milliseconds.
    fn metrics(&self, door: DoorFigures, accept: &str) -> (&'static str, String);
}

/// How the ledger does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerHealth {
    /// Whether the database answers.
    pub connected: bool,
    /// Where it is known from who may call: the `database`, a `sealed file`, or only `memory`.
    pub keys: &'static str,
    /// Entries that wait for it, about.
    pub backlog: u64,
    /// The same in bytes of the journal.
    pub backlog_bytes: u64,
    /// How long the oldest of them has waited.
    pub oldest: Duration,
    /// Entries that were too old for it.
    pub refused: u64,
    /// Entries that it will never take.
    pub set_aside: u64,
}

/// `GET /health/liveliness`.
pub(crate) fn liveliness() -> Response {
    respond::json(StatusCode::OK, &json!("I'm alive!"))
}

/// `GET /health/readiness`.
pub(crate) fn readiness(ports: &Ports) -> Response {
    match ports.health.ready() {
        Ok(()) => {
            let health = ports.health.ledger();
            let ledger = json!({
                "backlog": health.backlog,
                "backlog_bytes": health.backlog_bytes,
                "oldest_seconds": health.oldest.as_secs(),
                "refused": health.refused,
                "set_aside": health.set_aside,
            });
            let mut told = json!({
                "status": "healthy",
                "db": connected(health.connected),
                "keys": health.keys,
                "ledger": ledger,
            });
            tell_redis(ports, &mut told);
            respond::json(StatusCode::OK, &told)
        }
        Err(why) => {
            respond::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "unhealthy", "reason": why}))
        }
    }
}

fn connected(is: bool) -> &'static str {
    if is { "connected" } else { "Not connected" }
}

/// LiteLLM names the kind of its cache, which is its way to Redis.
fn tell_redis(ports: &Ports, told: &mut Value) {
    let redis = ports.health.redis();
    told["cache"] = json!(redis.map(|_| "redis"));
    if let Some(is) = redis {
        told["redis"] = json!(connected(is));
    }
}

/// `GET /metrics`.
pub(crate) async fn metrics<S>(gateway: &Gateway<S>, request: &Parts) -> Response {
    let ports = &gateway.ports;
    if gateway.settings.metrics_need_key
        && let Err(err) = ports.caller(&request.headers, &request.uri, peer(request)).await
    {
        return models::refused(&err, request);
    }
    let accept = request.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (health, door, accept) = (ports.health.clone(), gateway.door.figures(), accept.to_owned());
    // Beside the workers: thousands of series take a while to write, and no call waits for that.
    match tokio::task::spawn_blocking(move || health.metrics(door, &accept)).await {
        Ok((content_type, text)) => {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            respond::file(headers, text.into())
        }
        Err(_) => respond::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"detail": "no figures"})),
    }
}

/// `GET /health`.
pub(crate) async fn deployments(ports: &Ports, request: &Parts) -> Response {
    models::with_caller(ports, request, |_| {
        let (healthy, unhealthy) = (ports.health.healthy(), ports.health.unhealthy());
        let mut told = json!({
            "healthy_count": healthy.len(),
            "unhealthy_count": unhealthy.len(),
            "healthy_endpoints": healthy,
            "unhealthy_endpoints": unhealthy,
        });
        if let Some(is) = ports.health.redis() {
            told["redis"] = json!(connected(is));
        }
        Ok(told)
    })
    .await
}

/// `GET /`.
pub(crate) fn about() -> Response {
    let about = json!({
        "name": "Gatewright",
        "version": env!("CARGO_PKG_VERSION"),
        "what": "an LLM gateway: one API in front of every model provider",
        "try": ["/v1/models", "/v1/chat/completions", "/v1/messages", "/health/readiness"],
    });
    respond::json(StatusCode::OK, &about)
}
