//! How deliveries go, for metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// How one sink's deliveries go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkFigures {
    /// The sink.
    pub name: String,
    /// Records that were delivered.
    pub sent: u64,
    /// Records that the target refused for good.
    pub failed: u64,
    /// Records that were lost: there was no room for them, in memory or on the disk.
    pub dropped: u64,
    /// Deliveries that did not go well and are tried again.
    pub retried: u64,
    /// Records that wait in memory.
    pub queued: u64,
    /// Records that wait on the disk.
    pub spooled: u64,
    /// Their bytes.
    pub spooled_bytes: u64,
    /// Whether the last delivery went well.
    pub up: bool,
}

/// What is counted of one sink.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) sent: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) in_hand: AtomicU64,
    pub(crate) spooled: AtomicU64,
    pub(crate) spooled_bytes: AtomicU64,
    pub(crate) down: AtomicBool,
}

// === impl SinkFigures ===

impl SinkFigures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.failed += other.failed;
        self.dropped += other.dropped;
        self.retried += other.retried;
        self.queued += other.queued;
        self.spooled += other.spooled;
        self.spooled_bytes += other.spooled_bytes;
        self.up &= other.up;
    }
}

// === impl Tally ===

impl Tally {
    pub(crate) fn figures(&self, name: &str, queued: usize) -> SinkFigures {
        SinkFigures {
            name: name.to_owned(),
            sent: self.sent.load(Relaxed),
            failed: self.failed.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            retried: self.retried.load(Relaxed),
            queued: queued as u64 + self.in_hand.load(Relaxed),
            spooled: self.spooled.load(Relaxed),
            spooled_bytes: self.spooled_bytes.load(Relaxed),
            up: !self.down.load(Relaxed),
        }
    }
}
