//! A shelf that gives the answer to the same question, and where none is kept, to one that is alike.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::Call;

use super::{Answered, Look, Question, Similar};
use crate::entry::Entry;
use crate::key::Key;
use crate::shelf::{Found, Search, Shelf};
use crate::tiers::Tiers;

/// Looks for the same question first, and only then for one that is alike: that takes an embedding.
pub struct Alike<S> {
    same: S,
    similar: Option<Similar>,
}

// === impl Alike ===

impl<S> Alike<S> {
    /// Only the same questions count where there is no `similar`.
    pub fn new(same: S, similar: Option<Similar>) -> Self {
        Self { same, similar }
    }
}

impl<S: Shelf<Place = ()>> Shelf for Alike<S> {
    /// The question, where it was embedded: it is not embedded again to be kept.
    type Place = Option<Question>;

    async fn look_up(&self, call: &Call, key: &Key) -> Search<Self::Place> {
        let Search { found, place: () } = self.same.look_up(call, key).await;
        let Some(similar) = self.similar.as_ref().filter(|_| found.is_none()) else {
            return Search { found, place: None };
        };
        let Look { question, neighbour } = similar.look(call).await;
        let found = neighbour
            .map(|neighbour| Found { entry: neighbour.entry, similarity: Some(neighbour.similarity) });
        Search { found, place: question }
    }

    fn put(&self, place: &Self::Place, key: &Key, entry: Arc<Entry>, ttl: Option<Duration>) {
        if let (Some(similar), Some(question)) = (&self.similar, place) {
            similar.keep(question.clone(), Answered { key: key.clone(), entry: Arc::clone(&entry), ttl });
        }
        self.same.put(&(), key, entry, ttl);
    }

    fn exact(&self) -> &Tiers {
        self.same.exact()
    }
}
