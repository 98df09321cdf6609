//! Whether Redis is asked: after a failure not for a while, and then by one call first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// For so long nobody asks after a failure.
const REST: Duration = Duration::from_secs(1);

/// Lets calls ask until one fails.
pub(crate) struct Breaker {
    begun: Instant,
    /// Milliseconds after the begin until nobody asks; zero where all do.
    until: AtomicU64,
}

// === impl Breaker ===

impl Breaker {
    pub(crate) fn new(now: Instant) -> Self {
        Self { begun: now, until: AtomicU64::new(0) }
    }

    /// Whether this one may ask. After a rest one may, and the others rest on until it got an answer.
    pub(crate) fn lets(&self, now: Instant) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let rested = self.millis(now) >= until;
        let next = self.millis(now + REST);
        rested && self.until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// It answered. Says whether it did not before.
    pub(crate) fn answered(&self) -> bool {
        self.until.load(Ordering::Relaxed) != 0 && self.until.swap(0, Ordering::Relaxed) != 0
    }

    /// It did not. Says whether it did before.
    pub(crate) fn failed(&self, now: Instant) -> bool {
        self.until.swap(self.millis(now + REST), Ordering::Relaxed) == 0
    }

    fn millis(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.begun).as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_rest_one_call_asks_for_all() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let breaker = Breaker::new(begun);
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
}
