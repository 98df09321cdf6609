//! What a gateway tells of itself, read when somebody looks.

use std::collections::BTreeMap;
use std::sync::Arc;

use gatewright_core::{ServedBy, SinkFigures};

use super::beside::{AlertFigures, CacheFigures, write_sinks};
use super::table::Kind;
use super::text::{Text, push_label};
use crate::SpanFigures;

/// What a gateway tells of itself.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// How the ledger does.
    pub ledger: LedgerFigures,
    /// How budgets do.
    pub budgets: BudgetFigures,
    /// What goes on at the door.
    pub door: DoorFigures,
    /// Calls that wait for capacity.
    pub waiting_calls: u64,
    /// How mirrored calls do.
    pub mirrors: MirrorFigures,
    /// How alerts were delivered, by channel; nothing where nobody is told of anything.
    pub alerts: Vec<AlertFigures>,
    /// How records of calls reach each sink.
    pub sinks: Vec<SinkFigures>,
    /// What became of spans; nothing where none are made.
    pub spans: Option<SpanFigures>,
    /// What the cache did; nothing where there is none.
    pub cache: Option<CacheFigures>,
    /// How the Redis does that replicas share their counts in; nothing where this process counts alone.
    pub redis: Option<RedisFigures>,
    /// How the deployments do.
    pub deployments: Vec<DeploymentFigures>,
}

/// How one deployment does.
#[derive(Clone, Debug)]
pub struct DeploymentFigures {
    /// Which one.
    pub served_by: Arc<ServedBy>,
    /// Whether it rests after a failure, or fails for everyone.
    pub is_out: bool,
    /// How often a failure let it rest, by the failure's status.
    pub rests: Vec<(u16, u64)>,
    /// Requests a minute that it is configured with.
    pub requests: Option<u64>,
    /// Tokens a minute that it is configured with.
    pub tokens: Option<u64>,
}

/// How the Redis does that replicas share their counts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedisFigures {
    /// Whether it answers.
    pub connected: bool,
    /// How often it did not answer any more.
    pub losses: u64,
    /// Replicas that it heard of.
    pub replicas: u64,
}

/// How the ledger does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LedgerFigures {
    /// Whether the database answers.
    pub connected: bool,
    /// Entries that wait for it, about.
    pub backlog: u64,
    /// The same in bytes of the journal.
    pub backlog_bytes: u64,
    /// Seconds that the oldest of them has waited.
    pub oldest_seconds: f64,
    /// Entries that the database got from this process.
    pub shipped: u64,
    /// Entries that were too old for it.
    pub refused: u64,
    /// Entries in the file of those that it will never take.
    pub set_aside: u64,
    /// Damaged places in the journal.
    pub damaged: u64,
    /// Attempts that were let pass while the disk was full.
    pub unjournalled: u64,
    /// What those cost, in dollars.
    pub unjournalled_dollars: f64,
    /// Ends that were lost while the disk was full.
    pub lost: u64,
    /// Times that the journal could not be forced to the disk.
    pub sync_failures: u64,
    /// Whether the journal has no next segment.
    pub full: bool,
    /// Whether the journal cannot be written.
    pub failing: bool,
}

/// What goes on at the door that every call comes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoorFigures {
    /// Calls that are inside.
    pub inside: u64,
    /// Calls that there are places for.
    pub places: u64,
    /// Calls that wait for a place.
    pub waiting: u64,
    /// Calls that had to wait and were let in.
    pub waited: u64,
    /// Calls that were refused, by why.
    pub refused: [(&'static str, u64); 3],
}

/// How budgets do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BudgetFigures {
    /// Soft budgets that were crossed, by what they are of.
    pub soft_crossed: BTreeMap<&'static str, u64>,
}

/// How mirrored calls do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorFigures {
    /// Those that are on their way.
    pub running: u64,
    /// Those that were answered to the end.
    pub answered: u64,
    /// Those that were not.
    pub failed: u64,
    /// Those that were not begun because too many were on their way.
    pub dropped: u64,
}

// === impl Figures ===

impl Figures {
    pub(super) fn write(&self, text: &mut Text) {
        self.ledger.write(text);
        self.budgets.write(text);
        self.door.write(text);
        gauge(
            text,
            "gatewright_routing_waiting_calls",
            "Calls that wait for capacity of their group",
            self.waiting_calls,
        );
        self.mirrors.write(text);
        AlertFigures::write(&self.alerts, text);
        write_sinks(&self.sinks, text);
        if let Some(spans) = &self.spans {
            spans.write(text);
        }
        if let Some(cache) = &self.cache {
            cache.write(text);
        }
        if let Some(redis) = &self.redis {
            redis.write(text);
        }
    }
}

// === impl RedisFigures ===

impl RedisFigures {
    fn write(&self, text: &mut Text) {
        gauge(text, "gatewright_redis_connected", "Whether Redis answers", u64::from(self.connected));
        gauge(text, "gatewright_redis_replicas", "Replicas that share their counts in Redis", self.replicas);
        counter(text, "gatewright_redis_losses", "Times that Redis did not answer any more", self.losses);
    }
}

// === impl LedgerFigures ===

impl LedgerFigures {
    fn write(&self, text: &mut Text) {
        for (name, help, value) in [
            ("gatewright_ledger_connected", "Whether the database answers", u64::from(self.connected)),
            ("gatewright_ledger_backlog_entries", "Entries that wait for the database, about", self.backlog),
            (
                "gatewright_ledger_backlog_bytes",
                "Bytes of the journal that wait for the database",
                self.backlog_bytes,
            ),
            (
                "gatewright_ledger_set_aside_entries",
                "Entries that the database will never take",
                self.set_aside,
            ),
            (
                "gatewright_ledger_journal_full",
                "Whether the journal has no next segment",
                u64::from(self.full),
            ),
            (
                "gatewright_ledger_journal_failing",
                "Whether the journal cannot be written",
                u64::from(self.failing),
            ),
        ] {
            gauge(text, name, help, value);
        }
        let help = "Seconds that the oldest waiting entry has waited";
        text.family("gatewright_ledger_backlog_oldest_seconds", Kind::Level, help);
        text.sample("", self.oldest_seconds);
        for (name, help, value) in [
            (
                "gatewright_ledger_shipped_entries",
                "Entries that the database got from this process",
                self.shipped,
            ),
            ("gatewright_ledger_refused_entries", "Entries that were too old for the database", self.refused),
            ("gatewright_ledger_journal_damages", "Damaged places in the journal", self.damaged),
            (
                "gatewright_ledger_unjournalled_attempts",
                "Attempts that passed while the disk was full",
                self.unjournalled,
            ),
            ("gatewright_ledger_lost_ends", "Ends that were lost while the disk was full", self.lost),
            (
                "gatewright_ledger_journal_sync_failures",
                "Times that the journal could not be synced",
                self.sync_failures,
            ),
        ] {
            counter(text, name, help, value);
        }
        let help = "What attempts cost that passed while the disk was full";
        text.family("gatewright_ledger_unjournalled_dollars", Kind::Count, help);
        text.sample("", self.unjournalled_dollars);
    }
}

// === impl DoorFigures ===

impl DoorFigures {
    fn write(&self, text: &mut Text) {
        gauge(text, "gatewright_door_calls_inside", "Calls that are being answered", self.inside);
        gauge(text, "gatewright_door_calls_waiting", "Calls that wait for a place", self.waiting);
        gauge(text, "gatewright_door_places", "Calls that are let in at the same time, for now", self.places);
        counter(text, "gatewright_door_calls_waited", "Calls that had to wait and were let in", self.waited);
        text.family("gatewright_door_calls_refused", Kind::Count, "Calls that were refused with 503, by why");
        for (why, times) in self.refused {
            text.sample(&label("why", why), times);
        }
    }
}

// === impl BudgetFigures ===

impl BudgetFigures {
    fn write(&self, text: &mut Text) {
        let help = "Soft budgets that were crossed, once a period, by what they are of";
        text.family("gatewright_budgets_soft_crossed", Kind::Count, help);
        for (scope, times) in &self.soft_crossed {
            text.sample(&label("scope", scope), times);
        }
    }
}

// === impl MirrorFigures ===

impl MirrorFigures {
    fn write(&self, text: &mut Text) {
        gauge(text, "gatewright_mirrors_running", "Mirrored calls on their way", self.running);
        for (name, help, value) in [
            ("gatewright_mirrors_answered", "Mirrored calls that were answered to the end", self.answered),
            ("gatewright_mirrors_failed", "Mirrored calls that were not", self.failed),
            (
                "gatewright_mirrors_dropped",
                "Mirrored calls that were not begun because too many ran",
                self.dropped,
            ),
        ] {
            counter(text, name, help, value);
        }
    }
}

pub(super) fn gauge(text: &mut Text, name: &str, help: &str, value: u64) {
    text.family(name, Kind::Level, help);
    text.sample("", value);
}

pub(super) fn counter(text: &mut Text, name: &str, help: &str, value: u64) {
    text.family(name, Kind::Count, help);
    text.sample("", value);
}

pub(super) fn label(name: &str, value: &str) -> String {
    let mut out = String::new();
    push_label(&mut out, name, value);
    out
}

#[cfg(test)]
mod tests {
    use gatewright_core::Money;

    use super::*;
    use crate::metrics::TextFormat;

    fn written(figures: &Figures) -> String {
        let mut text = Text::new(TextFormat::OpenMetrics, 0);
        figures.write(&mut text);
        text.finish()
    }

    #[test]
    fn figures_stand_in_the_text_under_their_names() {
        let ledger = LedgerFigures { backlog: 7, shipped: 3, oldest_seconds: 1.5, ..Default::default() };
        let budgets = BudgetFigures { soft_crossed: [("api_key", 2)].into() };
        let redis = RedisFigures { connected: true, losses: 2, replicas: 3 };
        let refused = [("full", 5), ("displaced", 6), ("late", 7)];
        let door = DoorFigures { inside: 1, places: 8, waiting: 2, waited: 4, refused };
        let mirrors = MirrorFigures { running: 4, dropped: 6, ..Default::default() };
        let redis = Some(redis);
        let alerts = vec![AlertFigures { channel: "slack", sent: 5, failed: 1, dropped: 0 }];
        let sinks = vec![SinkFigures { name: "langfuse".into(), sent: 8, spooled: 2, ..Default::default() }];
        let spans = Some(SpanFigures { exported: 9, ..Default::default() });
        let cache = Some(CacheFigures { hits: 6, saved: Money(1_500_000_000), ..Default::default() });
        let beside = Figures { alerts, sinks, spans, cache, ..Figures::default() };
        let figures = Figures { ledger, budgets, door, waiting_calls: 4, mirrors, redis, ..beside };
        let text = written(&figures);
        for line in [
            "# TYPE gatewright_ledger_backlog_entries gauge",
            "gatewright_ledger_backlog_entries 7",
            "gatewright_ledger_backlog_oldest_seconds 1.5",
            "gatewright_ledger_shipped_entries_total 3",
            "gatewright_budgets_soft_crossed_total{scope=\"api_key\"} 2",
            "gatewright_door_calls_inside 1",
            "gatewright_door_calls_waiting 2",
            "gatewright_door_places 8",
            "gatewright_door_calls_waited_total 4",
            "gatewright_door_calls_refused_total{why=\"late\"} 7",
            "gatewright_routing_waiting_calls 4",
            "gatewright_mirrors_running 4",
            "gatewright_mirrors_dropped_total 6",
            "gatewright_alerts_sent_total{channel=\"slack\"} 5",
            "gatewright_alerts_failed_total{channel=\"slack\"} 1",
            "gatewright_sinks_sent_total{sink=\"langfuse\"} 8",
            "gatewright_sinks_spooled{sink=\"langfuse\"} 2",
            "gatewright_spans_exported_total 9",
            "gatewright_cache_hits_total 6",
            "gatewright_cache_saved_dollars_total 1.5",
            "gatewright_redis_connected 1",
            "gatewright_redis_losses_total 2",
            "gatewright_redis_replicas 3",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is missing in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
        let alone = written(&Figures { ledger, ..Figures::default() });
        for absent in ["redis", "alerts", "sinks", "spans", "cache"] {
            assert!(!alone.contains(absent), "{absent} in {alone}");
        }
    }
}
