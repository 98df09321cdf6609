//! Requests that were refused before they became calls, for whoever counts or traces them.

use std::sync::Arc;
use std::time::Instant;

use axum::http::request::Parts;
use gatewright_core::{Caller, Dialect, Error, Operation};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::llm::Way;

/// Told of requests that never became calls: without a valid key, without a place inside, without a body that can be read.
pub trait Refusals: Send + Sync + 'static {
    /// The headers of such a request that it wants to see.
    fn reads(&self) -> &[HeaderName];

    /// One was refused.
    fn refused(&self, refusal: &Refusal<'_>);
}

/// A request that never became a call.
pub struct Refusal<'a> {
    /// What was asked for.
    pub operation: Operation,
    /// In which dialect.
    pub dialect: Dialect,
    /// The client's `User-Agent`.
    pub agent: Option<&'a HeaderValue>,
    /// Those of its headers that are read.
    pub headers: &'a HeaderMap,
    /// When its head was read.
    pub received: Instant,
    /// Whose it was, where that is known.
    pub caller: Option<&'a Arc<Caller>>,
    /// Why it was refused.
    pub error: &'a Error,
}

/// What is known of a request, as far as it is needed if it is refused: nothing where nobody is told.
pub(crate) struct Refusable<'g> {
    port: Option<&'g dyn Refusals>,
    operation: Operation,
    dialect: Dialect,
    agent: Option<HeaderValue>,
    headers: HeaderMap,
    received: Instant,
    caller: Option<Arc<Caller>>,
}

// === impl Refusable ===

impl<'g> Refusable<'g> {
    pub(crate) fn new(
        port: Option<&'g Arc<dyn Refusals>>,
        way: &Way,
        (parts, received): (&Parts, Instant),
    ) -> Self {
        let agent = port.and_then(|_| parts.headers.get(header::USER_AGENT).cloned());
        let port = port.map(|port| &**port);
        let mut headers = HeaderMap::new();
        for name in port.map_or(&[][..], Refusals::reads) {
            headers.extend(parts.headers.get_all(name).iter().map(|value| (name.clone(), value.clone())));
        }
        let Way { operation, dialect, .. } = *way;
        Self { port, operation, dialect, agent, headers, received, caller: None }
    }

    /// Whose it is.
    pub(crate) fn of(&mut self, caller: &Arc<Caller>) {
        self.caller = self.port.map(|_| caller.clone());
    }

    /// It was refused.
    pub(crate) fn refused(&self, error: &Error) {
        if let Some(port) = self.port {
            port.refused(&Refusal {
                operation: self.operation,
                dialect: self.dialect,
                agent: self.agent.as_ref(),
                headers: &self.headers,
                received: self.received,
                caller: self.caller.as_ref(),
                error,
            });
        }
    }
}
