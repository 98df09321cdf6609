//! What was seen of one deployment: its health, its load and its speed. Shared by all calls and kept over a reload.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::Health;
use crate::pick::Latencies;
use crate::tally::Tally;

/// What was seen of one deployment.
///
/// What a strategy compares comes first and fits into one cache line, `Health`'s first word included: a choice among a
/// thousand looks at a thousand lines.
#[repr(C, align(64))]
pub struct Seen {
    /// Attempts that are on their way.
    in_flight: AtomicU32,
    /// The same at the other replicas, as they told it last.
    in_flight_elsewhere: AtomicU32,
    /// Attempts and tokens of the current minute.
    minute: Tally,
    /// The same at the other replicas.
    minute_elsewhere: Tally,
    /// A moving average of the time to the first content, in microseconds, and when it was moved last, in milliseconds.
    pub(crate) average: AtomicU64,
    pub(crate) averaged_at: AtomicU64,
    /// How long its last answers took on the average, whole ones and streams; what they are made of is below.
    pub(crate) whole: AtomicU64,
    pub(crate) streams: AtomicU64,
    /// Whether it rests, and whether it fails for everyone.
    pub health: Health,
    /// How long its last answers took; kept by the strategy that asks.
    pub(crate) latencies: Mutex<Latencies>,
    /// Calls that came first to a group whose first deployment it is, and further attempts of theirs that failed; here,
    /// so that a reload does not grant them anew.
    pub(crate) further: Tally,
}

/// How an attempt went, for strategies that learn.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// From the attempt's begin to its first content; to its failure where it had none.
    pub first_content: Duration,
    /// From the attempt's begin to its end.
    pub whole: Duration,
    /// Whether it was a stream.
    pub stream: bool,
    /// Tokens of output, where they are known.
    pub output: Option<u64>,
    /// Whether it failed.
    pub failed: bool,
    /// Whether it failed because nothing came in time.
    pub timed_out: bool,
}

/// Load of a deployment, as replicas tell each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Attempts that are on their way.
    pub in_flight: u32,
    /// Attempts of the current minute.
    pub requests: u64,
    /// Tokens of the current minute.
    pub tokens: u64,
}

/// An attempt that is on its way, for as long as it is.
pub(crate) struct Busy(std::sync::Arc<Seen>);

// === impl Seen ===

impl Seen {
    /// Nothing yet; times are counted from `epoch`.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            in_flight_elsewhere: AtomicU32::new(0),
            minute: Tally::default(),
            minute_elsewhere: Tally::default(),
            average: AtomicU64::new(0),
            averaged_at: AtomicU64::new(0),
            whole: AtomicU64::new(0),
            streams: AtomicU64::new(0),
            health: Health::new(epoch),
            latencies: Mutex::default(),
            further: Tally::default(),
        }
    }

    /// Attempts that are on their way, at all replicas.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed).saturating_add(self.in_flight_elsewhere.load(Relaxed))
    }

    /// Attempts and tokens of the current minute, at all replicas.
    pub fn usage(&self, now: Instant) -> (u64, u64) {
        self.usage_in(self.health.millis(now) / 60_000)
    }

    /// The same of the minute of this number.
    pub(crate) fn usage_in(&self, minute: u64) -> (u64, u64) {
        let (own, others) = (self.minute.read(minute), self.minute_elsewhere.read(minute));
        (own.0 + others.0, own.1 + others.1)
    }

    /// What this replica has of it.
    pub fn share(&self, now: Instant) -> Share {
        let (requests, tokens) = self.minute.read(self.health.millis(now) / 60_000);
        Share { in_flight: self.in_flight.load(Relaxed), requests, tokens }
    }

    /// What the other replicas have of it, all together.
    pub fn put_elsewhere(&self, share: Share, now: Instant) {
        self.in_flight_elsewhere.store(share.in_flight, Relaxed);
        self.minute_elsewhere.set(self.health.millis(now) / 60_000, (share.requests, share.tokens));
    }

    pub(crate) fn count_tokens(&self, tokens: u64, now: Instant) {
        self.minute.add(self.health.millis(now) / 60_000, (0, tokens));
    }
}

// === impl Busy ===

impl Busy {
    pub(crate) fn begin(seen: std::sync::Arc<Seen>, now: Instant) -> Self {
        seen.in_flight.fetch_add(1, Relaxed);
        seen.minute.add(seen.health.millis(now) / 60_000, (1, 0));
        Self(seen)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}
