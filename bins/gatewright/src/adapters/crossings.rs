//! Soft budgets that were crossed: logged, and counted for whoever asks for figures.

use std::collections::BTreeMap;

use gatewright_limits::{Crossing, Crossings};
use gatewright_telemetry::BudgetFigures;
use parking_lot::Mutex;
use tracing::warn;

/// How often soft budgets were crossed, by what they are of.
#[derive(Default)]
pub(crate) struct Crossed(Mutex<BTreeMap<&'static str, u64>>);

// === impl Crossed ===

impl Crossed {
    pub(crate) fn figures(&self) -> BudgetFigures {
        BudgetFigures { soft_crossed: self.0.lock().clone() }
    }
}

impl Crossings for Crossed {
    fn crossed(&self, crossing: &Crossing) {
        let Crossing { scope, id, soft, spent, period } = crossing;
        let period = period.as_deref().unwrap_or("ever");
        warn!(scope, %id, %soft, %spent, period, "a soft budget was crossed; calls go on");
        *self.0.lock().entry(scope).or_default() += 1;
    }
}
