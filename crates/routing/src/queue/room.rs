//! What tells waiting calls that a deployment has capacity again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use gatewright_core::{Observer, Outcome};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Seen;

/// How often a deployment got capacity back, and who is told.
///
/// Who waits listens first and looks at the number then; who gives back counts first and looks for listeners then: none of
/// the two can miss the other.
#[derive(Default)]
pub(crate) struct Room {
    freed: AtomicU64,
    listening: AtomicUsize,
    bells: Mutex<Vec<Arc<Notify>>>,
}

/// Capacity of a deployment that an attempt may have. Given back when this is dropped, which must be after all that the
/// attempt left below.
pub(crate) struct Freeing(Option<Arc<Seen>>);

/// A bell that rings whenever one of these deployments gets capacity back.
pub(crate) struct Listening<'a> {
    seen: Vec<&'a Seen>,
    bell: &'a Arc<Notify>,
}

// === impl Room ===

impl Room {
    pub(crate) fn freed(&self) -> u64 {
        self.freed.load(SeqCst)
    }

    fn free(&self) {
        self.freed.fetch_add(1, SeqCst);
        if self.listening.load(SeqCst) > 0 {
            self.bells.lock().iter().for_each(|bell| bell.notify_one());
        }
    }
}

#[cfg(test)]
impl Room {
    /// Whether nobody listens any more.
    pub(crate) fn is_unheard(&self) -> bool {
        self.listening.load(SeqCst) == 0 && self.bells.lock().is_empty()
    }
}

// === impl Freeing ===

impl Freeing {
    pub(crate) fn begin(seen: Arc<Seen>) -> Self {
        Self(Some(seen))
    }

    /// The attempt had none: it was refused.
    pub(crate) fn refused(&mut self) {
        self.0 = None;
    }
}

impl Observer for Freeing {
    fn settle(self: Box<Self>, _: &Outcome<'_>) {}
}

impl Drop for Freeing {
    fn drop(&mut self) {
        if let Some(seen) = self.0.take() {
            seen.room.free();
        }
    }
}

// === impl Listening ===

impl<'a> Listening<'a> {
    pub(crate) fn to(seen: Vec<&'a Seen>, bell: &'a Arc<Notify>) -> Self {
        for Seen { room, .. } in &seen {
            room.bells.lock().push(bell.clone());
            room.listening.fetch_add(1, SeqCst);
        }
        Self { seen, bell }
    }

    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        for Seen { room, .. } in &self.seen {
            room.listening.fetch_sub(1, SeqCst);
            room.bells.lock().retain(|bell| !Arc::ptr_eq(bell, self.bell));
        }
    }
}
