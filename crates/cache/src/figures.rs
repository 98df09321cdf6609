//! What the cache did, for whoever counts.

use std::sync::atomic::{AtomicU64, Ordering};

use gatewright_core::Money;

/// What the cache did so far.
#[derive(Debug, Default)]
pub struct Figures {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) kept: AtomicU64,
    pub(crate) too_large: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    pub(crate) unwritten: AtomicU64,
    pub(crate) late: AtomicU64,
    saved: AtomicU64,
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Calls that were answered without an upstream.
    pub hits: u64,
    /// Calls that were looked up in vain.
    pub misses: u64,
    /// Those of the hits that got the answer of another call that was on its way.
    pub joined: u64,
    /// Answers that were kept.
    pub kept: u64,
    /// Answers that were too large for that.
    pub too_large: u64,
    /// What was kept and could not be read: somebody else writes there, or another version.
    pub unreadable: u64,
    /// Answers that Redis did not take: it was away, or too much waited for it.
    pub unwritten: u64,
    /// Look-ups that Redis did not answer in time, or that were not made because it did not before.
    pub late: u64,
    /// What the answers cost when they were made that were given again.
    pub saved: Money,
}

// === impl Figures ===

impl Figures {
    /// What was counted so far.
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            hits: read(&self.hits),
            misses: read(&self.misses),
            joined: read(&self.joined),
            kept: read(&self.kept),
            too_large: read(&self.too_large),
            unreadable: read(&self.unreadable),
            unwritten: read(&self.unwritten),
            late: read(&self.late),
            saved: Money(i64::try_from(read(&self.saved)).unwrap_or(i64::MAX)),
        }
    }

    pub(crate) fn one_more(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn save(&self, cost: Money) {
        self.saved.fetch_add(u64::try_from(cost.0).unwrap_or(0), Ordering::Relaxed);
    }
}
