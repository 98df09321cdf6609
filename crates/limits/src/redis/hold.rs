//! What one call has taken of shared counts.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Replica;
use super::ours::Settled;
use crate::counters::{Counters, Used};
use crate::local::LocalHold;
use crate::rule::{Counter, nano};
use crate::shard::Key;

/// What a call has taken. Dropped without being settled, it was never there.
pub struct SharedHold(pub(super) Arc<Stock>);

/// A hold, which a question that fits it may outlive.
pub(super) struct Stock {
    replica: Arc<Replica>,
    /// Nothing once it has ended.
    taken: Mutex<Option<Vec<Taken>>>,
    /// What was counted in this process.
    local: Mutex<Option<LocalHold>>,
}

/// What was taken of one count.
#[derive(Clone)]
pub(super) struct Taken {
    pub(super) key: Key,
    pub(super) amount: u64,
    /// The end of its window, in milliseconds of the server.
    pub(super) ends: i64,
    /// What the call had spent when it was taken.
    pub(super) since: u64,
}

// === impl SharedHold ===

impl SharedHold {
    pub(super) fn new(replica: &Arc<Replica>, taken: Vec<Taken>, local: Option<LocalHold>) -> Self {
        let replica = Arc::clone(replica);
        Self(Arc::new(Stock { replica, taken: Mutex::new(Some(taken)), local: Mutex::new(local) }))
    }
}

// === impl Stock ===

impl Stock {
    /// What it is now.
    pub(super) fn taken(&self) -> Vec<Taken> {
        self.taken.lock().clone().unwrap_or_default()
    }

    /// From here on it is `after`, where it was `before`. What is not in it any more is settled with what the call has
    /// spent. Where the call has ended meanwhile, what was taken for it since is given back.
    pub(super) fn turn(&self, before: &[Taken], after: Vec<Taken>, spent: u64) {
        let mut taken = self.taken.lock();
        if taken.is_none() {
            drop(taken);
            return self.replica.undo(before, after);
        }
        *taken = Some(after.clone());
        drop(taken);
        let left = before.iter().filter(|one| after.iter().all(|other| other.key != one.key)).cloned();
        self.replica.end(left.collect(), Some(Ended { tokens: 0, cost: spent, output: None }));
    }

    /// Books what the call used; nothing, where it was never let in.
    pub(super) fn end(&self, used: Option<Used>) {
        let Some(taken) = self.taken.lock().take() else { return };
        let ended =
            used.map(|used| Ended { tokens: used.tokens, cost: nano(used.cost), output: used.output });
        self.replica.end(taken, ended);
        if let Some(local) = self.local.lock().take() {
            self.replica.local.settle(&local, used.unwrap_or_default());
        }
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// How a call ended.
#[derive(Clone, Copy)]
pub(super) struct Ended {
    tokens: u64,
    cost: u64,
    output: Option<u64>,
}

impl Replica {
    fn end(&self, taken: Vec<Taken>, ended: Option<Ended>) {
        let keep = self.link.up().is_none();
        let Ended { tokens, cost, output } = ended.unwrap_or(Ended { tokens: 0, cost: 0, output: None });
        let mut books = self.books.lock();
        for Taken { key, amount, ends, since } in taken {
            match key.counter {
                Counter::Requests if ended.is_some() => {}
                Counter::Requests => books.amend(key, ends, amount, 0),
                Counter::Tokens => books.amend(key, ends, amount, tokens),
                Counter::Parallel => books.give_permit(&key),
                Counter::Money => {
                    let cost = cost.saturating_sub(since);
                    books
                        .settle(&key, Settled { amount, running: u64::from(amount > 0), cost, output, keep });
                }
            }
        }
        drop(books);
        self.news.notify_one();
    }

    /// Gives back what was taken between the two.
    fn undo(&self, before: &[Taken], after: Vec<Taken>) {
        let (fresh, raised): (Vec<Taken>, Vec<Taken>) =
            after.into_iter().partition(|one| before.iter().all(|other| other.key != one.key));
        self.end(fresh, None);
        let mut books = self.books.lock();
        for one in raised.into_iter().filter(|one| one.key.counter == Counter::Money) {
            let had = before.iter().find(|other| other.key == one.key).map_or(0, |had| had.amount);
            let amount = one.amount.saturating_sub(had);
            let running = u64::from(had == 0 && amount > 0);
            books.settle(&one.key, Settled { amount, running, ..Settled::default() });
        }
    }
}
