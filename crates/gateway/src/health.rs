//! Health: whether the process lives, whether it can serve, and how the deployments do.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};

use crate::{Ports, models, respond};

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
    /// How long the oldest of them has waited.
    pub oldest: Duration,
}

/// `GET /health/liveliness`.
pub(crate) fn liveliness() -> Response {
    respond::json(StatusCode::OK, &json!("I'm alive!"))
}

/// `GET /health/readiness`.
pub(crate) fn readiness(ports: &Ports) -> Response {
    match ports.health.ready() {
        Ok(()) => {
            let LedgerHealth { connected, keys, backlog, oldest } = ports.health.ledger();
            let db = if connected { "connected" } else { "Not connected" };
            let ledger = json!({"backlog": backlog, "oldest_seconds": oldest.as_secs()});
            respond::json(
                StatusCode::OK,
                &json!({"status": "healthy", "db": db, "keys": keys, "ledger": ledger}),
            )
        }
        Err(why) => {
            respond::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "unhealthy", "reason": why}))
        }
    }
}

/// `GET /health`.
pub(crate) async fn deployments(ports: &Ports, request: &Parts) -> Response {
    models::with_caller(ports, request, |_| {
        let (healthy, unhealthy) = (ports.health.healthy(), ports.health.unhealthy());
        Ok(json!({
            "healthy_count": healthy.len(),
            "unhealthy_count": unhealthy.len(),
            "healthy_endpoints": healthy,
            "unhealthy_endpoints": unhealthy,
        }))
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
