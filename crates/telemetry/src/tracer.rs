//! The handle that makes spans.

use std::sync::Arc;
use std::time::Instant;

use gatewright_core::{Call, TraceContext};

use crate::attributes::Attributes;
use crate::queue::Queue;
use crate::span::{Beginning, Kind, Span};
use crate::{Detail, Otlp, Sampler, Settings, SpanLimits, open_inference, times};

/// Makes spans, or none at all: a clone of an idle one is free, and so is asking it for a span.
#[derive(Clone, Default)]
pub struct Tracer {
    recorder: Option<Arc<Recorder>>,
    propagate: bool,
    baggage: bool,
}

struct Recorder {
    queue: Queue,
    sampler: Sampler,
    limits: SpanLimits,
    detail: Detail,
}

/// Something that is over, to be told as a span.
pub(crate) struct Past<'a> {
    pub(crate) name: &'static str,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// Why it failed, if it did.
    pub(crate) failed: Option<&'a str>,
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

    /// One whose spans come into `queue`, where there is one.
    pub(crate) fn new(spans: Option<(&Otlp, &Queue)>, settings: &Settings) -> Self {
        times::compare(Instant::now());
        let recorder = spans.map(|(otlp, queue)| {
            let (detail, queue) = (settings.detail.clone(), queue.clone());
            Arc::new(Recorder { queue, sampler: otlp.sampler, limits: limits(otlp, &detail), detail })
        });
        Self { recorder, propagate: settings.propagate, baggage: settings.baggage }
    }

    /// What spans tell; nothing where there are none.
    pub(crate) fn detail(&self) -> Option<&Detail> {
        self.recorder.as_ref().map(|recorder| &recorder.detail)
    }

    /// Tells what OpenInference calls a span that is no model's own.
    pub(crate) fn link(&self, told: &mut Attributes) {
        if self.detail().is_some_and(|detail| detail.open_inference) {
            told.put(open_inference::KIND, "CHAIN");
        }
    }

    /// Opens a span below the call's and puts it in its place. `None` where nobody will see it.
    pub(crate) fn descend(&self, call: &mut Call, kind: Kind, name: &[&str]) -> Option<Span> {
        let (place, span) = self.open((call.trace.as_deref(), call.received), kind, name)?;
        call.trace = Some(Arc::new(place));
        span
    }

    /// A span below `above` with its place, which is left to the caller. What came from a client began when it was received.
    /// `None` where nothing is to be told: whoever is below keeps the old place.
    pub(crate) fn open(
        &self,
        (above, received): (Option<&TraceContext>, Instant),
        kind: Kind,
        name: &[&str],
    ) -> Option<(TraceContext, Option<Span>)> {
        let recorder = self.recorder.as_deref()?;
        let is_call = kind == Kind::Server;
        match is_call {
            true => times::compare(received),
            false if above.is_some_and(|above| !above.sampled) => return None,
            false => {}
        }
        let trace = above.map_or_else(fresh_trace, |above| above.trace);
        let sampled = recorder.sampler.takes(above.map(|above| above.sampled), trace);
        let state = above.and_then(|above| above.state.clone());
        let place = TraceContext::new(trace, fresh_span(), sampled, state);
        let span = sampled.then(|| {
            let at = if is_call { received } else { Instant::now() };
            recorder.begin(&Beginning {
                place: &place,
                parent: above.map(|above| above.span),
                kind,
                name,
                at,
            })
        });
        Some((place, span))
    }

    /// Whether there is room for what anybody may cause; counted where there is none.
    pub(crate) fn has_room_for_refusals(&self) -> bool {
        self.recorder.as_ref().is_some_and(|recorder| recorder.queue.is_half_empty())
    }

    /// Tells something that is over as a span below `above`, if that is recorded.
    pub(crate) fn tell(&self, above: &TraceContext, past: &Past<'_>, tell: impl FnOnce(&mut Attributes)) {
        let Some(recorder) = self.recorder.as_deref().filter(|_| above.sampled) else { return };
        let place = TraceContext::new(above.trace, fresh_span(), true, above.state.clone());
        let (parent, kind) = (Some(above.span), Kind::Internal);
        let beginning = Beginning { place: &place, parent, kind, name: &[past.name], at: past.began };
        let mut span = recorder.begin(&beginning);
        tell(&mut span.told);
        self.link(&mut span.told);
        if let Some(reason) = past.failed {
            span.fail(reason);
        }
        span.end_at(past.ended);
    }
}

// === impl Recorder ===

impl Recorder {
    fn begin(&self, beginning: &Beginning<'_>) -> Span {
        Span::begin(&self.queue, self.limits, beginning)
    }
}

/// A conversation in OpenInference's form has some attributes a message.
fn limits(otlp: &Otlp, detail: &Detail) -> SpanLimits {
    const MOST_ATTRIBUTES: u32 = 1024;
    match detail.open_inference {
        true => SpanLimits { attributes: otlp.limits.attributes.max(MOST_ATTRIBUTES), ..otlp.limits },
        false => otlp.limits,
    }
}

/// Names that nobody else has: random, and never all zero, which would be none.
fn fresh_trace() -> [u8; 16] {
    rand::random::<u128>().max(1).to_be_bytes()
}

fn fresh_span() -> [u8; 8] {
    rand::random::<u64>().max(1).to_be_bytes()
}
