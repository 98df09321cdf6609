//! What is counted of one sink.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use gatewright_core::SinkFigures;

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
