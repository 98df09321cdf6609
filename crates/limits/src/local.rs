//! Counts in this process.

use std::collections::HashMap;
use std::future::{Future, ready};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::Clock;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use crate::counters::{Counters, Refused};
use crate::rule::{Counter, Rule};

/// A power of two: callers that share no limit seldom share a lock.
const SHARDS: usize = 64;

/// A shard is swept when it has grown to twice what the last sweep left, but not below this.
const SWEEP_AT: usize = 64;

/// When a call that found no permit should ask again: nobody knows when one comes back.
const PERMIT_WAIT: Duration = Duration::from_secs(1);

/// What a window lasts that is longer than the clock can tell.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Counts in this process, in windows that start with the first call in them, as LiteLLM's do. So a limit is never
/// passed within a window and all of it is there again when the window ends, which is what `retry-after` says; in the
/// time of a window across its end, twice the limit can pass.
pub struct Local {
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

/// What a call has taken from counts in this process.
pub struct LocalHold(SmallVec<[Held; 4]>);

struct Held {
    key: Key,
    shard: usize,
    amount: u64,
    /// The end of the window that it was taken in.
    ends: Instant,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    scope: &'static str,
    id: Arc<str>,
    counter: Counter,
    window: Duration,
}

struct Shard {
    slots: HashMap<Key, Slot>,
    sweep_at: usize,
}

struct Slot {
    used: u64,
    ends: Instant,
}

// === impl Local ===

impl Local {
    /// Nothing counted yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let shard = || Mutex::new(Shard { slots: HashMap::new(), sweep_at: SWEEP_AT });
        Self { clock, hasher: RandomState::new(), shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// How many counts are kept.
    pub fn counts(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().slots.len()).sum()
    }

    fn take(&self, rules: &[Rule], tokens: u64) -> Result<LocalHold, Refused> {
        let before = self.clock.now();
        let mut wanted: SmallVec<[Held; 4]> =
            rules.iter().map(|rule| self.want(rule, tokens, before)).collect();
        let mut locked = self.lock_all(&wanted);
        // Behind the locks, so that windows never see time run backwards.
        let now = self.clock.now();
        for (place, (rule, want)) in rules.iter().zip(&mut wanted).enumerate() {
            let Some(shard) = locked.of(want.shard) else { continue };
            let slot = shard.slot(&want.key, now);
            want.ends = slot.ends;
            let after = slot.used.saturating_add(want.amount);
            if after <= rule.limit {
                slot.used = after;
                continue;
            }
            let refused = Refused::Full {
                rule: place,
                remaining: rule.limit.saturating_sub(slot.used),
                resets_in: match rule.counter {
                    Counter::Parallel => PERMIT_WAIT,
                    Counter::Requests | Counter::Tokens => slot.ends.saturating_duration_since(now),
                },
            };
            for taken in wanted.iter().take(place) {
                locked.of(taken.shard).into_iter().for_each(|shard| shard.give(&taken.key, taken.amount));
            }
            return Err(refused);
        }
        drop(locked);
        Ok(LocalHold(wanted))
    }

    fn want(&self, rule: &Rule, tokens: u64, ends: Instant) -> Held {
        let Rule { scope, ref id, counter, window, .. } = *rule;
        let key = Key { scope, id: Arc::clone(id), counter, window };
        let shard = self.hasher.hash_one(&key) as usize % SHARDS;
        Held { key, shard, amount: rule.takes(tokens), ends }
    }

    /// In the order of the shards: two calls that want the same ones never wait for each other.
    fn lock_all(&self, wanted: &[Held]) -> Locked<'_> {
        let mut places: SmallVec<[usize; 8]> = wanted.iter().map(|want| want.shard).collect();
        places.sort_unstable();
        places.dedup();
        let lock = |place: usize| Some((place, self.shards.get(place)?.lock()));
        Locked(places.into_iter().filter_map(lock).collect())
    }
}

impl Counters for Local {
    type Hold = LocalHold;

    fn hold(&self, rules: &[Rule], tokens: u64) -> impl Future<Output = Result<LocalHold, Refused>> + Send {
        ready(self.take(rules, tokens))
    }

    fn settle(&self, hold: LocalHold, used: u64) {
        let now = self.clock.now();
        for held in hold.0 {
            let Some(mut shard) = self.shards.get(held.shard).map(Mutex::lock) else { continue };
            match held.key.counter {
                Counter::Requests => {}
                Counter::Parallel => shard.give(&held.key, held.amount),
                Counter::Tokens => shard.put_right(&held, used, now),
            }
        }
    }
}

/// The shards that one call needs.
struct Locked<'a>(SmallVec<[(usize, MutexGuard<'a, Shard>); 4]>);

// === impl Locked ===

impl Locked<'_> {
    fn of(&mut self, place: usize) -> Option<&mut Shard> {
        self.0.iter_mut().find(|(at, _)| *at == place).map(|(_, shard)| &mut **shard)
    }
}

// === impl Shard ===

impl Shard {
    /// The count of a key, in a window that has not ended.
    fn slot(&mut self, key: &Key, now: Instant) -> &mut Slot {
        if self.slots.len() >= self.sweep_at {
            self.slots.retain(|key, slot| slot.matters(key, now));
            self.sweep_at = SWEEP_AT.max(self.slots.len() * 2);
        }
        let fresh = || Slot { used: 0, ends: now.checked_add(key.window).unwrap_or(now + LONGEST) };
        let slot = self.slots.entry(key.clone()).or_insert_with(fresh);
        if !slot.matters(key, now) {
            *slot = fresh();
        }
        slot
    }

    fn give(&mut self, key: &Key, amount: u64) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.used = slot.used.saturating_sub(amount);
        }
    }

    /// Tokens that were held too many go back to the window that they came from. Those that were too few count
    /// against the window that runs now: a long answer must not be free because its window is over.
    fn put_right(&mut self, held: &Held, used: u64, now: Instant) {
        let slot = self.slot(&held.key, now);
        if slot.ends == held.ends {
            slot.used = slot.used.saturating_sub(held.amount);
            slot.used = slot.used.saturating_add(used);
        } else {
            slot.used = slot.used.saturating_add(used.saturating_sub(held.amount));
        }
    }
}

// === impl Slot ===

impl Slot {
    /// Whether it says anything that an absent one does not.
    fn matters(&self, key: &Key, now: Instant) -> bool {
        self.used > 0 && (key.counter == Counter::Parallel || now < self.ends)
    }
}
