//! One attempt at taking all that a call needs, behind the locks.

use std::time::Duration;

use smallvec::SmallVec;

use crate::budget::{Mode, Offer, Stake, Ticket};
use crate::counters::{Grant, Refused};
use crate::local::{Held, Locked};
use crate::need::Need;
use crate::rule::{Counter, Rule};
use crate::shard::Hashed;
use crate::time::{Ends, Now};

/// When a call that found no permit, or no money that others do not hold, should ask again: nobody knows when that
/// comes back.
pub(crate) const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Takes from all rules or from none.
pub(crate) struct Attempt<'a, 'l> {
    pub(crate) rules: &'a [Rule],
    pub(crate) need: &'a Need,
    pub(crate) mode: Mode,
    pub(crate) had: Had<'a>,
    /// Its place, where it waited before.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) now: Now,
    /// What each rule is asked for, and then what was taken.
    pub(crate) wanted: SmallVec<[Held; 4]>,
    pub(crate) locked: &'a mut Locked<'l>,
}

/// What a call that runs has already; one that asks to be let in has nothing.
#[derive(Clone, Copy, Default)]
pub(crate) struct Had<'a> {
    pub(crate) held: &'a [Held],
    /// What its attempts have cost so far.
    pub(crate) spent: u64,
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
            let offer = match self.had.held.is_empty() {
                true => budget.offer(rule.limit, self.need, self.ticket, self.mode),
                false => budget.offer_more(rule.limit, self.need, self.had.stake(&want.key), self.mode),
            };
            match offer {
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
            let stake = self.had.stake(&want.key);
            let amount = match (named_before, self.need.is_free()) {
                (true, _) => 0,
                (false, true) => stake.held,
                (false, false) => budget.raise(self.need, stake, output, self.mode),
            };
            let left = rule.limit.saturating_sub(budget.taken());
            self.took(place, amount);
            return Ok(left);
        }
        if let Some(had) = self.had.of(&want.key) {
            let (amount, ends) = (had.amount, had.ends);
            let left = shard.known_count(&want.key, self.now).map_or(0, |count| count.used);
            self.keep(place, amount, ends);
            return Ok(rule.limit.saturating_sub(left));
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
        let since = |key: &Hashed| self.had.of(key).map_or(self.had.spent, |had| had.since);
        if let Some(want) = self.wanted.get_mut(place) {
            (want.amount, want.since) = (amount, since(&want.key));
        }
    }

    fn keep(&mut self, place: usize, amount: u64, ends: Ends) {
        if let Some(want) = self.wanted.get_mut(place) {
            (want.amount, want.ends) = (amount, ends);
        }
    }

    /// What the rules before this one have given. A call that is refused was never there, so budgets book nothing.
    fn give_back(&mut self, place: usize) {
        for taken in self.wanted.iter().take(place) {
            let Some(shard) = self.locked.of(taken.shard) else { continue };
            let before = self.had.stake(&taken.key).held;
            match taken.key.counter {
                Counter::Money => {
                    if let Some(budget) = shard.known_budget(&taken.key) {
                        budget.lower(taken.amount, before);
                    }
                }
                Counter::Requests | Counter::Tokens | Counter::Parallel => {
                    if let Some(count) = shard.known_count(&taken.key, self.now) {
                        count.give(taken.amount - before);
                    }
                }
            }
        }
    }
}

// === impl Had ===

impl Had<'_> {
    fn of(&self, key: &Hashed) -> Option<&Held> {
        self.held.iter().find(|held| held.key == *key)
    }

    fn stake(&self, key: &Hashed) -> Stake {
        let of = |had: &Held| Stake { held: had.amount, spent: self.spent.saturating_sub(had.since) };
        self.of(key).map(of).unwrap_or_default()
    }
}
