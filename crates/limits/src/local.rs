//! Counts in this process.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use gatewright_core::{Clock, Money};
use smallvec::SmallVec;

use crate::attempt::{Attempt, Blocked, Had};
use crate::budget::{Mode, Ticket};
use crate::claim::Claim;
use crate::counters::{Counters, Grant, Refused, Reset, Used};
use crate::need::Need;
use crate::rule::{Counter, Rule, dollars, nano};
use crate::shard::{Key, Shard, Span};
use crate::sync::{Mutex, MutexGuard};
use crate::time::{Ends, Now};

/// A power of two: callers that share no limit seldom share a lock.
const SHARDS: usize = 64;

/// Counts in this process.
///
/// Windows that roll start with the first call in them, as LiteLLM's do. So a limit is never passed within a window
/// and all of it is there again when the window ends, which is what `retry-after` says; in the time of a window across
/// its end, twice the limit can pass.
pub struct Local {
    clock: Arc<dyn Clock>,
    mode: Mode,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    tickets: AtomicU64,
}

/// What a call has taken from counts in this process.
pub struct LocalHold(pub(crate) Mutex<SmallVec<[Held; 4]>>);

pub(crate) struct Held {
    pub(crate) key: Key,
    pub(crate) shard: usize,
    pub(crate) amount: u64,
    /// The end of the window that it was taken in.
    pub(crate) ends: Ends,
    /// What the call had spent when it was taken.
    pub(crate) since: u64,
}

/// What is known about one budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The name of its period; `None` where it never ends or rolls.
    pub period: Option<Arc<str>>,
    /// What calls that ended have cost.
    pub settled: Money,
    /// What calls that run hold.
    pub held: Money,
    /// How many run.
    pub running: u32,
    /// How many wait.
    pub waiting: usize,
}

/// The shards that one call needs.
pub(crate) struct Locked<'a>(SmallVec<[(usize, MutexGuard<'a, Shard>); 4]>);

// === impl Local ===

impl Local {
    /// Nothing counted yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect();
        Self { clock, mode: Mode::Strict, hasher: RandomState::new(), shards, tickets: AtomicU64::new(0) }
    }

    /// Holds money in this way.
    #[must_use]
    pub fn holding(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// How many counts are kept.
    pub fn counts(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// What is known about the budgets of one thing; nothing where no call was counted against them yet.
    pub fn spent(&self, scope: &str, id: &str) -> Vec<Spent> {
        let Some(mut shard) = self.shard(self.place(scope, id)) else { return Vec::new() };
        let told = shard.budgets_of(scope, id).map(|(span, budget)| {
            let figures = budget.figures();
            let period = match span {
                Span::Period(name) => Some(Arc::clone(name)),
                Span::Rolling(_) | Span::Forever => None,
            };
            let (settled, held) = (dollars(figures.settled), dollars(figures.held));
            Spent { period, settled, held, running: figures.running, waiting: figures.waiting }
        });
        told.collect()
    }

    /// Takes all at once, or says what is in the way. Who may wait has a place in the queue then: the one it had, or
    /// one behind all others.
    pub(crate) fn attempt(
        &self,
        rules: &[Rule],
        need: &Need,
        queued: &mut Option<(Ticket, usize)>,
        waiter: Option<&Waker>,
    ) -> Result<(LocalHold, Grant), Blocked> {
        let before = Now::of(&*self.clock);
        let wanted: SmallVec<[Held; 4]> = rules.iter().map(|rule| self.want(rule, need, before)).collect();
        let mut locked = self.lock_all(&wanted);
        // Behind the locks, so that windows never see time run backwards.
        let now = Now::of(&*self.clock);
        let ticket = queued.map(|(ticket, _)| ticket);
        let (mode, had) = (self.mode, Had::default());
        let mut attempt = Attempt { rules, need, mode, had, ticket, now, wanted, locked: &mut locked };
        let result = attempt.run();
        let wanted = attempt.wanted;
        let mut to_wake: Option<Waker> = None;
        let place = match (&result, waiter) {
            (Err(Blocked::Waits { rule, .. }), Some(_)) => Some(*rule),
            _ => None,
        };
        // Only now, so that nobody passes between leaving one queue and standing in another.
        if let Some((ticket, was)) = *queued
            && place != Some(was)
            && let Some(budget) =
                wanted.get(was).and_then(|want| locked.of(want.shard)?.known_budget(&want.key))
        {
            budget.leave(ticket);
            to_wake = budget.first();
        }
        *queued = place.zip(waiter).and_then(|(place, waker)| {
            let want = wanted.get(place)?;
            let ticket = ticket.unwrap_or_else(|| self.tickets.fetch_add(1, Ordering::Relaxed));
            locked.of(want.shard)?.known_budget(&want.key)?.queue(ticket, waker);
            Some((ticket, place))
        });
        drop(locked);
        if let Some(waker) = to_wake {
            waker.wake();
        }
        result.map(|grant| (LocalHold(Mutex::new(distinct(wanted))), grant))
    }

    /// Gives up a place in the queue of this rule.
    pub(crate) fn leave(&self, rule: &Rule, ticket: Ticket) {
        let Some(mut shard) = self.shard(self.place(rule.scope, &rule.id)) else { return };
        let next = shard.known_budget(&Key::of(rule)).and_then(|budget| {
            budget.leave(ticket);
            budget.first()
        });
        drop(shard);
        if let Some(waker) = next {
            waker.wake();
        }
    }

    fn want(&self, rule: &Rule, need: &Need, now: Now) -> Held {
        let shard = self.place(rule.scope, &rule.id);
        Held {
            key: Key::of(rule),
            shard,
            amount: rule.takes(need.tokens),
            ends: Ends::of(&rule.window, now),
            since: 0,
        }
    }

    /// What a hold is where it is fitted to one more attempt, and the tokens that it covers.
    fn refit(
        &self,
        rules: &[Rule],
        need: &Need,
        had: Had<'_>,
    ) -> Result<(u64, SmallVec<[Held; 4]>), Refused> {
        let before = Now::of(&*self.clock);
        let wanted: SmallVec<[Held; 4]> = rules.iter().map(|rule| self.want(rule, need, before)).collect();
        let mut locked = self.lock_all(&wanted);
        let (now, mode) = (Now::of(&*self.clock), self.mode);
        let mut attempt = Attempt { rules, need, mode, had, ticket: None, now, wanted, locked: &mut locked };
        let grant = attempt.run().map_err(Blocked::into_refused)?;
        Ok((grant.output, distinct(attempt.wanted)))
    }

    fn settle_one(&self, held: &Held, used: &Used, now: Now) {
        let Some(mut shard) = self.shard(held.shard) else { return };
        let mut next = None;
        match held.key.counter {
            Counter::Requests => {}
            Counter::Parallel => {
                if let Some(count) = shard.known_count(&held.key, now) {
                    count.give(held.amount);
                }
            }
            Counter::Tokens => {
                if let Some(count) = shard.known_count(&held.key, now) {
                    count.put_right(held.amount, held.ends, used.tokens);
                }
            }
            Counter::Money => {
                if let Some(budget) = shard.known_budget(&held.key) {
                    budget.settle(held.amount, nano(used.cost).saturating_sub(held.since), used.output);
                    next = budget.first();
                }
            }
        }
        drop(shard);
        if let Some(waker) = next {
            waker.wake();
        }
    }

    fn place(&self, scope: &str, id: &str) -> usize {
        self.hasher.hash_one((scope, id)) as usize % SHARDS
    }

    fn shard(&self, place: usize) -> Option<MutexGuard<'_, Shard>> {
        self.shards.get(place).map(Mutex::lock)
    }

    /// In the order of the shards: two calls that want the same ones never wait for each other.
    fn lock_all(&self, wanted: &[Held]) -> Locked<'_> {
        let mut places: SmallVec<[usize; 8]> = wanted.iter().map(|want| want.shard).collect();
        places.sort_unstable();
        places.dedup();
        Locked(places.into_iter().filter_map(|place| Some((place, self.shard(place)?))).collect())
    }
}

impl Counters for Local {
    type Hold = LocalHold;

    async fn hold(&self, rules: &[Rule], need: &Need, wait: Duration) -> Result<(LocalHold, Grant), Refused> {
        Claim::new(self, rules, need).within(wait).await
    }

    async fn fit(&self, hold: &LocalHold, rules: &[Rule], need: &Need, spent: Money) -> Result<u64, Refused> {
        let mut held = hold.0.lock();
        let spent = nano(spent);
        let (output, after) = self.refit(rules, need, Had { held: &held, spent })?;
        let named = |one: &Held| after.iter().any(|other| other.key == one.key);
        let (used, now) = (Used { cost: dollars(spent), ..Used::default() }, Now::of(&*self.clock));
        held.iter().filter(|one| !named(one)).for_each(|one| self.settle_one(one, &used, now));
        *held = after;
        Ok(output)
    }

    fn settle(&self, hold: &LocalHold, used: Used) {
        let now = Now::of(&*self.clock);
        for held in std::mem::take(&mut *hold.0.lock()) {
            self.settle_one(&held, &used, now);
        }
    }

    fn reset(&self, reset: Reset) {
        let Reset { scope, id, period, spent, turn } = reset;
        let Some(mut shard) = self.shard(self.place(scope, &id)) else { return };
        let mut waiting: SmallVec<[Waker; 4]> = SmallVec::new();
        for (span, budget) in shard.budgets_of(scope, &id) {
            let spent = nano(spent);
            let spent = if span.is_called(period.as_deref()) { spent } else { spent.min(budget.settled()) };
            budget.reset(spent, turn);
            waiting.extend(budget.first());
        }
        drop(shard);
        waiting.into_iter().for_each(Waker::wake);
    }
}

// === impl Locked ===

impl Locked<'_> {
    pub(crate) fn of(&mut self, place: usize) -> Option<&mut Shard> {
        self.0.iter_mut().find(|(at, _)| *at == place).map(|(_, shard)| &mut **shard)
    }
}

/// A budget that is named twice was taken from once, and books what the call costs once.
fn distinct(wanted: SmallVec<[Held; 4]>) -> SmallVec<[Held; 4]> {
    let mut kept: SmallVec<[Held; 4]> = SmallVec::new();
    for held in wanted {
        if held.key.counter != Counter::Money || kept.iter().all(|other| other.key != held.key) {
            kept.push(held);
        }
    }
    kept
}
