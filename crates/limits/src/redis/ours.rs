//! What this replica holds of every shared count, and what it has to tell about that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::gate::Gate;
use super::rates::Rates;
use crate::counters::Reset;
use crate::recent::Recent;
use crate::rule::Counter;
use crate::shard::Key;

/// Reserves of budgets that nobody asked for go back after this.
const IDLE: Duration = Duration::from_secs(10);

/// What is held is told again so often, so that it does not expire.
pub(super) const RENEW: Duration = Duration::from_secs(2);

/// What nobody used for so long is forgotten, once Redis knows all of it.
const FORGET: Duration = Duration::from_secs(600);

/// Everything that this replica knows of shared counts.
#[derive(Default)]
pub(super) struct Books {
    held: HashMap<Key, Ours>,
    /// What Redis has to be told about windows.
    pub(super) amends: HashMap<Key, Vec<Amend>>,
    /// What Redis told of rates.
    pub(super) rates: Rates,
    /// Budgets whose spend an administrator has set.
    pub(super) resets: Vec<Reset>,
    swept: Option<Instant>,
}

/// A difference to what was counted in a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amend {
    pub(super) taken_in: i64,
    pub(super) difference: i64,
    pub(super) excess: u64,
}

/// What this replica holds of one budget, or of the permits of one gate.
pub(super) struct Ours {
    /// Since when it is known here. Redis tells by that whether what it hears is of this process, or of an earlier one.
    life: u64,
    /// What Redis said last of the budget itself.
    known: Known,
    /// All that was settled, given back and ended since its life began. Only ever grows.
    settled: u64,
    released: u64,
    ended: u64,
    /// What calls hold that run.
    held: u64,
    running: u64,
    /// What may be spent while Redis is away.
    reserve: u64,
    /// The reserve that is on its way to Redis, to be put to use there.
    lent: u64,
    pub(super) recent: Recent,
    pub(super) gate: Arc<Gate>,
    /// Grows with every change of what is said.
    version: u64,
    /// How many waited when it was said last.
    waiting: u32,
    /// What Redis knows.
    told: Said,
    told_at: Option<Instant>,
    asked_at: Instant,
    ends: i64,
    seed: u64,
    news: News,
    /// What was settled when the seed came.
    settled_before: u64,
}

/// What ended of a budget.
#[derive(Default)]
pub(super) struct Settled {
    /// What was held.
    pub(super) amount: u64,
    /// The calls that held it, and hold nothing of it any more.
    pub(super) running: u64,
    pub(super) cost: u64,
    pub(super) output: Option<u64>,
    /// What is left of the hold goes into the reserve, for Redis is away.
    pub(super) keep: bool,
}

/// What Redis says of a budget, so that it can be told when Redis has lost it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) born: i64,
    pub(super) base: i64,
    pub(super) ends: i64,
}

/// What a replica says of itself and of a count, in the order in which the scripts read it.
pub(super) struct Statement {
    pub(super) said: Said,
    pub(super) numbers: [i64; 15],
}

/// Whether what the ledger says of a budget can be compared with what is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum News {
    /// It was looked up before calls that are counted since.
    #[default]
    None = 0,
    /// Nothing was settled here since it was looked up.
    Unchanged = 1,
    /// It was looked up just now.
    Changed = 2,
}

/// Which state of a count was said, and how many waited then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    version: u64,
    waiting: u32,
}

// === impl Books ===

impl Books {
    /// The entry of a count that a call asks for.
    pub(super) fn of(&mut self, key: &Key, life: impl FnOnce() -> u64, now: Instant) -> &mut Ours {
        let ours = self.held.entry(key.clone()).or_insert_with(|| Ours::new(life(), now));
        ours.asked_at = now;
        ours
    }

    pub(super) fn known(&mut self, key: &Key) -> Option<&mut Ours> {
        self.held.get_mut(key)
    }

    /// What Redis has to hear: what changed, and what must not expire.
    pub(super) fn due(&mut self, now: Instant, all: bool) -> Vec<Key> {
        for ours in self.held.values_mut() {
            if ours.reserve > 0 && (all || now.duration_since(ours.asked_at) > IDLE) {
                ours.give_reserve();
            }
        }
        self.sweep(now);
        self.held.iter().filter(|(_, ours)| ours.is_due(now)).map(|(key, _)| key.clone()).collect()
    }

    /// Puts right what was counted in a window.
    pub(super) fn amend(&mut self, key: Key, taken_in: i64, counted: u64, used: u64) {
        let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
        let difference = signed(used) - signed(counted);
        if difference == 0 {
            return;
        }
        self.put_right(key, Amend { taken_in, difference, excess: used.saturating_sub(counted) });
    }

    fn put_right(&mut self, key: Key, amend: Amend) {
        let amends = self.amends.entry(key).or_default();
        match amends.iter_mut().find(|other| other.taken_in == amend.taken_in) {
            Some(other) => {
                other.difference = other.difference.saturating_add(amend.difference);
                other.excess = other.excess.saturating_add(amend.excess);
            }
            None => amends.push(amend),
        }
    }

    /// What was let in without asking counts in its window, if that still runs when Redis hears of it.
    pub(super) fn let_in(&mut self, key: Key, amount: u64) {
        let Some(taken_in) = self.rates.ends(&key) else { return };
        let difference = i64::try_from(amount).unwrap_or(i64::MAX);
        self.put_right(key, Amend { taken_in, difference, excess: 0 });
    }

    pub(super) fn give_permit(&mut self, key: &Key) {
        if let Some(ours) = self.held.get_mut(key) {
            ours.running = ours.running.saturating_sub(1);
            ours.ended += 1;
            ours.version += 1;
        }
    }

    /// Books what a call cost, and gives back what it held.
    pub(super) fn settle(&mut self, key: &Key, settled: Settled) {
        let Settled { amount, running, cost, output, keep } = settled;
        let Some(ours) = self.held.get_mut(key) else { return };
        ours.held = ours.held.saturating_sub(amount);
        ours.running = ours.running.saturating_sub(running);
        ours.ended += running;
        let kept = if keep { amount.saturating_sub(cost) } else { 0 };
        ours.reserve += kept;
        ours.released += amount - kept;
        ours.settled = ours.settled.saturating_add(cost);
        ours.version += 1;
        if let Some(tokens) = output {
            ours.recent.add(tokens);
        }
        ours.gate.tell();
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.duration_since(swept) < FORGET / 10) {
            return;
        }
        self.swept = Some(now);
        self.rates.sweep();
        self.held.retain(|_, ours| ours.matters(now));
    }
}

// === impl Ours ===

impl Ours {
    fn new(life: u64, now: Instant) -> Self {
        Self {
            life,
            known: Known::default(),
            settled: 0,
            released: 0,
            ended: 0,
            held: 0,
            running: 0,
            reserve: 0,
            lent: 0,
            recent: Recent::default(),
            gate: Arc::default(),
            version: 0,
            waiting: 0,
            told: Said::default(),
            told_at: None,
            asked_at: now,
            ends: 0,
            seed: 0,
            news: News::None,
            settled_before: 0,
        }
    }

    /// What a rule says of it: when it ends, and what was spent.
    pub(super) fn ruled(&mut self, ends: i64, seed: u64) {
        self.news = match (seed == self.seed, self.settled == self.settled_before) {
            (false, _) => News::Changed,
            (true, true) => News::Unchanged,
            (true, false) => News::None,
        };
        if self.news == News::Changed {
            self.settled_before = self.settled;
        }
        (self.ends, self.seed) = (ends, seed);
    }

    /// What it says of itself.
    pub(super) fn statement(&mut self, counter: Counter) -> Statement {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let keep = match counter {
            Counter::Money => 7 * 86_400_000,
            Counter::Requests | Counter::Tokens | Counter::Parallel => 3_600_000,
        };
        let Known { born, base, ends } = self.known;
        let held = self.held.saturating_add(self.reserve).saturating_add(self.lent);
        if self.gate.waiting() != self.waiting {
            self.waiting = self.gate.waiting();
            self.version += 1;
        }
        let said = Said { version: self.version, waiting: self.waiting };
        let numbers = [
            self.ends,
            signed(self.seed),
            std::mem::take(&mut self.news) as i64,
            keep,
            born,
            base,
            ends,
            signed(self.life),
            signed(self.settled),
            signed(self.released),
            signed(self.ended),
            signed(held),
            signed(self.running),
            i64::from(said.waiting),
            signed(said.version),
        ];
        Statement { said, numbers }
    }

    /// Puts the reserve into a question.
    pub(super) fn lend(&mut self) -> u64 {
        let lent = std::mem::take(&mut self.reserve);
        self.lent += lent;
        lent
    }

    /// The question took nothing: what was lent is here again.
    pub(super) fn return_loan(&mut self, lent: u64) {
        self.lent = self.lent.saturating_sub(lent);
        self.reserve += lent;
    }

    /// Redis took so much for a call that held this before, in exchange for what was lent, and gave this in reserve.
    pub(super) fn granted(&mut self, lent: u64, [before, after]: [u64; 2], extra: u64) {
        self.lent = self.lent.saturating_sub(lent);
        self.reserve += extra;
        self.raise(before, after);
    }

    pub(super) fn permitted(&mut self) {
        self.running += 1;
    }

    /// Takes a permit without asking.
    pub(super) fn take_permit(&mut self) {
        self.permitted();
        self.version += 1;
    }

    /// Takes for a call that held this before from the reserve.
    pub(super) fn take_from_reserve(&mut self, [before, after]: [u64; 2]) {
        self.reserve = self.reserve.saturating_sub(after.saturating_sub(before));
        self.raise(before, after);
        self.version += 1;
    }

    fn raise(&mut self, before: u64, after: u64) {
        self.held += after.saturating_sub(before);
        self.running += u64::from(before == 0 && after > 0);
    }

    /// Gives the reserve back.
    pub(super) fn give_reserve(&mut self) {
        if self.reserve > 0 {
            self.released += std::mem::take(&mut self.reserve);
            self.version += 1;
        }
    }

    /// Redis has heard this.
    pub(super) fn heard(&mut self, said: Said, sent: Instant) {
        if said.version >= self.told.version {
            self.told = said;
        }
        self.told_at = self.told_at.max(Some(sent));
    }

    pub(super) fn learn(&mut self, known: Known) {
        self.known = known;
    }

    /// What may be spent without asking, as long as nobody may think that this replica is gone.
    pub(super) fn reserve(&self, now: Instant, lease: Duration) -> u64 {
        let safe = self.told_at.is_some_and(|told| now.duration_since(told) < lease * 3 / 4);
        if safe { self.reserve } else { 0 }
    }

    pub(super) fn running(&self) -> u64 {
        self.running
    }

    fn to_say(&self) -> Said {
        Said { version: self.version, waiting: self.gate.waiting() }
    }

    fn is_due(&self, now: Instant) -> bool {
        let holds = self.running > 0 || self.reserve > 0 || self.gate.waiting() > 0;
        let renews = holds && self.told_at.is_none_or(|told| now.duration_since(told) >= RENEW);
        self.to_say() != self.told || renews
    }

    fn matters(&self, now: Instant) -> bool {
        self.to_say() != self.told
            || self.running > 0
            || self.reserve > 0
            || self.lent > 0
            || Arc::strong_count(&self.gate) > 1
            || now.duration_since(self.asked_at) < FORGET
    }
}
