//! What an upstream says about its answer besides the answer: noted while the answer passes, where somebody asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What an upstream says about its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyFacts {
    /// The answer's id.
    pub id: Option<String>,
    /// The model that answers, in the provider's words.
    pub model: Option<String>,
    /// Why each choice ended, in the provider's words.
    pub finish: BTreeMap<u32, String>,
}

/// Facts that are still coming in. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<ReplyFacts>>);

// === impl Notes ===

impl Notes {
    /// Writes facts down; what was noted before stays where nothing new is said of it.
    pub fn note(&self, facts: ReplyFacts) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.id = noted.id.take().or(facts.id);
        noted.model = noted.model.take().or(facts.model);
        noted.finish.extend(facts.finish);
    }

    /// Looks at what was noted so far. Nothing is noted meanwhile.
    pub fn look<R>(&self, look: impl FnOnce(&ReplyFacts) -> R) -> R {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
