//! What was seen of one deployment: its health, its load and its speed. Shared by all calls and kept over a reload.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::Health;
use crate::pick::{Latencies, Pace};
use crate::queue::{Lines, Room};
use crate::tally::Tally;
use crate::words::Slot;

/// What was seen of one deployment.
pub struct Seen {
    /// Whether it rests, and whether it fails for everyone.
    pub health: Health,
    /// What strategies compare is there.
    pub(crate) slot: Slot,
    /// Capacity that its limits got back.
    pub(crate) room: Room,
    /// Calls that wait for capacity, of all groups in which it is the first that may serve them.
    pub(crate) lines: Lines,
    /// How long its last answers took; kept by the strategy that asks.
    pub(crate) latencies: Mutex<Latencies>,
    /// A moving average of the time to the first content, in microseconds, and when it was moved last, in milliseconds.
    pub(crate) average: AtomicU64,
    pub(crate) averaged_at: AtomicU64,
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

/// Load and speed of a deployment, as replicas tell each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Attempts that are on their way.
    pub in_flight: u32,
    /// Attempts of the current minute.
    pub requests: u64,
    /// Tokens of the current minute.
    pub tokens: u64,
    /// What its last whole answers took a token, where the strategy keeps that.
    pub whole: Pace,
    /// What the first content of its last streams took, likewise.
    pub streams: Pace,
}

/// An attempt that is on its way, for as long as it is.
pub(crate) struct Busy(std::sync::Arc<Seen>);

// === impl Seen ===

impl Seen {
    /// Nothing yet; times are counted from `epoch`.
    pub(crate) fn new(epoch: Instant, slot: Slot) -> Self {
        Self {
            health: Health::new(epoch, slot.clone()),
            slot,
            room: Room::default(),
            lines: Lines::default(),
            latencies: Mutex::default(),
            average: AtomicU64::new(0),
            averaged_at: AtomicU64::new(0),
            further: Tally::default(),
        }
    }

    /// Attempts that are on their way, at all replicas.
    pub fn in_flight(&self) -> u32 {
        self.slot.words().in_flight()
    }

    /// Attempts and tokens of the current minute, at all replicas.
    pub fn usage(&self, now: Instant) -> (u64, u64) {
        self.slot.words().usage_in(self.minute(now))
    }

    /// What this replica has of it.
    pub fn share(&self, now: Instant) -> Share {
        let words = self.slot.words();
        let (requests, tokens) = words.minute().read(self.minute(now));
        let (whole, streams) = self.latencies.lock().own(self.health.millis(now));
        Share { in_flight: words.own_in_flight(), requests, tokens, whole, streams }
    }

    /// What the other replicas have of it, all together.
    pub fn put_elsewhere(&self, share: Share, now: Instant) {
        let words = self.slot.words();
        words.put_in_flight_elsewhere(share.in_flight);
        words.minute_elsewhere().set(self.minute(now), (share.requests, share.tokens));
        let paces = (share.whole, share.streams);
        self.latencies.lock().put_elsewhere(paces, self.health.millis(now), words);
    }

    /// The moving average of the time to its first content, in microseconds; zero where it was not measured.
    pub fn average(&self) -> u64 {
        self.average.load(Relaxed)
    }

    /// Takes another replica's average where it was not measured here.
    pub fn put_average(&self, average: u64, now: Instant) {
        if self.average.compare_exchange(0, average, Relaxed, Relaxed).is_ok() {
            self.averaged_at.store(self.health.millis(now), Relaxed);
        }
    }

    pub(crate) fn count_tokens(&self, tokens: u64, now: Instant) {
        self.slot.words().minute().add(self.minute(now), (0, tokens));
    }

    fn minute(&self, now: Instant) -> u64 {
        self.health.millis(now) / 60_000
    }
}

// === impl Busy ===

impl Busy {
    pub(crate) fn begin(seen: std::sync::Arc<Seen>, now: Instant) -> Self {
        seen.slot.words().begin();
        seen.slot.words().minute().add(seen.minute(now), (1, 0));
        Self(seen)
    }

    /// Nothing was sent, so that it counts for nothing.
    pub(crate) fn refused(&self, begun: Instant) {
        self.0.slot.words().minute().take_one_back(self.0.minute(begun));
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.slot.words().end();
    }
}
