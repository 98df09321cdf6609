//! Records that wait for a sink's task: bounded in number and in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Record;

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Records.
    pub records: usize,
    /// The memory that they hold, in bytes.
    pub bytes: usize,
}

/// Records that wait. Whoever puts one in never waits: where there is no room, it is told.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    limits: QueueLimits,
    /// So many make a batch.
    batch: usize,
    /// Told when a batch is there, and when half of the room is taken.
    ready: Notify,
}

#[derive(Default)]
struct Waiting {
    records: VecDeque<(Arc<Record>, usize)>,
    bytes: usize,
}

/// A batch is smaller where its records hold more than that: it is rendered in memory.
const MOST_BYTES: usize = 8 << 20;

impl Default for QueueLimits {
    fn default() -> Self {
        Self { records: 20_000, bytes: 64 << 20 }
    }
}

// === impl Queue ===

impl Queue {
    pub(crate) fn new(limits: QueueLimits, batch: usize) -> Self {
        Self { waiting: Mutex::default(), limits, batch: batch.max(1), ready: Notify::new() }
    }

    /// Whether there was room.
    pub(crate) fn push(&self, record: &Arc<Record>) -> bool {
        let weight = record.weight();
        let mut waiting = self.waiting.lock();
        let before = (waiting.records.len(), waiting.bytes);
        if before.0 >= self.limits.records || before.1 + weight > self.limits.bytes {
            return false;
        }
        waiting.records.push_back((Arc::clone(record), weight));
        waiting.bytes += weight;
        let after = (waiting.records.len(), waiting.bytes);
        drop(waiting);
        let crosses = |half: (usize, usize)| {
            (before.0 < half.0 && after.0 >= half.0) || (before.1 < half.1 && after.1 >= half.1)
        };
        if crosses((self.batch, usize::MAX)) || crosses((self.limits.records / 2, self.limits.bytes / 2)) {
            self.ready.notify_one();
        }
        true
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().records.len()
    }

    /// Waits until a batch is there.
    pub(crate) async fn filled(&self) {
        self.until(|waiting| waiting.records.len() >= self.batch).await;
    }

    /// Waits until half of the room is taken.
    pub(crate) async fn pressed(&self) {
        let half = (self.limits.records.div_ceil(2), self.limits.bytes.div_ceil(2));
        self.until(|waiting| waiting.records.len() >= half.0 || waiting.bytes >= half.1).await;
    }

    async fn until(&self, holds: impl Fn(&Waiting) -> bool) {
        loop {
            let told = self.ready.notified();
            if holds(&self.waiting.lock()) {
                return;
            }
            told.await;
        }
    }

    /// The first batch, or what there is of it.
    pub(crate) fn take(&self) -> Vec<Arc<Record>> {
        let mut waiting = self.waiting.lock();
        let (mut count, mut bytes) = (0, 0);
        for (_, weight) in waiting.records.iter().take(self.batch) {
            if count > 0 && bytes + weight > MOST_BYTES {
                break;
            }
            (count, bytes) = (count + 1, bytes + weight);
        }
        waiting.bytes -= bytes;
        waiting.records.drain(..count).map(|(record, _)| record).collect()
    }
}
