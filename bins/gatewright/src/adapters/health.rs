//! How the deployments do, as the traffic showed it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use gatewright_gateway::{Health, LedgerHealth};
use gatewright_limits::Counts;
use gatewright_providers::Registry;
use gatewright_routing::{LiveTable, MirrorCounts, Mirrors};
use gatewright_spend::Journal;
use gatewright_telemetry::{Figures, MirrorFigures, RedisFigures};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Crossed;
use crate::ledger::Watched;

/// Health from the router's memory of failures, the deployments that cannot be called, and the journal.
pub(crate) struct Observed {
    pub(crate) table: LiveTable,
    pub(crate) registry: Arc<ArcSwap<Registry>>,
    pub(crate) journal: Journal,
    pub(crate) ledger: Watched,
    pub(crate) crossed: Arc<Crossed>,
    pub(crate) counters: Arc<Counts>,
    pub(crate) mirrors: Mirrors,
}

impl Observed {
    fn describe(&self, wanted: bool) -> Vec<Value> {
        let (table, registry, now) = (self.table.load(), self.registry.load(), Instant::now());
        let describe = |deployment: &gatewright_routing::Deployment| {
            let broken =
                registry.find(&deployment.id).and_then(|d| d.problem().map(|err| err.message().to_owned()));
            let cooling = table.health(&deployment.id).is_some_and(|health| health.is_cooling(now));
            let error = broken.or_else(|| cooling.then(|| "cooling down after failures".to_owned()));
            (error.is_none() == wanted).then(|| match error {
                None => json!({"model": &*deployment.target, "model_name": &*deployment.group}),
                Some(error) => {
                    json!({"model": &*deployment.target, "model_name": &*deployment.group, "error": error})
                }
            })
        };
        table.deployments().filter_map(describe).collect()
    }
}

impl Health for Observed {
    fn healthy(&self) -> Vec<Value> {
        self.describe(true)
    }

    fn unhealthy(&self) -> Vec<Value> {
        self.describe(false)
    }

    fn ready(&self) -> Result<(), String> {
        let health = self.journal.health();
        match (health.failing, health.full) {
            (Some(why), _) => Err(format!("the journal cannot be written: {why}")),
            (None, Some(why)) => Err(format!("the journal has no next segment: {why}")),
            (None, None) => Ok(()),
        }
    }

    fn ledger(&self) -> LedgerHealth {
        self.ledger.health()
    }

    fn redis(&self) -> Option<bool> {
        self.counters.sharing().map(|sharing| sharing.connected)
    }

    fn metrics(&self) -> String {
        let redis = self.counters.sharing().map(|sharing| RedisFigures {
            connected: sharing.connected,
            losses: sharing.losses,
            replicas: sharing.replicas,
        });
        let MirrorCounts { running, answered, failed, dropped } = self.mirrors.counts();
        let figures = Figures {
            ledger: self.ledger.figures(&self.journal),
            budgets: self.crossed.figures(),
            mirrors: MirrorFigures { running, answered, failed, dropped },
            redis,
        };
        // Writing into a string does not fail.
        figures.text().unwrap_or_default()
    }
}
