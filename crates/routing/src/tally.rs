//! Two counts of one period, which begin anew with the next.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A period (12 bits), a small count (22 bits) and a large one (30 bits) in one word; counts stay at their largest.
#[derive(Default)]
pub(crate) struct Tally(AtomicU64);

const PERIOD: u64 = (1 << 12) - 1;
const SMALL: u64 = (1 << 22) - 1;
const LARGE: u64 = (1 << 30) - 1;

// === impl Tally ===

impl Tally {
    /// Adds to the counts of this period, and answers what they are now.
    pub(crate) fn add(&self, period: u64, (small, large): (u64, u64)) -> (u64, u64) {
        self.change(period, |counts| (counts.0.saturating_add(small), counts.1.saturating_add(large)))
    }

    /// Takes one from the small count of this period, where there is one.
    pub(crate) fn take_one_back(&self, period: u64) {
        self.change(period, |counts| (counts.0.saturating_sub(1), counts.1));
    }

    /// Sets the counts of this period.
    pub(crate) fn set(&self, period: u64, counts: (u64, u64)) {
        self.change(period, |_| counts);
    }

    /// The counts of this period.
    pub(crate) fn read(&self, period: u64) -> (u64, u64) {
        unpack(self.0.load(Relaxed), period)
    }

    /// The large count of this period.
    pub(crate) fn large(&self, period: u64) -> u64 {
        let word = self.0.load(Relaxed);
        if word >> 52 == period & PERIOD { word & LARGE } else { 0 }
    }

    fn change(&self, period: u64, change: impl Fn((u64, u64)) -> (u64, u64)) -> (u64, u64) {
        let mut now = (0, 0);
        let _: Result<u64, u64> = self.0.fetch_update(Relaxed, Relaxed, |word| {
            let (small, large) = change(unpack(word, period));
            now = (small.min(SMALL), large.min(LARGE));
            Some((period & PERIOD) << 52 | now.0 << 30 | now.1)
        });
        now
    }
}

fn unpack(word: u64, period: u64) -> (u64, u64) {
    match word >> 52 == period & PERIOD {
        true => (word >> 30 & SMALL, word & LARGE),
        false => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_for_a_word_is_the_most_it_holds() {
        let tally = Tally::default();
        assert_eq!(tally.add(7, (1, u64::MAX)), (1, LARGE));
        assert_eq!(tally.add(7, (u64::MAX, u64::MAX)), (SMALL, LARGE));
        assert_eq!(tally.add(8, (1, 2)), (1, 2));
    }
}
