//! How a call is let in while Redis is away: rates are counted here, money comes from the reserve.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::hold::{SharedHold, Stock, Taken};
use super::ours::Books;
use super::question::{Wish, push_distinct};
use super::{Replica, away};
use crate::attempt::Blocked;
use crate::counters::{Grant, Refused};
use crate::local::LocalHold;
use crate::need::Need;
use crate::rule::{Counter, Rule};
use crate::shard::Key;

impl Replica {
    /// Lets a call in without Redis, if it may.
    pub(super) fn set_aside(
        self: &Arc<Self>,
        rules: &[Rule],
        need: &Need,
    ) -> Result<(SharedHold, Grant), Refused> {
        if self.settings.fail_closed && rules.iter().any(|rule| rule.counter != Counter::Money) {
            return Err(away());
        }
        // Money first: a call that waits for Redis asks again and again, and must not use up its rates by that.
        let (taken, output) = self.take_aside(Wish { rules, need, first: None, had: None })?;
        match self.count_here(rules, need) {
            Ok(local) => {
                let remaining = rules.iter().map(|rule| rule.limit).collect();
                Ok((SharedHold::new(self, taken, local), Grant { output, remaining }))
            }
            Err(refused) => {
                drop(SharedHold::new(self, taken, None));
                Err(refused)
            }
        }
    }

    /// Fits a hold without Redis. Rates that only a fallback has are not counted then.
    pub(super) fn fit_aside(
        &self,
        stock: &Stock,
        rules: &[Rule],
        need: &Need,
        spent: u64,
    ) -> Result<u64, Refused> {
        let before = stock.taken();
        let wish = Wish { rules, need, first: None, had: Some((&before, spent)) };
        let (taken, output) = self.take_aside(wish)?;
        stock.turn(&before, taken, spent);
        Ok(output)
    }

    /// Rates by this replica's share of them.
    fn count_here(&self, rules: &[Rule], need: &Need) -> Result<Option<LocalHold>, Refused> {
        let (places, rates): (Vec<usize>, Vec<&Rule>) = (0..)
            .zip(rules)
            .filter(|(_, rule)| matches!(rule.counter, Counter::Requests | Counter::Tokens))
            .unzip();
        if rates.is_empty() {
            return Ok(None);
        }
        let replicas = self.replicas.load(Ordering::Relaxed);
        let mut books = self.books.lock();
        let share = |rule: &&Rule| Rule {
            limit: books.rates.share(rule, rule.takes(need.tokens), replicas),
            ..Rule::clone(rule)
        };
        let shares: Vec<Rule> = rates.iter().map(share).collect();
        match self.local.attempt(&shares, need, &mut None, None) {
            Ok((hold, _)) => {
                rates.iter().for_each(|rule| books.let_in(Key::of(rule), rule.takes(need.tokens)));
                Ok(Some(hold))
            }
            Err(blocked) => Err(match Blocked::into_refused(blocked) {
                Refused::Full { rule, taken, resets_in } => {
                    // What others may let in is taken here.
                    let others =
                        rates.get(rule).zip(shares.get(rule)).map_or(0, |(all, own)| all.limit - own.limit);
                    let rule = places.get(rule).copied().unwrap_or(rule);
                    Refused::Full { rule, taken: taken + others, resets_in }
                }
                Refused::Away(err) => Refused::Away(err),
            }),
        }
    }

    /// Permits by what runs here, money from the reserve: of all rules or of none.
    fn take_aside(&self, wish: Wish<'_>) -> Result<(Vec<Taken>, u64), Refused> {
        let mut books = self.books.lock();
        let output = self.covered(&mut books, wish)?;
        permits(&mut books, wish)?;
        let mut taken = Vec::new();
        for rule in wish.rules {
            let one = wish.taken(rule, output);
            let before = wish.had(&one.key).map_or(0, |had| had.amount);
            let known = wish.had(&one.key).is_some();
            let named_before = taken.iter().any(|other: &Taken| other.key == one.key);
            match rule.counter {
                Counter::Requests | Counter::Tokens if !known => continue,
                Counter::Requests | Counter::Tokens => {}
                Counter::Parallel if known => {}
                Counter::Parallel => {
                    books.of(&one.key, || self.new_life(), Instant::now()).take_permit();
                }
                Counter::Money if named_before => {}
                Counter::Money => {
                    let ours = books.of(&one.key, || self.new_life(), Instant::now());
                    ours.take_from_reserve([before, one.amount]);
                }
            }
            push_distinct(&mut taken, one);
        }
        Ok((taken, output))
    }

    /// The tokens of output that the reserve of every budget covers, with what the call holds of it.
    fn covered(&self, books: &mut Books, wish: Wish<'_>) -> Result<u64, Refused> {
        let Wish { rules, need, .. } = wish;
        let mut output = need.output_cap;
        if need.is_free() {
            return Ok(output);
        }
        let now = Instant::now();
        for rule in rules.iter().filter(|rule| rule.counter == Counter::Money) {
            let key = Key::of(rule);
            let ours = books.known(&key).ok_or_else(away)?;
            let held = wish.had(&key).map_or(0, |had| had.amount);
            let room = ours.reserve(now, self.settings.lease).saturating_add(held);
            let room = room.saturating_sub(wish.spent_of(&key));
            output = output.min(need.covered(room).ok_or_else(away)?);
        }
        if output < need.least_output { Err(away()) } else { Ok(output) }
    }
}

/// Whether this replica's own calls leave a permit.
fn permits(books: &mut Books, wish: Wish<'_>) -> Result<(), Refused> {
    for (place, rule) in wish.rules.iter().enumerate().filter(|(_, rule)| rule.counter == Counter::Parallel) {
        let key = Key::of(rule);
        let running = books.known(&key).map_or(0, |ours| ours.running());
        if running >= rule.limit && wish.had(&key).is_none() {
            return Err(Refused::Full { rule: place, taken: running, resets_in: None });
        }
    }
    Ok(())
}

// === impl Wish ===

impl Wish<'_> {
    fn had(&self, key: &Key) -> Option<&Taken> {
        self.had.and_then(|(had, _)| had.iter().find(|had| had.key == *key))
    }

    /// What the call has spent since it holds of this.
    fn spent_of(&self, key: &Key) -> u64 {
        let since = self.had(key).map(|had| had.since);
        self.had.map_or(0, |(_, spent)| spent - since.unwrap_or(spent).min(spent))
    }

    /// What is taken of a rule for so many tokens of output.
    fn taken(&self, rule: &Rule, output: u64) -> Taken {
        let key = Key::of(rule);
        let had = self.had(&key);
        let before = had.map_or(0, |had| had.amount);
        let amount = match rule.counter {
            Counter::Requests | Counter::Tokens | Counter::Parallel => had.map_or(1, |had| had.amount),
            Counter::Money if self.need.is_free() => before,
            Counter::Money => (self.spent_of(&key) + self.need.cost(output).max(1)).max(before),
        };
        let since = had.map_or_else(|| self.had.map_or(0, |(_, spent)| spent), |had| had.since);
        Taken { key, amount, ends: had.map_or(0, |had| had.ends), since }
    }
}
