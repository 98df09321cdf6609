//! The seam between the policy and what answers are kept in.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::Call;

use crate::entry::Entry;
use crate::key::Key;
use crate::memory::Memory;

/// Where the policy looks answers up and keeps them. It decides what counts as the same question: the same key, or one that is
/// alike enough.
pub trait Shelf: Send + Sync + 'static {
    /// What is known from looking that is needed to keep an answer later.
    type Place: Send + Sync + 'static;

    /// Looks for an answer to the call, which is named `key` where the questions are the same. No failure: what cannot be
    /// looked up is not there.
    fn find(&self, call: &Call, key: &Key) -> impl Future<Output = Search<Self::Place>> + Send;

    /// The same without waiting, for a call that has just waited for others: only what is at hand.
    fn at_hand(&self, key: &Key) -> Option<Arc<Entry>>;

    /// Keeps an answer for so long, or as long as is usual there. Returns at once: what takes time happens beside the call.
    fn keep(&self, place: &Self::Place, key: &Key, entry: Arc<Entry>, ttl: Option<Duration>);
}

/// What came of looking.
pub struct Search<P> {
    /// The answer.
    pub found: Option<Found>,
    /// What a later answer is kept with.
    pub place: P,
}

/// An answer that was found.
pub struct Found {
    /// The answer.
    pub entry: Arc<Entry>,
    /// How alike the questions are; `None` where they are the same.
    pub similarity: Option<f32>,
}

/// One place that entries are kept in, by their keys.
pub trait Tier: Send + Sync + 'static {
    /// What is kept under the key.
    fn find(&self, key: &Key) -> impl Future<Output = Option<Arc<Entry>>> + Send;

    /// Keeps an entry for so long, or as long as is usual there. Returns at once.
    fn keep(&self, key: &Key, entry: &Arc<Entry>, ttl: Option<Duration>);
}

/// Memory.
#[derive(Clone)]
pub struct Tiers {
    memory: Memory,
}

// === impl Tiers ===

impl Tiers {
    /// Memory alone.
    pub fn local(memory: Memory) -> Self {
        Self { memory }
    }
}

impl Shelf for Tiers {
    type Place = ();

    async fn find(&self, _: &Call, key: &Key) -> Search<()> {
        let found = self.memory.at_hand(key);
        Search { found: found.map(|entry| Found { entry, similarity: None }), place: () }
    }

    fn at_hand(&self, key: &Key) -> Option<Arc<Entry>> {
        self.memory.at_hand(key)
    }

    fn keep(&self, (): &(), key: &Key, entry: Arc<Entry>, ttl: Option<Duration>) {
        self.memory.keep(key, &entry, ttl);
    }
}
