//! Whose memory a thread counts in: two that add to the same place wait for each other's caches.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;

/// There are no more, however many threads there are: each has its own series in memory.
const MOST: usize = 8;

/// One of each that is asked for, for each of a few groups of threads. Made by the first thread that needs it, so that it
/// lies among what only that thread writes.
pub(crate) struct Lanes<T>(Box<[OnceLock<Arc<T>>]>);

/// How many lanes there are.
pub(crate) fn count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| available_parallelism().map_or(1, usize::from).min(MOST))
}

/// The lane of this thread.
pub(crate) fn own() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Relaxed) % count();
    }
    OWN.with(|own| *own)
}

// === impl Lanes ===

impl<T> Lanes<T> {
    pub(crate) fn new() -> Self {
        Self((0..count()).map(|_| OnceLock::new()).collect())
    }

    /// The one of a lane.
    pub(crate) fn of(&self, lane: usize, make: impl FnOnce() -> T) -> Option<&Arc<T>> {
        self.0.get(lane).map(|place| place.get_or_init(|| Arc::new(make())))
    }

    /// All that were made.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(OnceLock::get).map(|one| &**one)
    }
}
