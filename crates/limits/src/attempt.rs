//! One attempt at taking all that a call needs, behind the locks.

use std::time::Duration;

use smallvec::SmallVec;

use crate::budget::{Mode, Offer, Ticket};
use crate::counters::{Grant, Refused};
use crate::local::{Held, Locked};
use crate::need::Need;
use crate::rule::{Counter, Rule};
use crate::time::Now;

/// When a call that found no permit, or no money that others do not hold, should ask again: nobody knows when that
/// comes back.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Takes from all rules or from none.
pub(crate) struct Attempt<'a, 'l> {
    pub(crate) rules: &'a [Rule],
    pub(crate) need: &'a Need,
    pub(crate) mode: Mode,
    /// Its place, where it waited before.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) now: Now,
    /// What each rule is asked for, and then what was taken.
    pub(crate) wanted: SmallVec<[Held; 4]>,
    pub(crate) locked: &'a mut Locked<'l>,
}

/// What is in the way.
#[derive(Debug)]
pub(crate) enum Blocked {
    /// It is in vain.
    For(Refused),
    /// Others hold what it needs of this rule's budget.
    Waits { rule: usize, refused: Refused },
}

// === impl Attempt ===

impl Attempt<'_, '_> {
    /// Budgets are only looked at first, because they may ask to wait, and who waits holds nothing else.
    pub(crate) fn run(&mut self) -> Result<Grant, Blocked> {
        let output = self.look_at_budgets()?;
        let mut remaining = SmallVec::new();
        for place in 0..self.rules.len() {
            match self.take(place, output) {
                Ok(left) => remaining.push(left),
                Err(refused) => {
                    self.give_back(place);
                    return Err(Blocked::For(refused));
                }
            }
        }
        Ok(Grant { output, remaining })
    }

    /// The tokens that every budget has room for.
    fn look_at_budgets(&mut self) -> Result<u64, Blocked> {
        let mut output = self.need.output_cap;
        if self.need.is_free() {
            return Ok(output);
        }
        let mut waits = None;
        for (place, (rule, want)) in self.rules.iter().zip(&self.wanted).enumerate() {
            if rule.counter != Counter::Money {
                continue;
            }
            let Some(shard) = self.locked.of(want.shard) else { continue };
            let budget = shard.budget(&want.key, rule, self.now);
            let refused = |resets_in| Refused::Full { rule: place, taken: budget.taken(), resets_in };
            match budget.offer(rule.limit, self.need, self.ticket, self.mode) {
                Offer::Tokens(tokens) => output = output.min(tokens),
                Offer::Nothing => return Err(Blocked::For(refused(budget.ends().left(self.now)))),
                Offer::Later if waits.is_none() => {
                    waits = Some(Blocked::Waits { rule: place, refused: refused(Some(ASK_AGAIN)) })
                }
                Offer::Later => {}
            }
        }
        match waits {
            Some(blocked) => Err(blocked),
            None => Ok(output),
        }
    }

    fn take(&mut self, place: usize, output: u64) -> Result<u64, Refused> {
        let (Some(rule), Some(want)) = (self.rules.get(place), self.wanted.get(place)) else { return Ok(0) };
        let Some(shard) = self.locked.of(want.shard) else { return Ok(0) };
        if rule.counter == Counter::Money {
            let named_before = self.wanted.iter().take(place).any(|other| other.key == want.key);
            let budget = shard.budget(&want.key, rule, self.now);
            let amount = match self.need.is_free() || named_before {
                true => 0,
                false => budget.take(self.need, output, self.mode),
            };
            let left = rule.limit.saturating_sub(budget.taken());
            self.took(place, amount);
            return Ok(left);
        }
        let count = shard.count(&want.key, &rule.window, self.now);
        let (ends, after) = (count.ends, count.used.saturating_add(want.amount));
        if after > rule.limit {
            let resets_in = match rule.counter {
                Counter::Parallel => Some(ASK_AGAIN),
                Counter::Requests | Counter::Tokens | Counter::Money => ends.left(self.now),
            };
            return Err(Refused::Full { rule: place, taken: count.used, resets_in });
        }
        count.used = after;
        if let Some(want) = self.wanted.get_mut(place) {
            want.ends = ends;
        }
        Ok(rule.limit - after)
    }

    fn took(&mut self, place: usize, amount: u64) {
        if let Some(want) = self.wanted.get_mut(place) {
            want.amount = amount;
        }
    }

    /// What the rules before this one have given. A call that is refused was never there, so budgets book nothing.
    fn give_back(&mut self, place: usize) {
        for taken in self.wanted.iter().take(place) {
            let Some(shard) = self.locked.of(taken.shard) else { continue };
            match taken.key.counter {
                Counter::Money => {
                    shard
                        .known_budget(&taken.key)
                        .into_iter()
                        .for_each(|budget| budget.settle(taken.amount, 0, None));
                }
                Counter::Requests | Counter::Tokens | Counter::Parallel => {
                    shard
                        .known_count(&taken.key, self.now)
                        .into_iter()
                        .for_each(|count| count.give(taken.amount));
                }
            }
        }
    }
}
