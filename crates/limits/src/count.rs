//! One count of requests, tokens or parallel calls.

use crate::rule::{Counter, Window};
use crate::time::{Ends, Now};

/// What is taken in a window.
#[derive(Clone, Copy)]
pub(crate) struct Count {
    pub(crate) used: u64,
    pub(crate) ends: Ends,
}

impl Count {
    pub(crate) fn new(window: &Window, now: Now) -> Self {
        Self { used: 0, ends: Ends::of(window, now) }
    }

    /// Begins the next window where this one is over, or nothing happened in it.
    pub(crate) fn turn(&mut self, window: &Window, now: Now) {
        let next = Ends::of(window, now);
        if self.used == 0 || self.ends.gives_way_to(next, now) {
            *self = Self { used: 0, ends: next };
        }
    }

    pub(crate) fn give(&mut self, amount: u64) {
        self.used = self.used.saturating_sub(amount);
    }

    /// Tokens that were held too many go back to the window that they came from. Those that were too few count
    /// against the window that runs now: a long answer must not be free because its window is over.
    pub(crate) fn put_right(&mut self, held: u64, taken_in: Ends, used: u64) {
        if self.ends == taken_in {
            self.give(held);
            self.used = self.used.saturating_add(used);
        } else {
            self.used = self.used.saturating_add(used.saturating_sub(held));
        }
    }

    /// Whether it says anything that an absent one does not.
    pub(crate) fn matters(&self, counter: Counter, now: Now) -> bool {
        self.used > 0 && (counter == Counter::Parallel || !self.ends.has_passed(now))
    }
}
