//! What waits for its receiver: bounded by count and by bytes, and whatever does not arrive is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::{Context, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use crate::Batch;

/// What became of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanFigures {
    /// Spans that wait or are on their way.
    pub waiting: u64,
    /// Spans that their receiver took.
    pub exported: u64,
    /// Spans that there was no room for.
    pub dropped: u64,
    /// Spans that their receiver did not take.
    pub failed: u64,
}

/// The figures while they change. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct SpanCounts(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    waiting: AtomicU64,
    bytes: AtomicU64,
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// Lets spans in while there is room.
#[derive(Debug)]
pub(crate) struct Bounded<P> {
    next: P,
    counts: SpanCounts,
    most: u64,
    most_bytes: u64,
}

/// Lets spans out, and makes their room free.
#[derive(Debug)]
pub(crate) struct Counting<E> {
    next: E,
    counts: SpanCounts,
}

// === impl SpanCounts ===

impl SpanCounts {
    /// What became of spans so far.
    pub fn figures(&self) -> SpanFigures {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counted = &*self.0;
        SpanFigures {
            waiting: read(&counted.waiting),
            exported: read(&counted.exported),
            dropped: read(&counted.dropped),
            failed: read(&counted.failed),
        }
    }

    fn enter(&self, bytes: u64, (most, most_bytes): (u64, u64)) -> bool {
        let counted = &*self.0;
        let waiting = counted.waiting.fetch_add(1, Ordering::Relaxed);
        let held = counted.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = waiting < most && held.saturating_add(bytes) <= most_bytes;
        if !fits {
            self.leave(1, bytes);
            counted.dropped.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    fn leave(&self, spans: u64, bytes: u64) {
        self.0.waiting.fetch_sub(spans, Ordering::Relaxed);
        self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// === impl Bounded ===

impl<P: SpanProcessor> Bounded<P> {
    pub(crate) fn new(next: P, counts: SpanCounts, batch: Batch) -> Self {
        Self { next, counts, most: batch.queue as u64, most_bytes: batch.queue_bytes as u64 }
    }
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.next.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        if self.counts.enter(weight(&span), (self.most, self.most_bytes)) {
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

// === impl Counting ===

impl<E: SpanExporter> Counting<E> {
    pub(crate) fn new(next: E, counts: SpanCounts) -> Self {
        Self { next, counts }
    }
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (spans, bytes) = (batch.len() as u64, batch.iter().map(weight).sum());
        let result = self.next.export(batch).await;
        self.counts.leave(spans, bytes);
        let count = if result.is_ok() { &self.counts.0.exported } else { &self.counts.0.failed };
        count.fetch_add(spans, Ordering::Relaxed);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// The bytes of its texts: nothing else of a span is large.
fn weight(span: &SpanData) -> u64 {
    let text = |value: &Value| if let Value::String(text) = value { text.as_str().len() } else { 0 };
    span.attributes.iter().map(|pair| text(&pair.value) as u64).sum()
}
