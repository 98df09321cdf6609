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
use crate::shard::{Hashed, Shard, Span};
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
    pub(crate) key: Hashed,
    pub(crate) shard: usize,
    pub(crate) amount: u64,
    /// The end of the window that a count was taken in.
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
        let Some(mut shard) = self.shard(place(self.thing(scope, id))) else { return Vec::new() };
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
        let wanted = self.wants(rules, need);
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
        let thing = self.thing(rule.scope, &rule.id);
        let Some(mut shard) = self.shard(place(thing)) else { return };
        let next = shard.known_budget(&Hashed::new(thing, rule)).and_then(|budget| {
            budget.leave(ticket);
            budget.first()
        });
        drop(shard);
        if let Some(waker) = next {
            waker.wake();
        }
    }

    /// What each rule is asked for. Most rules of a call are of the same thing as the one before.
    fn wants(&self, rules: &[Rule], need: &Need) -> SmallVec<[Held; 4]> {
        let mut last: Option<(&Rule, u64)> = None;
        let wants = rules.iter().map(|rule| {
            let thing = match last {
                Some((same, thing)) if same.scope == rule.scope && Arc::ptr_eq(&same.id, &rule.id) => thing,
                Some(_) | None => self.thing(rule.scope, &rule.id),
            };
            last = Some((rule, thing));
            Held {
                key: Hashed::new(thing, rule),
                shard: place(thing),
                amount: rule.takes(need.tokens),
                ends: Ends::Never,
                since: 0,
            }
        });
        wants.collect()
    }

    /// What a hold is where it is fitted to one more attempt, and the tokens that it covers.
    fn refit(
        &self,
        rules: &[Rule],
        need: &Need,
        had: Had<'_>,
    ) -> Result<(u64, SmallVec<[Held; 4]>), Refused> {
        let wanted = self.wants(rules, need);
        let mut locked = self.lock_all(&wanted);
        let (now, mode) = (Now::of(&*self.clock), self.mode);
        let mut attempt = Attempt { rules, need, mode, had, ticket: None, now, wanted, locked: &mut locked };
        let grant = attempt.run().map_err(Blocked::into_refused)?;
        Ok((grant.output, distinct(attempt.wanted)))
    }

    /// Gives back and puts right, a shard at a time.
    fn settle_all<'a>(&self, all: impl Iterator<Item = &'a Held>, used: &Used, now: Now) {
        let mut to_wake: SmallVec<[Waker; 2]> = SmallVec::new();
        let mut locked: Option<(usize, MutexGuard<'_, Shard>)> = None;
        // Requests were counted when they came.
        for held in all.filter(|held| held.key.counter != Counter::Requests) {
            if locked.as_ref().is_none_or(|(place, _)| *place != held.shard) {
                // First, for nobody waits for a lock that holds one which may be behind it.
                drop(locked.take());
                locked = self.shard(held.shard).map(|shard| (held.shard, shard));
            }
            to_wake.extend(locked.as_mut().and_then(|(_, shard)| settle_one(shard, held, used, now)));
        }
        drop(locked);
        to_wake.into_iter().for_each(Waker::wake);
    }

    /// What is hashed of a rule: all that is counted of one thing is in one shard.
    fn thing(&self, scope: &str, id: &str) -> u64 {
        self.hasher.hash_one((scope, id))
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

    fn hold_at_once(&self, rules: &[Rule], need: &Need) -> Option<Result<(LocalHold, Grant), Refused>> {
        match self.attempt(rules, need, &mut None, None) {
            Ok(held) => Some(Ok(held)),
            Err(Blocked::For(refused)) => Some(Err(refused)),
            Err(Blocked::Waits { .. }) => None,
        }
    }

    async fn hold(&self, rules: &[Rule], need: &Need, wait: Duration) -> Result<(LocalHold, Grant), Refused> {
        Claim::new(self, rules, need).within(wait).await
    }

    async fn fit(&self, hold: &LocalHold, rules: &[Rule], need: &Need, spent: Money) -> Result<u64, Refused> {
        let mut held = hold.0.lock();
        let spent = nano(spent);
        let (output, after) = self.refit(rules, need, Had { held: &held, spent })?;
        let named = |one: &Held| after.iter().any(|other| other.key == one.key);
        let (used, now) = (Used { cost: dollars(spent), ..Used::default() }, Now::of(&*self.clock));
        self.settle_all(held.iter().filter(|one| !named(one)), &used, now);
        *held = after;
        Ok(output)
    }

    fn settle(&self, hold: &LocalHold, used: Used) {
        let held = std::mem::take(&mut *hold.0.lock());
        self.settle_all(held.iter(), &used, Now::of(&*self.clock));
    }

    fn reset(&self, reset: Reset) {
        let Reset { scope, id, period, spent, turn } = reset;
        let Some(mut shard) = self.shard(place(self.thing(scope, &id))) else { return };
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

/// The shard of a thing: by bits that a map of one shard does not look at.
fn place(thing: u64) -> usize {
    (thing >> 32) as usize % SHARDS
}

/// Answers whom to wake.
fn settle_one(shard: &mut Shard, held: &Held, used: &Used, now: Now) -> Option<Waker> {
    match held.key.counter {
        Counter::Requests => {}
        Counter::Parallel => shard.known_count(&held.key, now)?.give(held.amount),
        Counter::Tokens => {
            shard.known_count(&held.key, now)?.put_right(held.amount, held.ends, used.tokens);
        }
        Counter::Money => {
            let budget = shard.known_budget(&held.key)?;
            budget.settle(held.amount, nano(used.cost).saturating_sub(held.since), used.output);
            return budget.first();
        }
    }
    None
}

/// A budget that is named twice was taken from once, and books what the call costs once.
fn distinct(wanted: SmallVec<[Held; 4]>) -> SmallVec<[Held; 4]> {
    if wanted.iter().filter(|held| held.key.counter == Counter::Money).count() < 2 {
        return wanted;
    }
    let mut kept: SmallVec<[Held; 4]> = SmallVec::new();
    for held in wanted {
        if held.key.counter != Counter::Money || kept.iter().all(|other| other.key != held.key) {
            kept.push(held);
        }
    }
    kept
}
