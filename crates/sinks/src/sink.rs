//! What a sink must do.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::Parcel;

/// Somewhere that records of calls go. It is asked by one task, off the calls' way, with a deadline.
pub trait Sink: Send + Sync + 'static {
    /// What it is called in the configuration, the log and the figures.
    fn name(&self) -> &str;

    /// How many parcels go into one delivery.
    fn most_parcels(&self) -> usize {
        usize::MAX
    }

    /// How large a delivery may be, in bytes of its parcels' JSON.
    fn most_bytes(&self) -> usize {
        3 << 20
    }

    /// Brings these there: all of them, or none. Whoever asks may ask again with the same, so that something may come
    /// twice; [`Parcel::id`] tells.
    fn deliver<'a>(&'a self, parcels: &'a [Parcel]) -> BoxFuture<'a, Result<Delivered, Undelivered>>;
}

/// How a delivery went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Parcels of it that the target refused one by one, for good.
    pub refused: u64,
}

/// Why nothing was delivered, in words without secrets and without what was asked and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// It may go well later.
    Later {
        /// Why.
        why: String,
        /// How long the target wants to be left alone.
        after: Option<Duration>,
    },
    /// It will never be taken.
    Never {
        /// Why.
        why: String,
    },
}

// === impl Undelivered ===

impl Undelivered {
    /// It may go well later, nobody says when.
    pub fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }

    /// It will never be taken.
    pub fn never(why: impl Into<String>) -> Self {
        Self::Never { why: why.into() }
    }
}
