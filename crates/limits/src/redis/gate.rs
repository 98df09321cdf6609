//! Where calls of this replica wait for a budget, one behind the other: only the first asks Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use tokio::time::{Instant, timeout, timeout_at};

use crate::shard::Key;

/// The place where calls wait for one budget.
#[derive(Default)]
pub(super) struct Gate {
    waiting: AtomicU32,
    /// Whoever has it is the first. It is handed on in the order of arrival.
    first: Arc<Mutex<()>>,
    /// Something of the budget came back here.
    news: Notify,
}

/// The first place at a gate.
pub(super) struct Turn {
    budget: Key,
    gate: Arc<Gate>,
    /// It waited for others, and has not asked since.
    new: bool,
    _first: OwnedMutexGuard<()>,
    _place: Place,
}

struct Place(Arc<Gate>);

// === impl Gate ===

impl Gate {
    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Tells the first that it may ask again.
    pub(super) fn tell(&self) {
        self.news.notify_one();
    }

    /// Waits until it is the first, but not beyond this moment.
    pub(super) async fn enter(self: &Arc<Self>, budget: Key, until: Instant) -> Option<Turn> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(self));
        let (new, first) = match Arc::clone(&self.first).try_lock_owned() {
            Ok(first) => (false, first),
            Err(_) => (true, timeout_at(until, Arc::clone(&self.first).lock_owned()).await.ok()?),
        };
        Some(Turn { budget, gate: Arc::clone(self), new, _first: first, _place: place })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Turn ===

impl Turn {
    /// What it waits for.
    pub(super) fn budget(&self) -> &Key {
        &self.budget
    }

    pub(super) fn is_at(&self, gate: &Arc<Gate>) -> bool {
        Arc::ptr_eq(&self.gate, gate)
    }

    /// Whether it waited for others and has not asked since. Says so once.
    pub(super) fn is_new(&mut self) -> bool {
        std::mem::take(&mut self.new)
    }

    /// Until something came back here, or other replicas may have given something back.
    pub(super) async fn news(&self, at_most: Duration) {
        let _ = timeout(at_most, self.gate.news.notified()).await;
    }
}
