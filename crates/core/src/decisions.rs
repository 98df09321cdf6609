//! How a call was routed, for whoever asks.

use std::sync::{Arc, Mutex, PoisonError};

use crate::ErrorKind;

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
}

#[derive(Debug, Default)]
struct Kept {
    steps: Vec<Decision>,
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
            true => kept.steps.push(step),
            false => kept.more += 1,
        }
    }

    /// The steps so far, and how many more there were.
    pub fn steps(&self) -> (Vec<Decision>, usize) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.steps.clone(), kept.more)
    }
}
