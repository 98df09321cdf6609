//! Answers in this process, bounded by their bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::Clock;
use moka::Expiry;
use moka::sync::Cache as Store;

use crate::entry::Entry;
use crate::key::Key;
use crate::shelf::{Kept, Tier};

/// Answers in this process. Clones share them.
#[derive(Clone)]
pub struct Memory {
    store: Store<Arc<str>, Held>,
    usual: Duration,
    clock: Arc<dyn Clock>,
}

#[derive(Clone)]
struct Held {
    entry: Arc<Entry>,
    /// By the clock that was handed in: the store's own only frees the room.
    until: Instant,
    ttl: Duration,
}

/// What the store keeps beside an entry, roughly.
const BESIDE: usize = 256;

struct Lifetimes;

// === impl Memory ===

impl Memory {
    /// Keeps entries of so many bytes together, each for the `usual` time; those that were not asked for leave first.
    pub fn new(max_bytes: u64, usual: Duration, clock: Arc<dyn Clock>) -> Self {
        let weigh = |key: &Arc<str>, held: &Held| {
            u32::try_from(held.entry.size() + key.len() + BESIDE).unwrap_or(u32::MAX)
        };
        let store = Store::builder().max_capacity(max_bytes).weigher(weigh).expire_after(Lifetimes).build();
        Self { store, usual, clock }
    }

    /// What is kept under the key.
    pub fn at_hand(&self, key: &Key) -> Option<Kept> {
        let held = self.store.get(&key.text)?;
        let left = held.until.checked_duration_since(self.clock.now()).filter(|left| !left.is_zero())?;
        Some(Kept { entry: held.entry, left })
    }

    /// How long it keeps what nobody says more of.
    pub fn usual(&self) -> Duration {
        self.usual
    }

    /// Forgets what is kept under these keys. Answers how many there were.
    pub fn forget(&self, keys: &[Arc<str>]) -> u64 {
        keys.iter().filter(|key| self.store.remove(&**key).is_some()).count() as u64
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.store.invalidate_all();
    }

    /// How many bytes are kept, as of the last time that they were put in order.
    pub fn bytes(&self) -> u64 {
        self.store.weighted_size()
    }
}

impl Tier for Memory {
    async fn find(&self, keys: &[Key]) -> Vec<Option<Kept>> {
        keys.iter().map(|key| self.at_hand(key)).collect()
    }

    fn keep(&self, key: &Key, entry: &Arc<Entry>, ttl: Option<Duration>) {
        let ttl = ttl.unwrap_or(self.usual);
        let Some(until) = self.clock.now().checked_add(ttl) else { return };
        self.store.insert(key.text.clone(), Held { entry: entry.clone(), until, ttl });
    }
}

impl Expiry<Arc<str>, Held> for Lifetimes {
    fn expire_after_create(&self, _: &Arc<str>, held: &Held, _: Instant) -> Option<Duration> {
        Some(held.ttl)
    }

    fn expire_after_update(
        &self,
        _: &Arc<str>,
        held: &Held,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(held.ttl)
    }
}
