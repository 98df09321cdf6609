//! The span of one HTTP exchange with an upstream, and the trace context in its request.

use std::sync::Arc;

use gatewright_core::{Call, ErrorKind, TraceContext};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

use crate::attributes::Attributes;
use crate::span::{Kind, Span};
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
        let opened = self.open((call.trace.as_deref(), call.received), Kind::Client, &[method.as_str()]);
        let (own, mut span) = opened.map_or((None, None), |(place, span)| (Some(place), span));
        if let Some(span) = &mut span {
            describe(&mut span.told, method, uri);
        }
        let travels = self.propagates().then(|| own.map(Arc::new).or_else(|| call.trace.clone())).flatten();
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
        self.span.is_some()
    }

    /// The head of the answer is there.
    pub fn answered(&mut self, status: StatusCode) {
        if let Some(span) = &mut self.span {
            span.told.put(semconv::HTTP_STATUS, u64::from(status.as_u16()));
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
        if let Some(span) = &mut self.span {
            span.fail(&reason());
        }
    }
}

fn describe(told: &mut Attributes, method: &Method, uri: &Uri) {
    let default_port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    told.put(semconv::HTTP_METHOD, method.as_str());
    told.put(semconv::SERVER_ADDRESS, uri.host().unwrap_or_default());
    told.put(semconv::SERVER_PORT, u64::from(uri.port_u16().unwrap_or(default_port)));
    told.put(semconv::URL_PATH, uri.path());
}
