//! Whether one who helps the cache is asked: after failures not for a while, and then by one call first.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lets calls ask until too many of them fail in a row.
pub(crate) struct Breaker {
    begun: Instant,
    /// So many failures in a row, and nobody asks.
    most: u32,
    /// For so long.
    rest: Duration,
    failures: AtomicU32,
    /// Milliseconds after the begin until nobody asks; zero where all do.
    until: AtomicU64,
}

// === impl Breaker ===

impl Breaker {
    pub(crate) fn new(most: u32, rest: Duration, now: Instant) -> Self {
        Self { begun: now, most, rest, failures: AtomicU32::new(0), until: AtomicU64::new(0) }
    }

    /// Whether this one may ask. After a rest one may, and the others rest on until it got an answer.
    pub(crate) fn lets(&self, now: Instant) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let rested = self.millis(now) >= until;
        let next = self.millis(now + self.rest);
        rested && self.until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// It answered. Says whether nobody was to ask before.
    pub(crate) fn answered(&self) -> bool {
        // Most answers find nothing to change, and then write nothing that other cores read.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        self.until.load(Ordering::Relaxed) != 0 && self.until.swap(0, Ordering::Relaxed) != 0
    }

    /// It did not. Says whether nobody is to ask from now on, and all did before.
    pub(crate) fn failed(&self, now: Instant) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        failures >= self.most && self.until.swap(self.millis(now + self.rest), Ordering::Relaxed) == 0
    }

    fn millis(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.begun).as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(1);

    #[test]
    fn after_a_rest_one_call_asks_for_all() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let breaker = Breaker::new(1, REST, begun);
        assert!(breaker.lets(at(0)) && breaker.lets(at(0)));
        assert!(breaker.failed(at(0)), "told once");
        assert!(!breaker.failed(at(0)));
        assert!(!breaker.lets(at(999)));
        assert!(breaker.lets(at(1000)));
        assert!(!breaker.lets(at(1001)), "another one asks already");
        assert!(breaker.lets(at(2000)), "which never came back");
        assert!(breaker.answered());
        assert!(breaker.lets(at(2001)) && breaker.lets(at(2001)));
        assert!(!breaker.answered());
    }

    #[test]
    fn failures_count_in_a_row() {
        let begun = Instant::now();
        let breaker = Breaker::new(3, REST, begun);
        for _ in 0..4 {
            assert!(!breaker.failed(begun) && !breaker.failed(begun));
            assert!(breaker.lets(begun));
            assert!(!breaker.answered());
        }
        assert!(!breaker.failed(begun) && !breaker.failed(begun) && breaker.failed(begun));
        assert!(!breaker.lets(begun));
        assert!(breaker.lets(begun + REST));
        assert!(!breaker.failed(begun + REST), "the one that tried: it was let alone before");
        assert!(!breaker.lets(begun + REST));
    }
}
