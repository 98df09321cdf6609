//! Time as an argument: whoever needs the time is handed a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// A point in monotonic time, for durations.
    fn now(&self) -> Instant;

    /// The wall clock, for records.
    fn wall(&self) -> SystemTime;

    /// The wall clock in whole seconds since the Unix epoch.
    fn unix_seconds(&self) -> u64 {
        self.wall().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
    }
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}
