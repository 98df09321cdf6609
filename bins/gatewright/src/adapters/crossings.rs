//! Budgets that were crossed: soft ones are logged and counted, and people are told of all of them where they want to be.

use std::collections::BTreeMap;

use gatewright_alerts::Alerts;
use gatewright_core::Caller;
use gatewright_limits::{Crossing, Crossings, Mark};
use gatewright_telemetry::BudgetFigures;
use parking_lot::Mutex;
use tracing::warn;

use super::alerted;

/// How often soft budgets were crossed, by what they are of.
#[derive(Default)]
pub(crate) struct Crossed {
    soft: Mutex<BTreeMap<&'static str, u64>>,
    alerts: Option<Alerts>,
}

// === impl Crossed ===

impl Crossed {
    /// Tells people too, where there is somebody to tell.
    pub(crate) fn telling(alerts: Option<Alerts>) -> Self {
        Self { alerts, ..Self::default() }
    }

    pub(crate) fn figures(&self) -> BudgetFigures {
        BudgetFigures { soft_crossed: self.soft.lock().clone() }
    }
}

impl Crossings for Crossed {
    fn crossed(&self, crossing: &Crossing, caller: &Caller) {
        let Crossing { scope, id, budget, mark, spent, period } = crossing;
        if *mark == Mark::Soft {
            let period = period.as_deref().unwrap_or("ever");
            warn!(scope, %id, soft = %budget, %spent, period, "a soft budget was crossed; calls go on");
            *self.soft.lock().entry(scope).or_default() += 1;
        }
        if let Some(alerts) = &self.alerts {
            alerts.raise(alerted::budget(crossing, caller));
        }
    }
}
