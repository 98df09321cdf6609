//! Moments as spans tell them: nanoseconds of the wall clock since the Unix epoch.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gatewright_core::{Clock, SystemClock};

/// Clocks that are so far apart were not slowed or hurried: one of them was set.
const WAS_SET: Duration = Duration::from_millis(100);

/// The two clocks of the machine, compared at one moment: whatever that moment is asked for, it has one time.
static CLOCKS: LazyLock<Clocks> = LazyLock::new(|| Clocks::compared(read()));

struct Clocks {
    then: Instant,
    its_time: AtomicU64,
    /// The second since that moment in which they were compared last.
    compared: AtomicU64,
}

/// The wall clock's time of a moment.
pub(crate) fn unix_nanos(moment: Instant) -> u64 {
    CLOCKS.time_of(moment)
}

/// Compares the clocks once more, for the wall clock may have been set; not as often as it is asked to.
pub(crate) fn compare(now: Instant) {
    if CLOCKS.is_due(now) {
        CLOCKS.heed(read());
    }
}

/// A moment and its time, as close together as the machine lets us.
fn read() -> (Instant, SystemTime) {
    (Instant::now(), SystemClock.wall())
}

// === impl Clocks ===

impl Clocks {
    fn compared((then, its_time): (Instant, SystemTime)) -> Self {
        Self { then, its_time: AtomicU64::new(since_epoch(its_time)), compared: AtomicU64::new(0) }
    }

    fn time_of(&self, moment: Instant) -> u64 {
        let its_time = self.its_time.load(Ordering::Relaxed);
        match moment.checked_duration_since(self.then) {
            Some(later) => its_time.saturating_add(nanos(later)),
            None => its_time.saturating_sub(nanos(self.then.saturating_duration_since(moment))),
        }
    }

    /// Whether another second has begun; told once in each.
    fn is_due(&self, now: Instant) -> bool {
        let second = now.saturating_duration_since(self.then).as_secs();
        self.compared.load(Ordering::Relaxed) != second
            && self.compared.swap(second, Ordering::Relaxed) != second
    }

    fn heed(&self, (now, its_time): (Instant, SystemTime)) {
        let (told, is) = (self.time_of(now), since_epoch(its_time));
        if told.abs_diff(is) >= nanos(WAS_SET) {
            let then = is.saturating_sub(nanos(now.saturating_duration_since(self.then)));
            self.its_time.store(then, Ordering::Relaxed);
        }
    }
}

fn since_epoch(time: SystemTime) -> u64 {
    nanos(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Enough for five centuries.
fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn clocks_are_compared_once_a_second() {
        let clocks = Clocks::compared(read());
        let halves = [0, 1, 2, 3, 3, 6, 7].map(|halves| clocks.is_due(clocks.then + SECOND / 2 * halves));
        assert_eq!(halves, [false, false, true, false, false, true, false]);
    }

    #[test]
    fn a_moment_has_one_time_until_the_wall_clock_is_set() {
        let (then, time) = (Instant::now(), UNIX_EPOCH + SECOND * 1000);
        let clocks = Clocks::compared((then, time));
        let (before, later) = (then.checked_sub(SECOND).unwrap(), then + SECOND);
        for (wall, shift) in [
            (time + SECOND, 0),
            (time + SECOND + Duration::from_millis(99), 0),
            (time + SECOND * 3601, 3600),
            (time + SECOND * 3601, 3600),
            (time + SECOND, 0),
        ] {
            clocks.heed((later, wall));
            let seconds = [before, then, later].map(|moment| clocks.time_of(moment) / 1_000_000_000);
            assert_eq!(seconds, [999, 1000, 1001].map(|second| second + shift), "{wall:?}");
        }
    }
}
