//! How records of calls reach a sink: what the sinks count and the metrics tell.

/// How records of calls reach one sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkFigures {
    /// The sink.
    pub name: String,
    /// Records that it took.
    pub sent: u64,
    /// Records that it refused for good.
    pub failed: u64,
    /// Records that were lost: there was no room for them, in memory or on the disk.
    pub dropped: u64,
    /// Deliveries that did not go well and are tried again.
    pub retried: u64,
    /// Records that wait in memory.
    pub queued: u64,
    /// Records that wait on the disk.
    pub spooled: u64,
    /// Their bytes.
    pub spooled_bytes: u64,
    /// Whether the last delivery went well.
    pub up: bool,
}

// === impl SinkFigures ===

impl SinkFigures {
    /// With those of another one, as if both were one sink.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.failed += other.failed;
        self.dropped += other.dropped;
        self.retried += other.retried;
        self.queued += other.queued;
        self.spooled += other.spooled;
        self.spooled_bytes += other.spooled_bytes;
        self.up &= other.up;
    }

    /// Records that never reach it.
    pub fn lost(&self) -> u64 {
        self.failed.saturating_add(self.dropped)
    }
}
