//! What Prometheus is told.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::sink_figures::{self, SinkFigures};

/// What a gateway tells of itself.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// How the records of calls come to their sinks.
    pub sinks: Vec<SinkFigures>,
    /// How the Redis does that replicas share their counts in; nothing where this process counts alone.
    pub redis: Option<RedisFigures>,
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
    /// As text for Prometheus.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("gatewright");
        self.ledger.register(registry.sub_registry_with_prefix("ledger"));
        self.budgets.register(registry.sub_registry_with_prefix("budgets"));
        self.door.register(registry.sub_registry_with_prefix("door"));
        let waiting = ConstGauge::new(i64::try_from(self.waiting_calls).unwrap_or(i64::MAX));
        let routing = registry.sub_registry_with_prefix("routing");
        routing.register("waiting_calls", "Calls that wait for capacity of their group", waiting);
        self.mirrors.register(registry.sub_registry_with_prefix("mirrors"));
        sink_figures::register(&self.sinks, registry.sub_registry_with_prefix("sinks"));
        if let Some(redis) = &self.redis {
            redis.register(registry.sub_registry_with_prefix("redis"));
        }
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

// === impl RedisFigures ===

impl RedisFigures {
    fn register(&self, registry: &mut Registry) {
        let gauges = [
            ("connected", "Whether Redis answers", u64::from(self.connected)),
            ("replicas", "Replicas that share their counts in Redis", self.replicas),
        ];
        for (name, help, value) in gauges {
            registry.register(name, help, ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)));
        }
        registry.register(
            "losses",
            "Times that Redis did not answer any more",
            ConstCounter::new(self.losses),
        );
    }
}

// === impl LedgerFigures ===

impl LedgerFigures {
    fn register(&self, registry: &mut Registry) {
        let gauges = [
            ("connected", "Whether the database answers", u64::from(self.connected)),
            ("backlog_entries", "Entries that wait for the database, about", self.backlog),
            ("backlog_bytes", "Bytes of the journal that wait for the database", self.backlog_bytes),
            ("set_aside_entries", "Entries that the database will never take", self.set_aside),
            ("journal_full", "Whether the journal has no next segment", u64::from(self.full)),
            ("journal_failing", "Whether the journal cannot be written", u64::from(self.failing)),
        ];
        for (name, help, value) in gauges {
            registry.register(name, help, ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)));
        }
        let (name, help) = ("backlog_oldest_seconds", "Seconds that the oldest waiting entry has waited");
        registry.register(name, help, ConstGauge::new(self.oldest_seconds));
        let counters = [
            ("shipped_entries", "Entries that the database got from this process", self.shipped),
            ("refused_entries", "Entries that were too old for the database", self.refused),
            ("journal_damages", "Damaged places in the journal", self.damaged),
            ("unjournalled_attempts", "Attempts that passed while the disk was full", self.unjournalled),
            ("lost_ends", "Ends that were lost while the disk was full", self.lost),
            ("journal_sync_failures", "Times that the journal could not be synced", self.sync_failures),
        ];
        for (name, help, value) in counters {
            registry.register(name, help, ConstCounter::new(value));
        }
        let (name, help) = ("unjournalled_dollars", "What attempts cost that passed while the disk was full");
        registry.register(name, help, ConstCounter::new(self.unjournalled_dollars));
    }
}

// === impl DoorFigures ===

impl DoorFigures {
    fn register(&self, registry: &mut Registry) {
        let gauges = [
            ("calls_inside", "Calls that are being answered", self.inside),
            ("calls_waiting", "Calls that wait for a place", self.waiting),
            ("places", "Calls that are let in at the same time, for now", self.places),
        ];
        for (name, help, value) in gauges {
            registry.register(name, help, ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)));
        }
        let (name, help) = ("calls_waited", "Calls that had to wait and were let in");
        registry.register(name, help, ConstCounter::new(self.waited));
        let refused = Family::<[(&'static str, &'static str); 1], Counter>::default();
        for (why, times) in self.refused {
            refused.get_or_create(&[("why", why)]).inc_by(times);
        }
        registry.register("calls_refused", "Calls that were refused with 503, by why", refused);
    }
}

// === impl BudgetFigures ===

impl BudgetFigures {
    fn register(&self, registry: &mut Registry) {
        let help = "Soft budgets that were crossed, once a period, by what they are of";
        let crossed = Family::<[(&'static str, &'static str); 1], Counter>::default();
        for (scope, times) in &self.soft_crossed {
            crossed.get_or_create(&[("scope", scope)]).inc_by(*times);
        }
        registry.register("soft_crossed", help, crossed);
    }
}

// === impl MirrorFigures ===

impl MirrorFigures {
    fn register(&self, registry: &mut Registry) {
        let running = i64::try_from(self.running).unwrap_or(i64::MAX);
        registry.register("running", "Mirrored calls on their way", ConstGauge::new(running));
        let counters = [
            ("answered", "Mirrored calls that were answered to the end", self.answered),
            ("failed", "Mirrored calls that were not", self.failed),
            ("dropped", "Mirrored calls that were not begun because too many ran", self.dropped),
        ];
        for (name, help, value) in counters {
            registry.register(name, help, ConstCounter::new(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_in_the_text_under_their_names() {
        let ledger = LedgerFigures { backlog: 7, shipped: 3, oldest_seconds: 1.5, ..Default::default() };
        let budgets = BudgetFigures { soft_crossed: [("api_key", 2)].into() };
        let redis = RedisFigures { connected: true, losses: 2, replicas: 3 };
        let refused = [("full", 5), ("displaced", 6), ("late", 7)];
        let door = DoorFigures { inside: 1, places: 8, waiting: 2, waited: 4, refused };
        let mirrors = MirrorFigures { running: 4, dropped: 6, ..Default::default() };
        let redis = Some(redis);
        let sinks = vec![SinkFigures { name: "mine".into(), sent: 7, up: true, ..SinkFigures::default() }];
        let text = Figures { ledger, budgets, door, waiting_calls: 4, mirrors, sinks, redis }.text().unwrap();
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
            r#"gatewright_sinks_sent_total{sink="mine"} 7"#,
            r#"gatewright_sinks_up{sink="mine"} 1"#,
            "gatewright_mirrors_dropped_total 6",
            "gatewright_redis_connected 1",
            "gatewright_redis_losses_total 2",
            "gatewright_redis_replicas 3",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is missing in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
        let alone = Figures { ledger, ..Figures::default() }.text().unwrap();
        assert!(!alone.contains("redis"), "{alone}");
    }
}
