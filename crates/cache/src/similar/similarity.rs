//! Finds the answer to a question that was asked before in other words, and keeps answers to be found so.

use std::sync::Arc;

use gatewright_core::Call;

use super::asked::Asked;
use super::guard::Guard;
use super::{Embed, Kept, Neighbour, Neighbours, Place, SimilarSettings, Vector};

/// Finds answers to questions that are alike. Clones share it.
#[derive(Clone)]
pub struct Similar(Arc<Parts>);

struct Parts {
    settings: SimilarSettings,
    embed: Arc<dyn Embed>,
    model: Guard,
    neighbours: Arc<dyn Neighbours>,
    keeper: Guard,
}

/// What looking for a question gave.
#[derive(Debug, Default)]
pub struct Look {
    /// The question, where its answer may be kept: it is embedded once, however it is answered.
    pub question: Option<Question>,
    /// The nearest question that is alike enough.
    pub neighbour: Option<Neighbour>,
}

/// A question that was embedded.
#[derive(Clone, Debug)]
pub struct Question(Place);

// === impl Similar ===

impl Similar {
    /// Compares by what `embed` says, and finds among `neighbours`.
    pub fn new(settings: SimilarSettings, embed: Arc<dyn Embed>, neighbours: Arc<dyn Neighbours>) -> Self {
        let model =
            Guard::new("the embedding model of the cache", settings.embedding_patience, settings.rest);
        let keeper = Guard::new("the store of the semantic cache", settings.patience, settings.rest);
        Self(Arc::new(Parts { settings, embed, model, neighbours, keeper }))
    }

    /// Looks for an answer to the question of a call. `digest` says what makes the call another one besides a field of its
    /// body (who asks, above all), and takes down with it what is left of that field without the compared text. Nothing is
    /// asked of anybody where the call is none that is compared.
    pub async fn look(&self, call: &Call, digest: impl FnOnce(&str, &[u8]) -> [u8; 32]) -> Look {
        let Parts { settings, embed, model, neighbours, keeper } = &*self.0;
        let Some(Asked { text, class }) = Asked::of(call, settings, digest) else { return Look::default() };
        let numbers = model.ask(embed.embed(text, call)).await;
        let Some(vector) = numbers.and_then(|numbers| Vector::of(&numbers)) else { return Look::default() };
        let place = Place { class, vector };
        let found = keeper.ask(neighbours.nearest(&place, settings.least)).await.flatten();
        // Whatever a back end was asked for, nothing else is believed of what it answers.
        let alike = |found: &Neighbour| found.class == place.class && found.similarity >= settings.least;
        let neighbour = found.filter(alike).map(|found| Neighbour {
            // A sum of rounded products may be a little more than one.
            similarity: found.similarity.min(1.0),
            ..found
        });
        Look { neighbour, question: Some(Question(place)) }
    }

    /// Keeps the answer to a question.
    pub async fn keep(&self, question: Question, kept: Kept) {
        self.0.keeper.ask(self.0.neighbours.keep(question.0, kept)).await;
    }

    /// Forgets the answers of these names. Answers whether they are forgotten.
    pub async fn forget(&self, keys: &[Arc<str>]) -> bool {
        self.0.keeper.ask(self.0.neighbours.forget(keys)).await.is_some()
    }

    /// Forgets all answers. Answers whether they are forgotten.
    pub async fn forget_all(&self) -> bool {
        self.0.keeper.ask(self.0.neighbours.forget_all()).await.is_some()
    }
}
