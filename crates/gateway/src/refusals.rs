//! Requests that were refused before they became calls, for whoever counts or traces them.

use std::sync::Arc;
use std::time::Instant;

use gatewright_core::{Caller, Dialect, Error, Operation};
use http::HeaderMap;

use crate::llm::Way;

/// Told of requests that never became calls: without a valid key, without a place inside, without a body that can be read.
pub trait Refusals: Send + Sync + 'static {
    /// One was refused.
    fn refused(&self, refusal: &Refusal<'_>);
}

/// A request that never became a call.
pub struct Refusal<'a> {
    /// What was asked for.
    pub operation: Operation,
    /// In which dialect.
    pub dialect: Dialect,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// When its head was read.
    pub received: Instant,
    /// Whose it was, where that is known.
    pub caller: Option<&'a Arc<Caller>>,
    /// Why it was refused.
    pub error: &'a Error,
}

/// A request that may still be refused, and who is told then. Most are not, so that nothing of it is held.
pub(crate) struct Refusable<'g> {
    port: Option<&'g dyn Refusals>,
    operation: Operation,
    dialect: Dialect,
    received: Instant,
}

// === impl Refusable ===

impl<'g> Refusable<'g> {
    pub(crate) fn new(port: Option<&'g Arc<dyn Refusals>>, way: &Way, received: Instant) -> Self {
        let Way { operation, dialect, .. } = *way;
        Self { port: port.map(|port| &**port), operation, dialect, received }
    }

    /// It was refused.
    pub(crate) fn refused(&self, (headers, caller): (&HeaderMap, Option<&Arc<Caller>>), error: &Error) {
        let Self { port, operation, dialect, received } = *self;
        if let Some(port) = port {
            port.refused(&Refusal { operation, dialect, headers, received, caller, error });
        }
    }
}
