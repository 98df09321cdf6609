//! How the records of calls come to their sinks, for Prometheus.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How one sink's deliveries go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkFigures {
    /// The sink.
    pub name: String,
    /// Records that were delivered.
    pub sent: u64,
    /// Records that the target refused for good.
    pub failed: u64,
    /// Records that were lost for want of room.
    pub dropped: u64,
    /// Deliveries that did not go well and are tried again.
    pub retried: u64,
    /// Records that wait in memory.
    pub queued: u64,
    /// Records that wait on the disk.
    pub spooled: u64,
    /// Whether the last delivery went well.
    pub up: bool,
}

/// A figure: its name, what it is, and where it stands.
type Named<'a> = (&'a str, &'a str, fn(&SinkFigures) -> u64);

/// Tells them by the sink's name. Where there are no sinks, nothing is told.
pub(crate) fn register(sinks: &[SinkFigures], registry: &mut Registry) {
    if sinks.is_empty() {
        return;
    }
    let counters: [Named<'_>; 4] = [
        ("sent", "Records of calls that were delivered", |sink| sink.sent),
        ("failed", "Records that the target refused for good", |sink| sink.failed),
        ("dropped", "Records that were lost for want of room", |sink| sink.dropped),
        ("retried", "Deliveries that are tried again", |sink| sink.retried),
    ];
    for (name, help, figure) in counters {
        let family = Family::<[(&'static str, String); 1], Counter>::default();
        for sink in sinks {
            family.get_or_create(&[("sink", sink.name.clone())]).inc_by(figure(sink));
        }
        registry.register(name, help, family);
    }
    let gauges: [Named<'_>; 3] = [
        ("queued", "Records that wait in memory", |sink| sink.queued),
        ("spooled", "Records that wait on the disk", |sink| sink.spooled),
        ("up", "Whether the last delivery went well", |sink| u64::from(sink.up)),
    ];
    for (name, help, figure) in gauges {
        let family = Family::<[(&'static str, String); 1], Gauge>::default();
        for sink in sinks {
            let value = i64::try_from(figure(sink)).unwrap_or(i64::MAX);
            family.get_or_create(&[("sink", sink.name.clone())]).set(value);
        }
        registry.register(name, help, family);
    }
}
