//! What is counted against budgets, for whoever sets it anew.

use std::sync::Arc;

use gatewright_admin::Counts;
use gatewright_limits::{Counters, Reset};

/// The counters that calls are held against.
pub(crate) struct Counted<C>(pub(crate) Arc<C>);

impl<C: Counters> Counts for Counted<C> {
    fn reset(&self, reset: Reset) {
        self.0.reset(reset);
    }
}
