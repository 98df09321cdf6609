//! Finds the answer to a question that was asked before in other words, and keeps answers to be found so.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::Call;
use tokio::sync::mpsc;
use tracing::debug;

use super::asked::Asked;
use super::guard::Guard;
use super::{Answered, Class, Embed, Neighbour, Neighbours, Place, SimilarSettings, Vector};
use crate::key::Key;
use crate::settings::Settings;

/// Finds answers to questions that are alike. Clones share it.
#[derive(Clone)]
pub struct Similar(Arc<Parts>);

struct Parts {
    settings: SimilarSettings,
    same: Settings,
    embed: Arc<dyn Embed>,
    model: Guard,
    neighbours: Arc<dyn Neighbours>,
    keeper: Guard,
    keeps: mpsc::Sender<(Question, Answered)>,
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

/// Keeps answers beside the calls.
pub struct Keeper {
    similar: Similar,
    waiting: mpsc::Receiver<(Question, Answered)>,
}

/// A store that keeps the deadline itself tells more than that it is late.
const SLACK: Duration = Duration::from_millis(20);

/// So many answers wait to be kept; more are not kept.
const MOST_WAITING: usize = 64;

// === impl Similar ===

impl Similar {
    /// Compares by what `embed` says, and finds among `neighbours`. `same` says what else makes two questions the same,
    /// who shares an answer above all. Answers are kept as long as the keeper runs.
    pub fn new(
        settings: SimilarSettings,
        same: Settings,
        embed: Arc<dyn Embed>,
        neighbours: Arc<dyn Neighbours>,
    ) -> (Self, Keeper) {
        let model =
            Guard::new("the embedding model of the cache", settings.embedding_patience, settings.rest);
        let keeper = Guard::new("the store of the semantic cache", settings.patience + SLACK, settings.rest);
        let (keeps, waiting) = mpsc::channel(MOST_WAITING);
        let this = Self(Arc::new(Parts { settings, same, embed, model, neighbours, keeper, keeps }));
        (this.clone(), Keeper { similar: this, waiting })
    }

    /// Looks for an answer to the question of a call. Nothing is asked of anybody where the call is none that is compared.
    pub async fn look(&self, call: &Call) -> Look {
        let Parts { settings, same, embed, model, neighbours, keeper, .. } = &*self.0;
        // The name has the namespace in it, within which alone a call may want its answer.
        let class =
            |field: &str, rest: &[u8]| Class::of([Key::of_item(call, field, rest, same).text.as_bytes()]);
        let Some(Asked { text, class }) = Asked::of(call, settings, class) else { return Look::default() };
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

    /// Keeps the answer to a question, beside the call. Where too many wait already, it is not kept.
    pub fn keep(&self, question: Question, kept: Answered) {
        if self.0.keeps.try_send((question, kept)).is_err() {
            debug!("too many answers wait to be kept by what they mean; this one is not");
        }
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

// === impl Question ===

impl Question {
    /// Where it stands.
    pub fn place(&self) -> &Place {
        &self.0
    }
}

// === impl Keeper ===

impl Keeper {
    /// Keeps what waits to be kept, one after the other, for as long as it is let.
    pub async fn run(mut self) {
        let Parts { neighbours, keeper, .. } = &*self.similar.0;
        while let Some((question, kept)) = self.waiting.recv().await {
            keeper.ask(neighbours.keep(question.0, kept)).await;
        }
    }
}
