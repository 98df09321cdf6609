//! How the deployments do, as the traffic and the health checks showed it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use gatewright_alerts::Alerts;
use gatewright_cache::Snapshot;
use gatewright_core::{Clock as _, SystemClock};
use gatewright_gateway::{DoorFigures, Health, LedgerHealth};
use gatewright_limits::Counts;
use gatewright_providers::Registry;
use gatewright_routing::{LiveTable, MirrorCounts, Mirrors};
use gatewright_sinks::Sinks;
use gatewright_spend::Journal;
use gatewright_telemetry::{
    AlertFigures, CacheFigures, Figures, Meter, MirrorFigures, RedisFigures, SpanCounts, TextFormat,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Crossed, metrics};
use crate::cache::LiveAnswers;
use crate::checkup::{Finding, Findings, Verdict};
use crate::ledger::Watched;

/// Health from the router's memory of failures, the health checks, the deployments that cannot be called, and the journal.
pub(crate) struct Observed {
    pub(crate) table: LiveTable,
    pub(crate) registry: Arc<ArcSwap<Registry>>,
    /// What health checks found, where there are any.
    pub(crate) findings: Findings,
    pub(crate) journal: Journal,
    pub(crate) ledger: Watched,
    pub(crate) crossed: Arc<Crossed>,
    pub(crate) counters: Arc<Counts>,
    pub(crate) mirrors: Mirrors,
    pub(crate) meter: Meter,
    /// Where alerts are raised, where somebody is told of any.
    pub(crate) alerts: Option<Alerts>,
    pub(crate) sinks: Sinks,
    /// What becomes of spans, where some are made.
    pub(crate) spans: Option<SpanCounts>,
    pub(crate) answers: LiveAnswers,
}

impl Observed {
    fn describe(&self, wanted: bool) -> Vec<Value> {
        let (table, registry, now) = (self.table.load(), self.registry.load(), Instant::now());
        let describe = |deployment: &gatewright_routing::Deployment| {
            let broken =
                registry.find(&deployment.id).and_then(|d| d.problem().map(|err| err.message().to_owned()));
            let found = self.findings.of(&deployment.id);
            let failed = found.as_ref().and_then(|found| match &found.verdict {
                Verdict::Sick(why) => Some(why.clone()),
                Verdict::Well | Verdict::Unknown(_) => None,
            });
            let cooling = table.health(&deployment.id).is_some_and(|health| health.is_cooling(now));
            let cooling = || cooling.then(|| "cooling down after failures".to_owned());
            let error = broken.or(failed).or_else(cooling);
            if error.is_none() != wanted {
                return None;
            }
            let mut told = json!({"model": &*deployment.target, "model_name": &*deployment.group});
            if let Some(error) = error {
                told["error"] = error.into();
            }
            if let Some(Finding { verdict, at }) = found {
                told["health_check"] = match verdict {
                    Verdict::Well => "passed".into(),
                    Verdict::Sick(_) => "failed".into(),
                    Verdict::Unknown(why) => format!("unknown: {why}").into(),
                };
                told["checked_seconds_ago"] = now.saturating_duration_since(at).as_secs().into();
            }
            Some(told)
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

    fn metrics(&self, door: DoorFigures, accept: &str) -> (&'static str, String) {
        let redis = self.counters.sharing().map(|sharing| RedisFigures {
            connected: sharing.connected,
            losses: sharing.losses,
            replicas: sharing.replicas,
        });
        let door = gatewright_telemetry::DoorFigures {
            inside: door.inside,
            places: door.places,
            waiting: door.waiting,
            waited: door.waited,
            refused: [("full", door.full), ("displaced", door.displaced), ("late", door.late)],
        };
        let MirrorCounts { running, answered, failed, dropped } = self.mirrors.counts();
        let told = |counts: gatewright_alerts::Counts| AlertFigures {
            channel: counts.channel,
            sent: counts.sent,
            failed: counts.failed,
            dropped: counts.dropped,
        };
        let counts = self.alerts.as_ref().map(Alerts::counts).unwrap_or_default();
        let figures = Figures {
            alerts: counts.into_iter().map(told).collect(),
            ledger: self.ledger.figures(&self.journal),
            budgets: self.crossed.figures(),
            door,
            waiting_calls: self.table.load().waiting(),
            mirrors: MirrorFigures { running, answered, failed, dropped },
            sinks: self.sinks.figures(),
            spans: self.spans.as_ref().map(SpanCounts::figures),
            cache: self.answers.figures().map(|figures| cache(figures.snapshot())),
            redis,
            deployments: metrics::deployments(&self.table, &self.registry.load()),
        };
        let format = TextFormat::accepted(accept);
        (format.content_type(), self.meter.text(&figures, format, SystemClock.wall()))
    }
}

fn cache(snapshot: Snapshot) -> CacheFigures {
    let Snapshot { hits, misses, joined, kept, too_large, unreadable, unwritten, late, saved } = snapshot;
    let (unkept, failed) = (too_large.saturating_add(unwritten), unreadable.saturating_add(late));
    CacheFigures { hits, misses, joined, kept, unkept, failed, saved }
}
