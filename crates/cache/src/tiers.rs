//! Memory, Redis, or memory in front of Redis.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Call, Result};

use crate::entry::Entry;
use crate::key::Key;
use crate::memory::Memory;
use crate::redis::Redis;
use crate::shelf::{Found, Kept, Search, Shelf, Tier};

/// Memory, Redis, or memory in front of Redis. Clones share what is kept.
#[derive(Clone)]
pub struct Tiers {
    memory: Option<Memory>,
    redis: Option<Redis>,
}

// === impl Tiers ===

impl Tiers {
    /// Memory alone.
    pub fn local(memory: Memory) -> Self {
        Self { memory: Some(memory), redis: None }
    }

    /// Redis, with memory in front of it where there is one.
    pub fn shared(redis: Redis, memory: Option<Memory>) -> Self {
        Self { memory, redis: Some(redis) }
    }

    /// The Redis, where there is one.
    pub fn redis(&self) -> Option<&Redis> {
        self.redis.as_ref()
    }

    /// What can be had without waiting.
    pub fn at_hand(&self, key: &Key) -> Option<Arc<Entry>> {
        self.memory.as_ref()?.at_hand(key).map(|kept| kept.entry)
    }

    /// What is kept under the key.
    pub async fn find_one(&self, key: &Key) -> Option<Arc<Entry>> {
        if let Some(entry) = self.at_hand(key) {
            return Some(entry);
        }
        let kept = self.redis.as_ref()?.find_one(key).await?;
        self.bring_forward(key, &kept);
        Some(kept.entry)
    }

    /// Forgets what is kept under these keys. Answers how many there were.
    pub async fn forget(&self, keys: &[Arc<str>]) -> Result<u64> {
        let here = self.memory.as_ref().map_or(0, |memory| memory.forget(keys));
        match &self.redis {
            Some(redis) => redis.forget(keys).await,
            None => Ok(here),
        }
    }

    /// Forgets everything.
    pub async fn clear(&self) -> Result<()> {
        if let Some(memory) = &self.memory {
            memory.clear();
        }
        match &self.redis {
            Some(redis) => redis.clear().await,
            None => Ok(()),
        }
    }

    /// What Redis has is at hand the next time, but for no longer than Redis has it.
    fn bring_forward(&self, key: &Key, kept: &Kept) {
        if let Some(memory) = &self.memory {
            memory.keep(key, &kept.entry, Some(kept.left.min(memory.usual())));
        }
    }
}

impl Tier for Tiers {
    async fn find(&self, keys: &[Key]) -> Vec<Option<Kept>> {
        let mut found = match &self.memory {
            Some(memory) => memory.find(keys).await,
            None => vec![None; keys.len()],
        };
        let missing: Vec<usize> =
            (0..keys.len()).filter(|at| found.get(*at).is_some_and(Option::is_none)).collect();
        let Some(redis) = self.redis.as_ref().filter(|_| !missing.is_empty()) else { return found };
        let asked: Vec<Key> = missing.iter().filter_map(|at| keys.get(*at).cloned()).collect();
        let told = redis.find(&asked).await;
        for ((at, key), kept) in missing.into_iter().zip(&asked).zip(told) {
            if let (Some(place), Some(kept)) = (found.get_mut(at), kept) {
                self.bring_forward(key, &kept);
                *place = Some(kept);
            }
        }
        found
    }

    fn keep(&self, key: &Key, entry: &Arc<Entry>, ttl: Option<Duration>) {
        if let Some(memory) = &self.memory {
            // In front of Redis for a short time only: another replica may forget it.
            let front = self.redis.is_some().then(|| ttl.map(|ttl| ttl.min(memory.usual())));
            memory.keep(key, entry, front.unwrap_or(ttl));
        }
        if let Some(redis) = &self.redis {
            redis.keep(key, entry, ttl);
        }
    }
}

impl Shelf for Tiers {
    type Place = ();

    async fn look_up(&self, _: &Call, key: &Key) -> Search<()> {
        let found = self.find_one(key).await;
        Search { found: found.map(|entry| Found { entry, similarity: None }), place: () }
    }

    fn put(&self, (): &(), key: &Key, entry: Arc<Entry>, ttl: Option<Duration>) {
        self.keep(key, &entry, ttl);
    }

    fn exact(&self) -> &Tiers {
        self
    }
}
