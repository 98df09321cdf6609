//! The handle that makes spans, and the span that a layer and its observer share.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use gatewright_core::{Call, Clock, SystemClock, TraceContext};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, SpanRef, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use crate::upstream::fail;
use crate::{Detail, Settings, open_inference};

/// Clocks that are so far apart were not slowed or hurried: one of them was set.
const WAS_SET: Duration = Duration::from_millis(100);

/// Makes spans, or none at all: a clone of an idle one is free, and so is asking it for a span.
#[derive(Clone, Default)]
pub struct Tracer {
    recorder: Option<Recorder>,
    propagate: bool,
    baggage: bool,
}

#[derive(Clone)]
struct Recorder {
    spans: SdkTracer,
    detail: Arc<Detail>,
}

/// One span, shared between the layer that opened it and the observer that ends it. It ends with its last holder.
#[derive(Clone)]
pub(crate) struct Span(Context);

/// Something that is over, to be told as a span.
pub(crate) struct Past {
    pub(crate) name: &'static str,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) attributes: Vec<KeyValue>,
    /// Why it failed, if it did.
    pub(crate) failed: Option<String>,
}

// === impl Tracer ===

impl Tracer {
    /// Makes no spans. With `propagate` a client's trace context still reaches the upstream.
    pub fn off(propagate: bool) -> Self {
        Self { recorder: None, propagate, baggage: false }
    }

    /// Whether there are spans.
    pub fn is_on(&self) -> bool {
        self.recorder.is_some()
    }

    /// Whether a trace context travels through the gateway.
    pub fn propagates(&self) -> bool {
        self.propagate
    }

    /// Whether a client's baggage travels through the gateway.
    pub fn carries_baggage(&self) -> bool {
        self.baggage
    }

    pub(crate) fn new(spans: Option<SdkTracer>, settings: &Settings) -> Self {
        let detail = || Arc::new(settings.detail.clone());
        let recorder = spans.map(|spans| Recorder { spans, detail: detail() });
        Self { recorder, propagate: settings.propagate, baggage: settings.baggage }
    }

    /// What spans tell; nothing where there are none.
    pub(crate) fn detail(&self) -> Option<&Arc<Detail>> {
        self.recorder.as_ref().map(|recorder| &recorder.detail)
    }

    /// What OpenInference calls a span that is no model's own.
    pub(crate) fn link(&self) -> Option<KeyValue> {
        let wanted = self.detail().is_some_and(|detail| detail.open_inference);
        wanted.then(|| KeyValue::new(open_inference::KIND, "CHAIN"))
    }

    /// Opens a span below the call's and puts it in its place. `None` where nothing traces. It began when the call came, if
    /// it is the call's own.
    pub(crate) fn descend(
        &self,
        call: &mut Call,
        kind: SpanKind,
        name: impl FnOnce(&Call) -> Cow<'static, str>,
    ) -> Option<Span> {
        let Recorder { spans, .. } = self.recorder.as_ref()?;
        // Only a server's span has its parent in another process.
        let remote = matches!(kind, SpanKind::Server);
        let parent = call.trace.as_deref().map(|context| span_context(context, remote));
        let span = Span::start(spans, parent, kind, name(call), remote.then(|| wall(call.received)));
        // A provider that was shut down hands out spans without an identity: whoever is below keeps the old parent.
        if let Some(context) = span.context() {
            call.trace = Some(Arc::new(context));
        }
        Some(span)
    }

    /// Opens a span below the call's and leaves the call as it is.
    pub(crate) fn child(&self, call: &Call, kind: SpanKind, name: Cow<'static, str>) -> Option<Span> {
        let parent = call.trace.as_deref().map(|context| span_context(context, false));
        Some(Span::start(&self.recorder.as_ref()?.spans, parent, kind, name, None))
    }

    /// Tells something that is over as a span below `above`, if that is recorded.
    pub(crate) fn tell(&self, above: &TraceContext, past: Past) {
        let Some(Recorder { spans, .. }) = self.recorder.as_ref().filter(|_| above.sampled) else { return };
        let parent = Some(span_context(above, false));
        let span = Span::start(spans, parent, SpanKind::Internal, past.name.into(), Some(wall(past.began)));
        let Some(span) = span.recording() else { return };
        span.set_attributes(past.attributes.into_iter().chain(self.link()));
        if let Some(reason) = past.failed {
            fail(&span, reason);
        }
        span.end_with_timestamp(wall(past.ended));
    }
}

// === impl Span ===

impl Span {
    fn start(
        spans: &SdkTracer,
        parent: Option<SpanContext>,
        kind: SpanKind,
        name: Cow<'static, str>,
        began: Option<SystemTime>,
    ) -> Self {
        let above = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent),
            None => Context::new(),
        };
        let mut builder = spans.span_builder(name).with_kind(kind);
        builder.start_time = began;
        Self(Context::new().with_span(spans.build_with_context(builder, &above)))
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
}

/// The wall clock's time of a moment that is over. One moment is one time, whenever it is asked for: the two clocks are
/// compared once, unless the wall clock was set since.
pub(crate) fn wall(moment: Instant) -> SystemTime {
    static COMPARED: OnceLock<(Instant, SystemTime)> = OnceLock::new();
    let (then, its_time) = *COMPARED.get_or_init(|| (Instant::now(), SystemClock.wall()));
    let compared = match moment.checked_duration_since(then) {
        Some(later) => its_time + later,
        None => its_time - (then - moment),
    };
    let now = SystemClock.wall();
    let fresh = now.checked_sub(moment.elapsed()).unwrap_or(now);
    let apart = compared.duration_since(fresh).or_else(|_| fresh.duration_since(compared));
    if apart.is_ok_and(|apart| apart < WAS_SET) { compared } else { fresh }
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
