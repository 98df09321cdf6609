//! Keeps questions in this process: every one of a class is looked at, so that the nearest is the nearest.

mod pile;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::Clock;
use parking_lot::Mutex;
use tokio::task::yield_now;

use self::pile::{Item, Pile};
use super::{Answered, Asking, Class, Neighbour, Neighbours, Place};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalLimits {
    /// Questions.
    pub items: usize,
    /// Bytes, of answers and vectors.
    pub bytes: usize,
    /// For so long, where nothing else is said.
    pub usual: Duration,
}

/// Keeps questions in this process.
pub struct Local {
    piles: Mutex<Piles>,
    limits: LocalLimits,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Piles {
    /// By class and by the length of vectors: those of two lengths come from two models.
    piles: HashMap<(Class, usize), Pile>,
    known: HashMap<Arc<str>, Known>,
    /// Those that were not used for the longest time come first.
    uses: BTreeMap<u64, Arc<str>>,
    next: u64,
    bytes: usize,
}

/// What is known of a question by its name.
struct Known {
    pile: (Class, usize),
    item: u64,
    last_use: u64,
    bytes: usize,
}

/// Other tasks have their turn after so many pieces were looked at: some hundred microseconds of work.
const PIECES_A_TURN: usize = 8;

/// A moment that is further away may not exist.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

impl Default for LocalLimits {
    fn default() -> Self {
        Self { items: 10_000, bytes: 128 * 1024 * 1024, usual: Duration::from_secs(600) }
    }
}

// === impl Local ===

impl Local {
    /// An empty one.
    pub fn new(limits: LocalLimits, clock: Arc<dyn Clock>) -> Self {
        Self { piles: Mutex::default(), limits, clock }
    }

    /// How many questions are kept, and how many bytes they take.
    pub fn kept(&self) -> (usize, usize) {
        let piles = self.piles.lock();
        (piles.known.len(), piles.bytes)
    }
}

impl Neighbours for Local {
    fn nearest<'a>(&'a self, place: &'a Place, least: f32) -> Asking<'a, Option<Neighbour>> {
        Box::pin(async move {
            let pile = (place.class, place.vector.dimensions());
            // Nobody waits while the pieces are looked at: they are shared, and whoever changes one changes a copy.
            let Some(pieces) = self.piles.lock().piles.get(&pile).map(Pile::pieces) else {
                return Ok(None);
            };
            let (now, mut best) = (self.clock.now(), None);
            for (number, piece) in pieces.iter().enumerate() {
                if number > 0 && number % PIECES_A_TURN == 0 {
                    yield_now().await;
                }
                let nearer = |similarity| match &best {
                    Some((best, _)) => similarity > *best,
                    None => similarity >= least,
                };
                best = piece.nearest(&place.vector, nearer, now).or(best);
            }
            let Some((similarity, item)) = best else { return Ok(None) };
            self.piles.lock().touch(&item.key.text);
            Ok(Some(Neighbour { class: place.class, key: item.key, similarity, entry: item.entry }))
        })
    }

    fn keep(&self, place: Place, kept: Answered) -> Asking<'_, ()> {
        let until = self.clock.now() + kept.ttl.unwrap_or(self.limits.usual).min(LONGEST);
        self.piles.lock().put(place, kept, until, self.limits);
        Box::pin(std::future::ready(Ok(())))
    }

    fn forget<'a>(&'a self, keys: &'a [Arc<str>]) -> Asking<'a, ()> {
        let mut piles = self.piles.lock();
        keys.iter().for_each(|key| piles.take(key));
        Box::pin(std::future::ready(Ok(())))
    }

    fn forget_all(&self) -> Asking<'_, ()> {
        *self.piles.lock() = Piles::default();
        Box::pin(std::future::ready(Ok(())))
    }
}

// === impl Piles ===

impl Piles {
    /// Makes room by forgetting those that were not used for the longest time. What is larger than all room is not kept.
    fn put(&mut self, place: Place, kept: Answered, until: std::time::Instant, limits: LocalLimits) {
        self.take(&kept.key.text);
        let item = Item { id: self.next, key: kept.key, entry: kept.entry, until };
        let (key, bytes) = (item.key.text.clone(), item.bytes(&place.vector));
        if bytes > limits.bytes || limits.items == 0 {
            return;
        }
        while self.bytes > limits.bytes - bytes || self.known.len() >= limits.items {
            let Some(oldest) = self.uses.values().next().cloned() else { break };
            self.take(&oldest);
        }
        let pile = (place.class, place.vector.dimensions());
        self.piles.entry(pile).or_default().put(&place.vector, item);
        self.known.insert(key.clone(), Known { pile, item: self.next, last_use: self.next, bytes });
        self.uses.insert(self.next, key);
        self.bytes += bytes;
        self.next += 1;
    }

    fn take(&mut self, key: &str) {
        let Some(known) = self.known.remove(key) else { return };
        self.uses.remove(&known.last_use);
        self.bytes -= known.bytes;
        if let Some(pile) = self.piles.get_mut(&known.pile) {
            pile.take(known.item);
            if pile.is_empty() {
                self.piles.remove(&known.pile);
            }
        }
    }

    fn touch(&mut self, key: &Arc<str>) {
        let Some(known) = self.known.get_mut(key) else { return };
        self.uses.remove(&std::mem::replace(&mut known.last_use, self.next));
        self.uses.insert(self.next, key.clone());
        self.next += 1;
    }
}
