//! Requests that were refused before they became calls: one span each, which says of whom and why, and nothing that was sent.

use std::sync::Arc;
use std::time::Instant;

use gatewright_core::{Caller, Dialect, Error, Operation};
use http::HeaderMap;

use crate::span::Kind;
use crate::{Tracer, context, semconv};

/// A request that never became a call.
pub struct Refusal<'a> {
    /// What was asked for.
    pub operation: Operation,
    /// In which dialect.
    pub dialect: Dialect,
    /// Whose it was, where that is known.
    pub caller: Option<&'a Arc<Caller>>,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// When its head was read.
    pub received: Instant,
    /// Why it was refused.
    pub error: &'a Error,
}

// === impl Tracer ===

impl Tracer {
    /// Tells that a request was refused. Only who is known continues a trace of his own: nobody else writes into one. And
    /// anybody can be refused, so these have room only while half of it is free.
    pub fn refused(&self, request: &Refusal<'_>) {
        if !self.has_room_for_refusals() {
            return;
        }
        let Refusal { operation, dialect, caller, headers, received, error, .. } = *request;
        let above = caller.filter(|_| self.propagates()).and_then(|_| context::read(headers));
        let name = semconv::operation_name(operation, dialect);
        let opened = self.open((above.as_ref(), received), Kind::Server, &[name]);
        let Some((_, Some(mut span))) = opened else { return };
        span.told.put(semconv::OPERATION_NAME, name);
        let tells_who = self.detail().is_some_and(|detail| detail.identities);
        if let Some(caller) = caller.filter(|_| tells_who) {
            span.told.put(semconv::CALLER_ID, &caller.id);
        }
        span.told.put(semconv::HTTP_STATUS, u64::from(error.status().as_u16()));
        span.told.put(semconv::END, "failed");
        span.fail(&error.kind().word());
    }
}
