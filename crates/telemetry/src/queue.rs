//! What waits for its receiver: bounded by count and by bytes, and whatever does not arrive is counted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot};

use crate::{Batch, lane, wire};

/// Where spans stand in OTLP's `ScopeSpans`.
pub(crate) const SPANS: u64 = 2;

/// A lane takes so small a part of all room at once: of the spans, and of the bytes.
const PART: usize = 64;
const PART_OF_BYTES: usize = 256;

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
pub(crate) struct Queue {
    lanes: Arc<[Arc<Lane>]>,
    shared: Arc<Shared>,
}

/// Where the spans of some threads come in: none of them waits for the others before its part of a batch is whole. What it
/// writes lies in no line of a cache that another lane writes.
#[repr(align(128))]
pub(crate) struct Lane {
    open: Mutex<Open>,
    shared: Arc<Shared>,
}

/// A part of a batch that is not whole, and the room for more.
#[derive(Default)]
struct Open {
    spans: Spans,
    room: Room,
}

/// Room for so many spans and so many bytes.
#[derive(Clone, Copy, Default)]
struct Room {
    spans: usize,
    bytes: usize,
}

struct Shared {
    waiting: Mutex<Waiting>,
    /// Told when there is a whole batch, or somebody asks.
    due: Notify,
    bounds: Batch,
    /// So many spans are a lane's part of a batch.
    part: usize,
}

#[derive(Default)]
struct Waiting {
    /// Parts of batches.
    parts: VecDeque<Spans>,
    /// The spans in them.
    ready: usize,
    /// What is taken of all room: by what waits, by what is on its way, and by lanes for what will come.
    taken: Room,
    /// Without what lanes have.
    figures: SpanFigures,
    /// Who waits until everything that is here now has left, and whether more may come.
    asked: Vec<oneshot::Sender<bool>>,
    closed: bool,
}

/// Spans that leave together, one behind the other, as they stand in OTLP's `ScopeSpans`.
#[derive(Default)]
pub(crate) struct Spans {
    pub(crate) message: Vec<u8>,
    /// What stands behind that.
    pub(crate) more: Vec<Vec<u8>>,
    pub(crate) count: usize,
    /// The bytes of them that are counted.
    pub(crate) bytes: usize,
}

/// What is to be done now.
pub(crate) struct Due {
    pub(crate) asked: Vec<oneshot::Sender<bool>>,
    pub(crate) closed: bool,
    /// There are no more than that.
    pub(crate) batches: usize,
}

// === impl Queue ===

impl Queue {
    pub(crate) fn new(bounds: Batch) -> Self {
        // A batch that the queue has no room for would never be whole.
        let bounds = Batch { size: bounds.size.min(bounds.queue).max(1), ..bounds };
        // All lanes together hold less than a batch, so that there is as much room as if there were one.
        let lanes = lane::count().min(bounds.size);
        let part = bounds.size / lanes;
        let shared = Arc::new(Shared { waiting: Mutex::default(), due: Notify::new(), bounds, part });
        let lane = || Arc::new(Lane { open: Mutex::default(), shared: shared.clone() });
        Self { lanes: (0..lanes).map(|_| lane()).collect(), shared }
    }

    /// Where the spans of this thread come in.
    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.lanes[lane::Lane::own().place() % self.lanes.len()]
    }

    /// Whether half of its room is free; where it is not, a span is counted as dropped that is not even made.
    pub(crate) fn is_half_empty(&self) -> bool {
        let Shared { waiting, bounds, .. } = &*self.shared;
        let mut waiting = waiting.lock();
        let half = waiting.taken.spans.saturating_mul(2) < bounds.queue
            && waiting.taken.bytes.saturating_mul(2) < bounds.queue_bytes;
        waiting.figures.dropped += u64::from(!half);
        half
    }

    /// Waits until there is a whole batch or somebody asks.
    pub(crate) async fn due(&self) {
        self.shared.due.notified().await;
    }

    /// What is asked for since it was looked at last.
    pub(crate) fn asked(&self) -> Due {
        let open = self.open().iter().filter(|open| open.spans.count > 0).count();
        let mut waiting = self.shared.waiting.lock();
        let asked = std::mem::take(&mut waiting.asked);
        Due { asked, closed: waiting.closed, batches: waiting.parts.len() + open }
    }

    /// A batch; one that is not whole only where `any` will do.
    pub(crate) fn take(&self, any: bool) -> Option<Spans> {
        let Shared { waiting, bounds, .. } = &*self.shared;
        let mut open = if any { self.open() } else { Vec::new() };
        let mut waiting = waiting.lock();
        if !any && !waiting.has_batch(&self.shared) {
            return None;
        }
        let mut batch = Spans::default();
        let fits = |batch: &Spans, part: &Spans| part.count > 0 && batch.count + part.count <= bounds.size;
        while let Some(part) = waiting.parts.pop_front_if(|part| fits(&batch, part)) {
            waiting.ready -= part.count;
            batch.join(part);
        }
        if waiting.parts.is_empty() {
            for open in &mut open {
                if fits(&batch, &open.spans) {
                    waiting.figures.waiting += open.spans.count as u64;
                    batch.join(std::mem::take(&mut open.spans));
                }
            }
        }
        (batch.count > 0).then_some(batch)
    }

    /// What became of a batch that was taken: of its spans, so many did not arrive.
    pub(crate) fn settle(&self, (count, bytes): (usize, usize), failed: u64) {
        let mut waiting = self.shared.waiting.lock();
        waiting.taken.spans = waiting.taken.spans.saturating_sub(count);
        waiting.taken.bytes = waiting.taken.bytes.saturating_sub(bytes);
        let count = count as u64;
        let failed = failed.min(count);
        waiting.figures.waiting = waiting.figures.waiting.saturating_sub(count);
        waiting.figures.exported += count - failed;
        waiting.figures.failed += failed;
    }

    /// Asks that everything that is here now leaves; told whether it did.
    pub(crate) fn flush(&self) -> oneshot::Receiver<bool> {
        let (told, asked) = oneshot::channel();
        self.shared.waiting.lock().asked.push(told);
        self.shared.due.notify_one();
        asked
    }

    /// Takes nothing more. What is here is the last.
    pub(crate) fn close(&self) {
        let mut open = self.open();
        self.shared.waiting.lock().closed = true;
        open.iter_mut().for_each(|open| open.room = Room::default());
        drop(open);
        self.shared.due.notify_one();
    }

    /// What all lanes have, while nothing comes to it.
    fn open(&self) -> Vec<MutexGuard<'_, Open>> {
        self.lanes.iter().map(|lane| lane.open.lock()).collect()
    }

    fn figures(&self) -> SpanFigures {
        let open = self.open();
        let figures = self.shared.waiting.lock().figures;
        let begun: usize = open.iter().map(|open| open.spans.count).sum();
        SpanFigures { waiting: figures.waiting + begun as u64, ..figures }
    }
}

// === impl Lane ===

impl Lane {
    /// Takes a span, if there is room for it.
    pub(crate) fn push(&self, span: &[u8]) {
        let Shared { waiting, due, bounds, part } = &*self.shared;
        let mut open = self.open.lock();
        if open.room.spans == 0 || open.room.bytes < span.len() {
            let mut waiting = waiting.lock();
            if !waiting.grant(&mut open.room, span.len(), bounds) {
                waiting.figures.dropped += 1;
                return;
            }
        }
        open.room.spans -= 1;
        open.room.bytes -= span.len();
        let spans = &mut open.spans;
        wire::bytes(&mut spans.message, SPANS, span);
        spans.count += 1;
        spans.bytes += span.len();
        if spans.count == *part {
            // The next one will be as long.
            let message = Vec::with_capacity(spans.message.len());
            let whole = std::mem::replace(spans, Spans { message, ..Spans::default() });
            let mut waiting = waiting.lock();
            waiting.figures.waiting += whole.count as u64;
            waiting.ready += whole.count;
            waiting.parts.push_back(whole);
            let is_due = waiting.has_batch(&self.shared);
            drop(waiting);
            drop(open);
            if is_due {
                due.notify_one();
            }
        }
    }
}

// === impl Spans ===

impl Spans {
    fn join(&mut self, part: Self) {
        self.count += part.count;
        self.bytes += part.bytes;
        match self.message.is_empty() {
            true => self.message = part.message,
            false => self.more.push(part.message),
        }
    }

    /// Its bytes, all in one.
    pub(crate) fn whole(self) -> Vec<u8> {
        match self.more.is_empty() {
            true => self.message,
            false => [self.message, self.more.concat()].concat(),
        }
    }
}

// === impl Waiting ===

impl Waiting {
    /// Whether the parts of all lanes are there, or as many of one.
    fn has_batch(&self, shared: &Shared) -> bool {
        self.ready > shared.bounds.size - shared.part
    }

    /// Gives a lane room for one more span, and for some that will come; tells whether there is any.
    fn grant(&mut self, room: &mut Room, bytes: usize, bounds: &Batch) -> bool {
        let free = Room {
            spans: bounds.queue.saturating_sub(self.taken.spans),
            bytes: bounds.queue_bytes.saturating_sub(self.taken.bytes),
        };
        let lacks = Room { spans: usize::from(room.spans == 0), bytes: bytes.saturating_sub(room.bytes) };
        if self.closed || lacks.spans > free.spans || lacks.bytes > free.bytes {
            return false;
        }
        let more =
            |lacks: usize, part: usize, free: usize| if lacks > 0 { lacks.max(part).min(free) } else { 0 };
        let spans = more(lacks.spans, bounds.queue / PART, free.spans);
        let bytes = more(lacks.bytes, bounds.queue_bytes / PART_OF_BYTES, free.bytes);
        for room in [room, &mut self.taken] {
            room.spans += spans;
            room.bytes += bytes;
        }
        true
    }
}

// === impl SpanCounts ===

impl SpanCounts {
    /// What became of spans so far.
    pub fn figures(&self) -> SpanFigures {
        self.0.figures()
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
            queue.lane().push(b"10  bytes.");
        }
        assert_eq!(figures(&queue), (2, 0, 2, 0), "no bytes are left");
        let batch = queue.take(false).unwrap();
        assert_eq!((batch.count, batch.bytes), (2, 20));
        assert_eq!(batch.whole(), [&b"\x12\x0a10  bytes."[..]; 2].concat());
        queue.lane().push(b"10  bytes.");
        assert_eq!(figures(&queue), (2, 0, 3, 0), "on its way is not away");
        queue.settle((2, 20), 1);
        queue.lane().push(b"10  bytes.");
        assert_eq!(figures(&queue), (1, 1, 3, 1));
        assert!(queue.take(false).is_none() && queue.take(true).is_some());
        queue.close();
        queue.lane().push(b"late");
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
                queue.lane().push(b"10  bytes.");
            }
            assert_eq!(figures(&queue), (4, 0, 2, 0));
        }
    }

    #[test]
    fn spans_of_all_threads_leave_in_whole_batches_and_in_others() {
        let queue = queue(Batch { queue: 4096, size: 8, ..Batch::default() });
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| (0..13).for_each(|_| queue.lane().push(b"span")));
            }
        });
        assert_eq!(figures(&queue), (78, 0, 0, 0));
        assert!(queue.asked().batches >= 78 / 8);
        let taken: Vec<_> = std::iter::from_fn(|| queue.take(true)).collect();
        assert_eq!(figures(&queue), (78, 0, 0, 0), "on their way");
        for spans in taken {
            let (count, bytes) = (spans.count, spans.bytes);
            assert_eq!(wire::fields(&spans.whole()).count(), count);
            assert!(count <= 8);
            queue.settle((count, bytes), 0);
        }
        assert_eq!(figures(&queue), (0, 78, 0, 0));
        queue.lane().push(b"the last");
        queue.close();
        queue.lane().push(b"late, though its lane had room");
        assert_eq!(figures(&queue), (1, 78, 1, 0));
        assert_eq!(queue.take(true).map(|spans| spans.count), Some(1));
    }

    #[test]
    fn a_batch_is_no_larger_than_the_queue() {
        let queue = queue(Batch { queue: 2, size: 512, ..Batch::default() });
        queue.lane().push(b"a");
        queue.lane().push(b"b");
        assert_eq!(queue.take(false).unwrap().count, 2);
    }
}
