//! Where questions are kept with their answers, to be found by what they mean: the one trait of all back ends.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{Class, Fault, Vector};
use crate::entry::Entry;
use crate::key::Key;

/// What comes of asking, in time.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// Where a question stands: in a class, at a direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// What must be the same.
    pub class: Class,
    /// What must be alike.
    pub vector: Vector,
}

/// An answer to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The name of the question in the cache of exact ones.
    pub key: Key,
    /// The answer.
    pub entry: Arc<Entry>,
    /// For how long; where nothing is said, for the time that is usual there.
    pub ttl: Option<Duration>,
}

/// A question that was kept, near the one that is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// The class that it was kept in. Who asks compares it again: a back end that answers wrongly gives no answer away.
    pub class: Class,
    /// Its name in the cache of exact ones.
    pub key: Key,
    /// How alike the questions are, from -1 to 1.
    pub similarity: f32,
    /// The answer.
    pub entry: Arc<Entry>,
}

/// Keeps questions with their answers, and finds the nearest one again.
pub trait Neighbours: Send + Sync + 'static {
    /// The nearest question that is kept in the place's class, where it is at least so much alike (from 0 to 1).
    fn nearest<'a>(&'a self, place: &'a Place, least: f32) -> Asking<'a, Option<Neighbour>>;

    /// Keeps an answer. One of the same name is replaced.
    fn keep(&self, place: Place, kept: Answered) -> Asking<'_, ()>;

    /// Forgets the answers of these names.
    fn forget<'a>(&'a self, keys: &'a [Arc<str>]) -> Asking<'a, ()>;

    /// Forgets all answers.
    fn forget_all(&self) -> Asking<'_, ()>;
}
