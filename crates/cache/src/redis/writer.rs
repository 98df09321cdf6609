//! What is to be written to Redis: a bounded queue, and the task that works through it beside the calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::Pipeline;
use tokio::sync::mpsc;

use super::{Redis, name};
use crate::entry::Entry;
use crate::figures::Figures;
use crate::key::Key;
use crate::wire;

/// Entries that wait, at most.
const QUEUE: usize = 4096;

/// Entries that are written at once.
const AT_ONCE: usize = 64;

/// One entry that is to be written.
pub(super) struct Write {
    pub(super) key: Key,
    pub(super) entry: Arc<Entry>,
    pub(super) ttl: Duration,
}

/// Where entries wait.
pub(super) struct Queue {
    waiting: mpsc::Sender<Write>,
    bytes: Arc<AtomicUsize>,
    most: usize,
}

/// The other end of it.
pub(super) struct Waiting {
    writes: mpsc::Receiver<Write>,
    bytes: Arc<AtomicUsize>,
}

// === impl Queue ===

impl Queue {
    pub(super) fn new(most: usize) -> (Self, Waiting) {
        let (waiting, writes) = mpsc::channel(QUEUE);
        let bytes: Arc<AtomicUsize> = Arc::default();
        (Self { waiting, bytes: Arc::clone(&bytes), most }, Waiting { writes, bytes })
    }

    /// Whether there was room for it.
    pub(super) fn put(&self, write: Write) -> bool {
        let size = write.entry.size();
        let before = self.bytes.fetch_add(size, Ordering::Relaxed);
        let fits = before.saturating_add(size) <= self.most && self.waiting.try_send(write).is_ok();
        if !fits {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
        fits
    }
}

/// Writes what is kept. What Redis does not take in time is not kept there.
pub(super) async fn run(redis: Redis, mut waiting: Waiting) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    while waiting.writes.recv_many(&mut batch, AT_ONCE).await > 0 {
        let now = redis.0.clock.unix_seconds();
        let mut pipeline = Pipeline::with_capacity(batch.len());
        let mut bytes = 0;
        for Write { key, entry, ttl } in &batch {
            bytes += entry.size();
            let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
            let until = now.saturating_add(ttl.as_secs().max(1));
            let set = pipeline.cmd("SET").arg(name(&key.text)).arg(wire::encode(key, entry, until));
            set.arg("PX").arg(millis);
        }
        let written = redis.write(&pipeline).await;
        if !written {
            for _ in &batch {
                Figures::one_more(&redis.0.figures.unwritten);
            }
        }
        waiting.bytes.fetch_sub(bytes, Ordering::Relaxed);
        batch.clear();
    }
}
