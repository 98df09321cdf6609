//! One budget: what is settled, what is held, and who waits.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::task::Waker;

use crate::need::Need;
use crate::recent::Recent;
use crate::rule::{Rule, nano};
use crate::time::{Ends, Now};

/// So many calls of one budget may run where their answers, should each cost twice what is held for it, would pass the
/// limit. Nobody can hold an upstream to its cap; so what is spent beyond a budget is bounded by what the last calls
/// cost beyond their holds, however many wait.
pub(crate) const LAST_CALLS: u32 = 8;

/// How much a budget holds for a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The most that it can cost: as long as upstreams keep to their caps, a budget is never passed.
    #[default]
    Strict,
    /// What 95 of 100 recent answers under the same budget did not pass: more calls run at once, and a budget may be
    /// passed by what the longest of those that run cost beyond that.
    Expected,
}

/// A budget that is not worth so many of the least answers takes smaller ones.
const WORTH: u64 = 16;

/// One budget in its period.
pub(crate) struct Budget {
    settled: u64,
    /// What it began with: what is known elsewhere too.
    seed: u64,
    /// The turn in which what is spent was set last.
    set_in: u64,
    held: u64,
    running: u32,
    ends: Ends,
    recent: Recent,
    /// Who waits, in the order of arrival. The first is woken when something may have changed for it.
    queue: BTreeMap<Ticket, Waker>,
}

/// A place in the order of arrival.
pub(crate) type Ticket = u64;

/// What a budget has for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Room for so many tokens of output.
    Tokens(u64),
    /// Nothing now; what is held by others may make room.
    Later,
    /// Nothing in this period.
    Nothing,
}

/// What a call that runs has of a budget.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stake {
    pub(crate) held: u64,
    /// What its attempts have cost since it holds.
    pub(crate) spent: u64,
}

/// What is known about a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) settled: u64,
    pub(crate) held: u64,
    pub(crate) running: u32,
    pub(crate) waiting: usize,
}

// === impl Budget ===

impl Budget {
    /// As its rule knows it.
    pub(crate) fn new(rule: &Rule, now: Now) -> Self {
        let ends = Ends::of(&rule.window, now);
        let seed = seed(rule, ends, now);
        let (recent, queue) = (Recent::default(), BTreeMap::new());
        Self { settled: seed, seed, set_in: rule.turn, held: 0, running: 0, ends, recent, queue }
    }

    /// Begins the next period where this one is over, and anew where what is spent was set elsewhere. What is held goes
    /// over with it: it will be spent in the new one.
    pub(crate) fn turn(&mut self, rule: &Rule, now: Now) {
        let next = Ends::of(&rule.window, now);
        if self.ends.gives_way_to(next, now) {
            (self.settled, self.seed, self.ends) = (0, 0, next);
        }
        if rule.turn > self.set_in {
            self.reset(seed(rule, next, now), rule.turn);
        }
    }

    /// What it has for a call that needs this; `ticket` is its place where it waits already.
    pub(crate) fn offer(&self, limit: u64, need: &Need, ticket: Option<Ticket>, mode: Mode) -> Offer {
        let amount = |tokens| self.amount(need, tokens, mode);
        let least = least(limit, need);
        if self.settled.saturating_add(amount(least)) > limit {
            return Offer::Nothing;
        }
        if self.has_others_before(ticket) {
            return Offer::Later;
        }
        let room = self.room(limit, self.running);
        let cap = self.share(room, need, least);
        self.tokens_in(room, need, least..=cap, mode).map_or(Offer::Later, Offer::Tokens)
    }

    /// What it has for one more attempt of a call that runs. Such a call passes those that wait, for they may wait for
    /// what it holds.
    pub(crate) fn offer_more(&self, limit: u64, need: &Need, stake: Stake, mode: Mode) -> Offer {
        let others = self.running.saturating_sub(u32::from(stake.held > 0));
        let room = self.room(limit, others).saturating_add(stake.held).saturating_sub(stake.spent);
        let tokens = self.tokens_in(room, need, least(limit, need)..=need.output_cap, mode);
        tokens.map_or(Offer::Nothing, Offer::Tokens)
    }

    /// Holds what an attempt with so many tokens needs on top of what its call has spent. Answers what the call holds
    /// then, which is never less than before: a later attempt may be dearer.
    pub(crate) fn raise(&mut self, need: &Need, stake: Stake, tokens: u64, mode: Mode) -> u64 {
        let after = stake.spent.saturating_add(self.amount(need, tokens, mode)).max(stake.held);
        self.held = self.held.saturating_add(after - stake.held);
        self.running += u32::from(stake.held == 0);
        after
    }

    /// Gives back what is held beyond what was held before.
    pub(crate) fn lower(&mut self, held: u64, before: u64) {
        self.held = self.held.saturating_sub(held.saturating_sub(before));
        if held > 0 && before == 0 {
            self.running = self.running.saturating_sub(1);
        }
    }

    /// Books what a call cost in full, and gives back what it held. One that seemed free held nothing.
    pub(crate) fn settle(&mut self, held: u64, cost: u64, output: Option<u64>) {
        self.lower(held, 0);
        self.settled = self.settled.saturating_add(cost);
        if let Some(tokens) = output {
            self.recent.add(tokens);
        }
    }

    /// Sets what is spent in this period.
    pub(crate) fn reset(&mut self, spent: u64, turn: u64) {
        (self.settled, self.seed, self.set_in) = (spent, spent, self.set_in.max(turn));
    }

    pub(crate) fn settled(&self) -> u64 {
        self.settled
    }

    pub(crate) fn queue(&mut self, ticket: Ticket, waker: &Waker) {
        self.queue.insert(ticket, waker.clone());
    }

    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.queue.remove(&ticket);
    }

    /// Who is to look again. It stays in its place until it has what it waits for, or leaves.
    pub(crate) fn first(&self) -> Option<Waker> {
        self.queue.first_key_value().map(|(_, waker)| waker.clone())
    }

    pub(crate) fn ends(&self) -> Ends {
        self.ends
    }

    pub(crate) fn taken(&self) -> u64 {
        self.settled.saturating_add(self.held)
    }

    pub(crate) fn figures(&self) -> Figures {
        let Self { settled, held, running, .. } = *self;
        Figures { settled, held, running, waiting: self.queue.len() }
    }

    /// Whether it says anything that its rule does not.
    pub(crate) fn matters(&self, now: Now) -> bool {
        let spent = self.settled != self.seed && !self.ends.has_passed(now);
        spent || self.running > 0 || !self.queue.is_empty()
    }

    /// What may be held besides what is held, where so many others run.
    fn room(&self, limit: u64, others: u32) -> u64 {
        let left = limit.saturating_sub(self.settled);
        match others {
            ..LAST_CALLS => left.saturating_sub(self.held),
            LAST_CALLS.. => (left / 2).saturating_sub(self.held),
        }
    }

    /// The most of these tokens that fit into this room; the least ones where they just fit.
    fn tokens_in(&self, room: u64, need: &Need, tokens: RangeInclusive<u64>, mode: Mode) -> Option<u64> {
        let (least, cap) = tokens.into_inner();
        let fits = |tokens: &u64| self.amount(need, *tokens, mode) <= room;
        let covered = || need.covered(room).filter(|tokens| *tokens >= least).map(|tokens| tokens.min(cap));
        Some(cap).filter(fits).or_else(covered).or_else(|| Some(least).filter(fits))
    }

    /// What is held for a call. Never nothing, so that whoever holds is seen.
    fn amount(&self, need: &Need, tokens: u64, mode: Mode) -> u64 {
        let expected = match mode {
            Mode::Strict => None,
            Mode::Expected => self.recent.high(),
        };
        need.cost(expected.map_or(tokens, |expected| tokens.min(expected))).max(1)
    }

    /// The cap of one among several that wait: no more than an equal share of the room, but well above what answers
    /// here usually have, so that few are cut short.
    fn share(&self, room: u64, need: &Need, least: u64) -> u64 {
        let waiting = self.queue.len() as u64;
        if waiting < 2 {
            return need.output_cap;
        }
        let usual = self.recent.high().map_or(0, |tokens| tokens.saturating_mul(2));
        let share = need.covered(room / waiting).unwrap_or(0);
        share.max(usual).max(least).min(need.output_cap)
    }

    fn has_others_before(&self, ticket: Option<Ticket>) -> bool {
        match (self.queue.first_key_value(), ticket) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some((first, _)), Some(own)) => *first < own,
        }
    }
}

/// What a rule knows to be spent. In a period that is over it says nothing about this one.
pub(crate) fn seed(rule: &Rule, ends: Ends, now: Now) -> u64 {
    if ends.has_passed(now) { 0 } else { nano(rule.spent) }
}

/// The fewest tokens that a budget of this size grants. A cap that a client chose is not touched.
fn least(limit: u64, need: &Need) -> u64 {
    if need.least_output >= need.output_cap {
        return need.output_cap;
    }
    need.least_output.min(need.covered(limit).unwrap_or(0) / WORTH).max(1)
}
