//! What waits for its receiver: bounded by count and by bytes, and whatever does not arrive is counted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::{Batch, wire};

/// Where spans stand in OTLP's `ScopeSpans`.
pub(crate) const SPANS: u64 = 2;

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
#[derive(Clone)]
pub struct SpanCounts(pub(crate) Queue);

/// Spans on their way out. Clones share them.
#[derive(Clone)]
pub(crate) struct Queue(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    /// Told when there is a whole batch, or somebody asks.
    due: Notify,
    bounds: Batch,
}

#[derive(Default)]
struct Waiting {
    batches: VecDeque<Spans>,
    /// Bytes that wait or are on their way.
    bytes: usize,
    figures: SpanFigures,
    /// Who waits until everything that is here now has left, and whether more may come.
    asked: Vec<oneshot::Sender<bool>>,
    closed: bool,
    /// How long the last whole batch was: the next one will be as long.
    usual: usize,
}

/// Spans that leave together, one behind the other, as they stand in OTLP's `ScopeSpans`.
#[derive(Default)]
pub(crate) struct Spans {
    pub(crate) message: Vec<u8>,
    pub(crate) count: usize,
    /// The bytes of them that are counted.
    pub(crate) bytes: usize,
}

/// What is to be done now.
pub(crate) struct Due {
    pub(crate) asked: Vec<oneshot::Sender<bool>>,
    pub(crate) closed: bool,
    /// How many batches there are.
    pub(crate) batches: usize,
}

// === impl Queue ===

impl Queue {
    pub(crate) fn new(bounds: Batch) -> Self {
        // A batch that the queue has no room for would never be whole.
        let bounds = Batch { size: bounds.size.min(bounds.queue).max(1), ..bounds };
        Self(Arc::new(Shared { waiting: Mutex::default(), due: Notify::new(), bounds }))
    }

    /// Takes a span, if there is room for it.
    pub(crate) fn push(&self, span: &[u8]) {
        let Shared { waiting, due, bounds } = &*self.0;
        let mut waiting = waiting.lock();
        let has_room = waiting.figures.waiting < bounds.queue as u64
            && waiting.bytes.saturating_add(span.len()) <= bounds.queue_bytes;
        if waiting.closed || !has_room {
            waiting.figures.dropped += 1;
            return;
        }
        waiting.figures.waiting += 1;
        waiting.bytes += span.len();
        if waiting.batches.back().is_none_or(|last| last.count == bounds.size) {
            let message = Vec::with_capacity(waiting.usual);
            waiting.batches.push_back(Spans { message, ..Spans::default() });
        }
        let Some(last) = waiting.batches.back_mut() else { return };
        wire::bytes(&mut last.message, SPANS, span);
        last.count += 1;
        last.bytes += span.len();
        if last.count == bounds.size {
            waiting.usual = last.message.len();
            drop(waiting);
            due.notify_one();
        }
    }

    /// Whether half of its room is free; where it is not, a span is counted as dropped that is not even made.
    pub(crate) fn is_half_empty(&self) -> bool {
        let Shared { waiting, bounds, .. } = &*self.0;
        let mut waiting = waiting.lock();
        let half = waiting.figures.waiting.saturating_mul(2) < bounds.queue as u64
            && waiting.bytes.saturating_mul(2) < bounds.queue_bytes;
        waiting.figures.dropped += u64::from(!half);
        half
    }

    /// Waits until there is a whole batch or somebody asks.
    pub(crate) async fn due(&self) {
        self.0.due.notified().await;
    }

    /// What is asked for since it was looked at last.
    pub(crate) fn asked(&self) -> Due {
        let mut waiting = self.0.waiting.lock();
        let asked = std::mem::take(&mut waiting.asked);
        Due { asked, closed: waiting.closed, batches: waiting.batches.len() }
    }

    /// The oldest batch; one that is not whole only where `any` will do.
    pub(crate) fn take(&self, any: bool) -> Option<Spans> {
        let mut waiting = self.0.waiting.lock();
        let is_due = |batch: &Spans| any || batch.count == self.0.bounds.size;
        waiting.batches.pop_front_if(|batch| is_due(batch))
    }

    /// What became of a batch that was taken: of its spans, so many did not arrive.
    pub(crate) fn settle(&self, (count, bytes): (usize, usize), failed: u64) {
        let mut waiting = self.0.waiting.lock();
        let count = count as u64;
        let failed = failed.min(count);
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        waiting.figures.waiting = waiting.figures.waiting.saturating_sub(count);
        waiting.figures.exported += count - failed;
        waiting.figures.failed += failed;
    }

    /// Asks that everything that is here now leaves; told whether it did.
    pub(crate) fn flush(&self) -> oneshot::Receiver<bool> {
        let (told, asked) = oneshot::channel();
        self.0.waiting.lock().asked.push(told);
        self.0.due.notify_one();
        asked
    }

    /// Takes nothing more. What is here is the last.
    pub(crate) fn close(&self) {
        self.0.waiting.lock().closed = true;
        self.0.due.notify_one();
    }
}

// === impl SpanCounts ===

impl SpanCounts {
    /// What became of spans so far.
    pub fn figures(&self) -> SpanFigures {
        self.0.0.waiting.lock().figures
    }
}

impl fmt::Debug for SpanCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.figures().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(bounds: Batch) -> Queue {
        Queue::new(bounds)
    }

    fn figures(queue: &Queue) -> (u64, u64, u64, u64) {
        let SpanFigures { waiting, exported, dropped, failed } = SpanCounts(queue.clone()).figures();
        (waiting, exported, dropped, failed)
    }

    #[test]
    fn room_is_free_again_when_a_batch_has_arrived_or_has_not() {
        let queue = queue(Batch { queue: 3, size: 2, queue_bytes: 25, ..Batch::default() });
        for _ in 0..4 {
            queue.push(b"10  bytes.");
        }
        assert_eq!(figures(&queue), (2, 0, 2, 0), "no bytes are left");
        let batch = queue.take(false).unwrap();
        assert_eq!((batch.count, batch.bytes), (2, 20));
        assert_eq!(batch.message, [&b"\x12\x0a10  bytes."[..]; 2].concat());
        queue.push(b"10  bytes.");
        assert_eq!(figures(&queue), (2, 0, 3, 0), "on its way is not away");
        queue.settle((2, 20), 1);
        queue.push(b"10  bytes.");
        assert_eq!(figures(&queue), (1, 1, 3, 1));
        assert!(queue.take(false).is_none() && queue.take(true).is_some());
        queue.close();
        queue.push(b"late");
        assert_eq!(figures(&queue), (1, 1, 4, 1));
    }

    #[test]
    fn what_anybody_may_cause_has_half_of_the_room() {
        for (bounds, most) in
            [(Batch { queue: 4, ..Batch::default() }, 2), (Batch { queue_bytes: 40, ..Batch::default() }, 2)]
        {
            let queue = queue(bounds);
            for pushed in 0..4 {
                assert_eq!(queue.is_half_empty(), pushed < most, "{bounds:?}");
                queue.push(b"10  bytes.");
            }
            assert_eq!(figures(&queue), (4, 0, 2, 0));
        }
    }

    #[test]
    fn a_batch_is_no_larger_than_the_queue() {
        let queue = queue(Batch { queue: 2, size: 512, ..Batch::default() });
        queue.push(b"a");
        queue.push(b"b");
        assert_eq!(queue.take(false).unwrap().count, 2);
    }
}
