//! Figures of what goes on beside the calls: alerts, sinks, spans, and the cache.

use gatewright_core::{Money, SinkFigures};

use super::figures::{counter, gauge, label};
use super::table::Kind;
use super::text::Text;
use crate::SpanFigures;

/// How alerts of one channel were delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertFigures {
    /// Its name.
    pub channel: &'static str,
    /// Those that it took.
    pub sent: u64,
    /// Those that it did not take.
    pub failed: u64,
    /// Those that were not tried because too many waited.
    pub dropped: u64,
}

/// What the cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Calls that were answered without an upstream.
    pub hits: u64,
    /// Calls that were looked up in vain.
    pub misses: u64,
    /// Hits that shared a call on its way.
    pub joined: u64,
    /// Answers that were kept.
    pub kept: u64,
    /// Answers that were not kept where they should have been: too large, or not taken.
    pub unkept: u64,
    /// Look-ups that were not answered in time, or not in a form that can be read.
    pub failed: u64,
    /// What the answers had cost that were given again.
    pub saved: Money,
}

/// One figure of those that each of several has.
type Column<T> = (&'static str, &'static str, Kind, fn(&T) -> u64);

const OF_SINKS: [Column<SinkFigures>; 7] = [
    ("gatewright_sinks_sent", "Records that a sink took", Kind::Count, |it| it.sent),
    ("gatewright_sinks_failed", "Records that a sink refused for good", Kind::Count, |it| it.failed),
    ("gatewright_sinks_dropped", "Records that there was no room for", Kind::Count, |it| it.dropped),
    ("gatewright_sinks_retried", "Deliveries that are tried again", Kind::Count, |it| it.retried),
    ("gatewright_sinks_queued", "Records that wait in memory", Kind::Level, |it| it.queued),
    ("gatewright_sinks_spooled", "Records that wait on the disk", Kind::Level, |it| it.spooled),
    ("gatewright_sinks_up", "Whether the last delivery went well", Kind::Level, |it| u64::from(it.up)),
];

pub(super) fn write_sinks(all: &[SinkFigures], text: &mut Text) {
    columns(all, &OF_SINKS, |it| label("sink", &it.name), text);
}

// === impl AlertFigures ===

impl AlertFigures {
    const COLUMNS: [Column<Self>; 3] = [
        ("gatewright_alerts_sent", "Alerts that a channel took", Kind::Count, |it| it.sent),
        ("gatewright_alerts_failed", "Alerts that a channel did not take", Kind::Count, |it| it.failed),
        (
            "gatewright_alerts_dropped",
            "Alerts that were not sent because too many waited",
            Kind::Count,
            |it| it.dropped,
        ),
    ];

    pub(super) fn write(all: &[Self], text: &mut Text) {
        columns(all, &Self::COLUMNS, |it| label("channel", it.channel), text);
    }
}

// === impl SpanFigures ===

impl SpanFigures {
    pub(super) fn write(&self, text: &mut Text) {
        gauge(text, "gatewright_spans_waiting", "Spans that wait or are on their way", self.waiting);
        counter(text, "gatewright_spans_exported", "Spans that their receiver took", self.exported);
        counter(text, "gatewright_spans_dropped", "Spans that there was no room for", self.dropped);
        counter(text, "gatewright_spans_failed", "Spans that their receiver did not take", self.failed);
    }
}

// === impl CacheFigures ===

impl CacheFigures {
    pub(super) fn write(&self, text: &mut Text) {
        for (name, help, value) in [
            ("gatewright_cache_hits", "Calls that were answered without an upstream", self.hits),
            ("gatewright_cache_misses", "Calls that were looked up in vain", self.misses),
            ("gatewright_cache_joined", "Hits that shared a call on its way", self.joined),
            ("gatewright_cache_kept", "Answers that were kept", self.kept),
            ("gatewright_cache_unkept", "Answers that were too large, or not taken", self.unkept),
            ("gatewright_cache_failed", "Look-ups without an answer that could be read in time", self.failed),
        ] {
            counter(text, name, help, value);
        }
        let (name, help) = ("gatewright_cache_saved_dollars", "What answers had cost that were given again");
        text.family(name, Kind::Count, help);
        text.sample("", self.saved);
    }
}

fn columns<T>(all: &[T], columns: &[Column<T>], named: fn(&T) -> String, text: &mut Text) {
    for (name, help, kind, of) in columns.iter().filter(|_| !all.is_empty()) {
        text.family(name, *kind, help);
        for one in all {
            text.sample(&named(one), of(one));
        }
    }
}
