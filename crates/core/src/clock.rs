//! Time as an argument: whoever needs the time is handed a clock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// A clock that stands still until it is moved: for tests of whatever is handed one.
#[derive(Debug)]
pub struct HandClock {
    began: Instant,
    /// Seconds since the Unix epoch when it began.
    epoch: u64,
    /// Nanoseconds since it began.
    passed: AtomicU64,
}

impl HandClock {
    /// It is an evening of November 2025, shortly before midnight.
    pub fn new() -> Arc<Self> {
        Self::at(1_763_682_622)
    }

    /// It is this second since the Unix epoch.
    pub fn at(unix_seconds: u64) -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), epoch: unix_seconds, passed: AtomicU64::new(0) })
    }

    /// So much time passes.
    pub fn forward(&self, by: Duration) {
        self.passed.fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
    }

    fn passed(&self) -> Duration {
        Duration::from_nanos(self.passed.load(Ordering::SeqCst))
    }
}

impl Clock for HandClock {
    fn now(&self) -> Instant {
        self.began + self.passed()
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.epoch) + self.passed()
    }
}

/// A second of the wall clock, since the Unix epoch; prints as `2026-11-20 23:51:22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utc(pub u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02}", second % 60)
    }
}

/// Year, month and day of a day since the epoch. Years are counted from March, so that the leap day is their last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days.saturating_add(719_468);
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    match month {
        0..10 => (era * 400 + year, month + 3, day),
        _ => (era * 400 + year + 1, month - 9, day),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_print_as_dates() {
        for (second, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_763_682_682, "2025-11-20 23:51:22"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(Utc(second).to_string(), text);
        }
    }
}
