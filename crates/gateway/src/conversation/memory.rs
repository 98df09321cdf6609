//! Answers kept in memory: so many, so large together, and for so long.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use gatewright_core::Clock;

use super::{Answered, Conversations, KeptResponse};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// The most answers.
    pub most: usize,
    /// The most bytes of all of them.
    pub bytes: usize,
    /// How long each is kept.
    pub lifetime: Duration,
}

/// Answers of one process.
pub struct Remembered {
    limits: MemoryLimits,
    clock: Arc<dyn Clock>,
    shelf: Mutex<Shelf>,
}

/// Owner and id. Ids are the upstreams' own: two owners may have the same.
type Name = (Arc<str>, Arc<str>);

#[derive(Default)]
struct Shelf {
    by_name: HashMap<Name, (Arc<KeptResponse>, SystemTime)>,
    /// The oldest first; those that were forgotten stand here until their turn comes.
    order: VecDeque<(Name, SystemTime)>,
    bytes: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self { most: 10_000, bytes: 256 << 20, lifetime: Duration::from_secs(30 * 86_400) }
    }
}

// === impl Remembered ===

impl Remembered {
    /// Nothing yet.
    pub fn new(limits: MemoryLimits, clock: Arc<dyn Clock>) -> Self {
        Self { limits, clock, shelf: Mutex::default() }
    }

    /// What is kept under this id for this owner.
    pub fn get(&self, owner: &str, id: &str) -> Option<Arc<KeptResponse>> {
        let now = self.clock.wall();
        let shelf = self.shelf();
        let (kept, at) = shelf.by_name.get(&(owner.into(), id.into()))?;
        (!self.is_over(*at, now)).then(|| kept.clone())
    }

    /// Keeps one, and lets go of the oldest where there is no more room. One that is larger than all the room is not
    /// kept.
    pub fn put(&self, kept: Arc<KeptResponse>) {
        let size = kept.size();
        if size > self.limits.bytes {
            return;
        }
        let now = self.clock.wall();
        let mut shelf = self.shelf();
        let name = (kept.owner.clone(), kept.id.clone());
        shelf.remove(&name);
        shelf.bytes += size;
        shelf.order.push_back((name.clone(), now));
        shelf.by_name.insert(name, (kept, now));
        while let Some((name, at)) = shelf.order.front().cloned() {
            let full = shelf.by_name.len() > self.limits.most
                || shelf.bytes > self.limits.bytes
                || shelf.order.len() > self.limits.most.saturating_mul(2);
            if !full && !self.is_over(at, now) {
                break;
            }
            shelf.order.pop_front();
            // It may have been kept anew since.
            if shelf.by_name.get(&name).is_some_and(|(_, since)| *since == at) {
                shelf.remove(&name);
            }
        }
    }

    /// Forgets one, if it is this owner's.
    pub fn remove(&self, owner: &str, id: &str) {
        self.shelf().remove(&(owner.into(), id.into()));
    }

    fn is_over(&self, at: SystemTime, now: SystemTime) -> bool {
        now.duration_since(at).is_ok_and(|age| age >= self.limits.lifetime)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Conversations for Remembered {
    fn find<'a>(&'a self, owner: &'a str, id: &'a str) -> Answered<'a, Option<Arc<KeptResponse>>> {
        Box::pin(async move { Ok(self.get(owner, id)) })
    }

    fn keep(&self, kept: Arc<KeptResponse>) -> Answered<'_, ()> {
        Box::pin(async move {
            self.put(kept);
            Ok(())
        })
    }

    fn forget<'a>(&'a self, owner: &'a str, id: &'a str) -> Answered<'a, ()> {
        Box::pin(async move {
            self.remove(owner, id);
            Ok(())
        })
    }
}

// === impl Shelf ===

impl Shelf {
    fn remove(&mut self, name: &Name) {
        if let Some((kept, _)) = self.by_name.remove(name) {
            self.bytes -= kept.size();
        }
    }
}

#[cfg(test)]
mod tests {
    use gatewright_core::HandClock;

    use super::*;

    fn kept(id: &str, owner: &str) -> Arc<KeptResponse> {
        let (id, owner) = (id.into(), owner.into());
        Arc::new(KeptResponse { id, owner, deployment: "d".into(), conversation: None })
    }

    fn memory(most: usize, bytes: usize) -> (Remembered, Arc<HandClock>) {
        let clock = HandClock::new();
        let limits = MemoryLimits { most, bytes, lifetime: Duration::from_secs(10) };
        (Remembered::new(limits, clock.clone()), clock)
    }

    #[test]
    fn nobody_finds_what_is_somebody_elses() {
        let (memory, _) = memory(10, 1000);
        memory.put(kept("a", "team:1"));
        assert!(memory.get("team:1", "a").is_some());
        assert!(memory.get("team:2", "a").is_none());
        memory.remove("team:2", "a");
        assert!(memory.get("team:1", "a").is_some(), "and nobody forgets it for them");
        memory.remove("team:1", "a");
        assert!(memory.get("team:1", "a").is_none());
    }

    #[test]
    fn the_oldest_makes_room() {
        for (most, bytes) in [(2, 1000), (10, 2 * kept("a", "o").size())] {
            let (memory, _) = memory(most, bytes);
            ["a", "b", "c"].into_iter().for_each(|id| memory.put(kept(id, "o")));
            let found = ["a", "b", "c"].map(|id| memory.get("o", id).is_some());
            assert_eq!(found, [false, true, true]);
        }
    }

    #[test]
    fn what_is_too_old_is_gone_and_gives_its_room_back() {
        let (memory, clock) = memory(10, 1000);
        memory.put(kept("a", "o"));
        clock.forward(Duration::from_secs(10));
        assert!(memory.get("o", "a").is_none());
        memory.put(kept("b", "o"));
        assert_eq!(memory.shelf().by_name.len(), 1);
    }
}
