//! The seam between the policy and what answers are kept in.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::Call;

use crate::entry::Entry;
use crate::key::Key;
use crate::tiers::Tiers;

/// Where the policy looks answers up and keeps them. It decides what counts as the same question: the same key, or one that is
/// alike enough.
pub trait Shelf: Send + Sync + 'static {
    /// What is known from looking that is needed to keep an answer later.
    type Place: Send + Sync + 'static;

    /// Looks for an answer to the call, which is named `key` where the questions are the same. No failure: what cannot be
    /// looked up is not there.
    fn look_up(&self, call: &Call, key: &Key) -> impl Future<Output = Search<Self::Place>> + Send;

    /// Keeps an answer for so long, or as long as is usual there. Returns at once: what takes time happens beside the call.
    fn put(&self, place: &Self::Place, key: &Key, entry: Arc<Entry>, ttl: Option<Duration>);

    /// Where answers are kept by their keys alone: what is at hand is looked up there once more, and the parts of answers that
    /// have parts.
    fn exact(&self) -> &Tiers;
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
    /// What is kept under each of the keys, and how long it may be kept yet.
    fn find(&self, keys: &[Key]) -> impl Future<Output = Vec<Option<Kept>>> + Send;

    /// Keeps an entry for so long, or as long as is usual there. Returns at once.
    fn keep(&self, key: &Key, entry: &Arc<Entry>, ttl: Option<Duration>);
}

/// An entry, and how long it may be kept yet.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The entry.
    pub entry: Arc<Entry>,
    /// How long it may be kept yet.
    pub left: Duration,
}
