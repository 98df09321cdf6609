//! The handle that makes spans, and the span that a layer and its observer share.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use gatewright_core::{Call, TraceContext};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, SpanRef, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

/// Makes spans, or none at all: a clone of an idle one is free, and so is asking it for a span.
#[derive(Clone, Default)]
pub struct Tracer {
    spans: Option<SdkTracer>,
    propagate: bool,
}

/// One span, shared between the layer that opened it and the observer that ends it. It ends with its last holder.
#[derive(Clone)]
pub(crate) struct Span(Context);

// === impl Tracer ===

impl Tracer {
    /// Makes no spans. With `propagate` a client's trace context still reaches the upstream.
    pub fn off(propagate: bool) -> Self {
        Self { spans: None, propagate }
    }

    /// Whether there are spans.
    pub fn is_on(&self) -> bool {
        self.spans.is_some()
    }

    /// Whether a trace context travels through the gateway.
    pub fn propagates(&self) -> bool {
        self.propagate
    }

    pub(crate) fn new(spans: SdkTracer, propagate: bool) -> Self {
        Self { spans: Some(spans), propagate }
    }

    /// Opens a span below the call's and puts it in its place. `None` where nothing traces.
    pub(crate) fn descend(
        &self,
        call: &mut Call,
        kind: SpanKind,
        name: impl FnOnce(&Call) -> Cow<'static, str>,
    ) -> Option<Span> {
        let spans = self.spans.as_ref()?;
        // Only a server's span has its parent in another process.
        let remote = matches!(kind, SpanKind::Server);
        let parent = call.trace.as_deref().map(|context| span_context(context, remote));
        let span = Span::start(spans, parent, kind, name(call));
        // A provider that was shut down hands out spans without an identity: whoever is below keeps the old parent.
        if let Some(context) = span.context() {
            call.trace = Some(Arc::new(context));
        }
        Some(span)
    }

    /// Opens a span below the call's and leaves the call as it is.
    pub(crate) fn child(&self, call: &Call, kind: SpanKind, name: Cow<'static, str>) -> Option<Span> {
        let parent = call.trace.as_deref().map(|context| span_context(context, false));
        Some(Span::start(self.spans.as_ref()?, parent, kind, name))
    }
}

// === impl Span ===

impl Span {
    fn start(
        spans: &SdkTracer,
        parent: Option<SpanContext>,
        kind: SpanKind,
        name: Cow<'static, str>,
    ) -> Self {
        let above = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent),
            None => Context::new(),
        };
        let span = spans.build_with_context(spans.span_builder(name).with_kind(kind), &above);
        Self(Context::new().with_span(span))
    }

    /// Its place in the trace; `None` where it has none.
    pub(crate) fn context(&self) -> Option<TraceContext> {
        let span = self.0.span();
        let own = span.span_context();
        let state = Some(own.trace_state().header()).filter(|list| !list.is_empty());
        own.is_valid().then(|| {
            let (trace, span) = (own.trace_id().to_bytes(), own.span_id().to_bytes());
            TraceContext::new(trace, span, own.is_sampled(), state.map(Arc::from))
        })
    }

    /// The span, where it is recorded: what nobody will see is not even built.
    pub(crate) fn recording(&self) -> Option<SpanRef<'_>> {
        Some(self.0.span()).filter(SpanRef::is_recording)
    }

    /// Adds what `attributes` says, where it is recorded.
    pub(crate) fn say<const N: usize>(&self, attributes: impl FnOnce() -> [KeyValue; N]) {
        if let Some(span) = self.recording() {
            span.set_attributes(attributes());
        }
    }
}

fn span_context(context: &TraceContext, remote: bool) -> SpanContext {
    let state = context.state.as_deref().and_then(|list| TraceState::from_str(list).ok());
    SpanContext::new(
        TraceId::from_bytes(context.trace),
        SpanId::from_bytes(context.span),
        if context.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED },
        remote,
        state.unwrap_or_default(),
    )
}
