//! The span of one HTTP exchange with an upstream, and the trace context in its request.

use std::sync::Arc;

use gatewright_core::{Call, ErrorKind, TraceContext};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, SpanRef, Status};

use crate::tracer::Span;
use crate::{Tracer, baggage, context, semconv};

/// The exchange with an upstream: lives until the answer's body is whole, and ends when dropped.
pub struct UpstreamSpan {
    span: Option<Span>,
    travels: Option<Arc<TraceContext>>,
    baggage: Option<HeaderValue>,
    blamed: bool,
}

// === impl Tracer ===

impl Tracer {
    /// Opens the span of an exchange below the call's.
    pub fn upstream(&self, call: &Call, method: &Method, uri: &Uri) -> UpstreamSpan {
        let name = || method.to_string().into();
        let span = self.is_on().then(|| self.child(call, SpanKind::Client, name())).flatten();
        if let Some(recorded) = span.as_ref().and_then(Span::recording) {
            describe(&recorded, method, uri);
        }
        let own = span.as_ref().and_then(Span::context).map(Arc::new);
        let travels = own.or_else(|| call.trace.clone()).filter(|_| self.propagates());
        let baggage = self.carries_baggage().then(|| baggage::passed(&call.headers)).flatten();
        UpstreamSpan { span, travels, baggage, blamed: false }
    }
}

// === impl UpstreamSpan ===

impl UpstreamSpan {
    /// Writes the trace context and the baggage into the request's headers, where they are to travel.
    pub fn inject(&self, headers: &mut HeaderMap) {
        if let Some(context) = &self.travels {
            context::write(context, headers);
        }
        if let Some(baggage) = &self.baggage {
            baggage::write(baggage, headers);
        }
    }

    /// Whether somebody will read it.
    pub fn is_recording(&self) -> bool {
        self.span.as_ref().and_then(Span::recording).is_some()
    }

    /// The head of the answer is there.
    pub fn answered(&mut self, status: StatusCode) {
        if let Some(span) = self.span.as_ref().and_then(Span::recording) {
            span.set_attribute(KeyValue::new(semconv::HTTP_STATUS, i64::from(status.as_u16())));
        }
        if status.is_client_error() || status.is_server_error() {
            self.blame(|| status.as_str().to_owned());
        }
    }

    /// The exchange failed without an answer, or in the middle of one.
    pub fn failed(&mut self, kind: ErrorKind) {
        self.blame(|| kind.word());
    }

    /// The first reason is the one that counts: an error status comes before what is made of it.
    fn blame(&mut self, reason: impl FnOnce() -> String) {
        if std::mem::replace(&mut self.blamed, true) {
            return;
        }
        if let Some(span) = self.span.as_ref().and_then(Span::recording) {
            fail(&span, reason());
        }
    }
}

/// Marks a span as failed. The error's words stay out: providers like to quote the prompt in them.
pub(crate) fn fail(span: &SpanRef<'_>, reason: String) {
    span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, reason));
    span.set_status(Status::error(""));
}

fn describe(span: &SpanRef<'_>, method: &Method, uri: &Uri) {
    let default_port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    span.set_attributes([
        KeyValue::new(semconv::HTTP_METHOD, method.to_string()),
        KeyValue::new(semconv::SERVER_ADDRESS, uri.host().unwrap_or_default().to_owned()),
        KeyValue::new(semconv::SERVER_PORT, i64::from(uri.port_u16().unwrap_or(default_port))),
        KeyValue::new(semconv::URL_PATH, uri.path().to_owned()),
    ]);
}
