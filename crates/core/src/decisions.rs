//! How a call was routed, for whoever asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{ErrorKind, Money};

/// How a call was routed, as far as it has come. Kept only where somebody asks.
#[derive(Debug, Default)]
pub struct Decisions(Mutex<Kept>);

/// One step on the way of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The call came to a group.
    Group {
        /// Its name.
        name: Arc<str>,
        /// How many deployments it has.
        deployments: usize,
    },
    /// A deployment was left out.
    LeftOut {
        /// Its id.
        deployment: Arc<str>,
        /// Why, in a word or two.
        why: &'static str,
    },
    /// An attempt went out.
    Attempt {
        /// The deployment's id.
        deployment: Arc<str>,
    },
    /// The attempt failed before its first content.
    Failed {
        /// Why.
        kind: ErrorKind,
        /// The status that a client would see.
        status: u16,
    },
    /// The call waited.
    Waited {
        /// For how long.
        millis: u64,
        /// For what.
        what: &'static str,
    },
    /// No further attempt is made here.
    GivenUp {
        /// Why, in some words.
        why: &'static str,
    },
    /// The attempt reached its first content.
    Answered,
    /// What the call needs of its limits is held for it.
    Held(Holding),
    /// One of its limits refused it.
    Refused {
        /// Which one.
        limit: Limit,
        /// How long it had waited for it.
        waited: Duration,
    },
}

/// What is held of a call's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The limits.
    pub limits: Vec<Limit>,
    /// The tokens that it is held for; zero where none are counted.
    pub tokens: u64,
    /// The most that it may cost; nothing where no money is counted.
    pub money: Option<Money>,
    /// How long it waited.
    pub waited: Duration,
}

/// One limit, by LiteLLM's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What kind of thing is limited: `api_key`, `team`.
    pub scope: &'static str,
    /// What is counted: `requests`, `tokens`.
    pub counter: &'static str,
}

#[derive(Debug, Default)]
struct Kept {
    steps: Vec<(Instant, Decision)>,
    more: usize,
}

/// More steps than this are counted, not kept.
const MOST: usize = 200;

// === impl Decisions ===

impl Decisions {
    /// Keeps one more step.
    pub fn note(&self, step: Decision) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.steps.len() < MOST {
            true => kept.steps.push((Instant::now(), step)),
            false => kept.more += 1,
        }
    }

    /// The steps so far, and how many more there were.
    pub fn steps(&self) -> (Vec<Decision>, usize) {
        self.look(|steps, more| (steps.iter().map(|(_, step)| step.clone()).collect(), more))
    }

    /// Looks at the steps so far with the time of each, and how many more there were. No other is noted meanwhile.
    pub fn look<R>(&self, look: impl FnOnce(&[(Instant, Decision)], usize) -> R) -> R {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(&kept.steps, kept.more)
    }
}
