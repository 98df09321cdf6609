//! What is remembered of keys: looked up once, kept as long as nothing of it is changed, and for a while when nobody
//! can say.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::Shared;
use gatewright_core::{Clock, Error, ErrorKind, Result};
use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::TaskTracker;

use crate::heard::Heard;
use crate::{Claimed, Grant, Holder, KeyHash, Keys, Part, Remembered, Settings, record};

/// How many keys are remembered. Wrong ones are apart: whoever tries many must not push out the right ones.
const REMEMBERED: u64 = 100_000;
const WRONG: u64 = 10_000;

/// Look-ups at the same time: whoever tries many keys must not take all connections of the database.
const SEATS: usize = 4;

/// How long a call waits for a look-up; the look-up itself goes on.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it waits where an older answer is at hand.
const PATIENCE_WITH_ANSWER: Duration = Duration::from_secs(1);

/// How often the port is tried again once it could not answer.
const RETRY: Duration = Duration::from_secs(1);

/// How often a look-up is repeated because what it read was changed meanwhile.
const TRIES: usize = 5;

/// The epoch of what another process remembered.
const DOUBTED: u64 = u64::MAX;

/// The name of the kind that a key is.
const KEY: &str = "key";

/// What is remembered. Clones share it.
#[derive(Clone)]
pub(crate) struct Known(Arc<Memory>);

struct Memory {
    keys: Arc<dyn Keys>,
    clock: Arc<dyn Clock>,
    fresh: Duration,
    keep: Duration,
    grants: Cache<KeyHash, Entry>,
    wrong: Cache<KeyHash, ()>,
    state: Mutex<State>,
    /// How often anything may have been changed: an entry from before is in doubt.
    epoch: AtomicU64,
    /// How often something was remembered or forgotten.
    turn: AtomicU64,
    recorded: bool,
    shown_metadata: Vec<String>,
    /// When the port may be asked again, in microseconds since 1970; 0 as long as it answers.
    retry: AtomicU64,
    seats: Semaphore,
    tasks: TaskTracker,
}

/// What has to change together, so that no answer from before a change is given or remembered after it.
#[derive(Default)]
struct State {
    heard: Heard,
    flights: HashMap<KeyHash, Flight>,
}

/// What is looked up.
#[derive(Clone)]
pub(crate) enum Sought {
    Key(KeyHash),
    /// What a key of those would be whom a token stands for, by the digest of what it claims.
    Claimed(KeyHash, Arc<Claimed>),
}

/// A look-up that is under way, for all that wait for it.
type Flight = Shared<oneshot::Receiver<Result<Option<Arc<Grant>>>>>;

#[derive(Clone)]
struct Entry {
    grant: Arc<Grant>,
    looked: SystemTime,
    epoch: u64,
    /// The holder as it is written down.
    holder: Option<Arc<[u8]>>,
}

/// What an entry is good for.
enum Worth {
    /// It is as good as a look-up.
    Good,
    /// It is used, and looked up beside.
    Old,
    /// It is used where a look-up fails.
    Doubtful,
    Nothing,
}

// === impl Known ===

impl Known {
    pub(crate) fn new(settings: &Settings, keys: Arc<dyn Keys>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Memory {
            keys,
            clock,
            fresh: settings.fresh,
            keep: settings.keep,
            grants: Cache::builder().max_capacity(REMEMBERED).build(),
            wrong: Cache::builder().max_capacity(WRONG).time_to_live(settings.fresh).build(),
            state: Mutex::default(),
            epoch: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            recorded: settings.recorded,
            shown_metadata: settings.shown_metadata.clone(),
            retry: AtomicU64::new(0),
            seats: Semaphore::new(SEATS),
            tasks: TaskTracker::new(),
        }))
    }

    /// What a key stands for; `None` where there is no such key.
    pub(crate) async fn find(&self, sought: Sought) -> Result<Option<Arc<Grant>>> {
        let (memory, key) = (&self.0, sought.digest());
        let Some(entry) = memory.grants.get(&key) else {
            if memory.wrong.contains_key(&key) {
                return Ok(None);
            }
            return arrived(self.look(sought)?, PATIENCE).await;
        };
        match memory.worth(&entry) {
            Worth::Good => Ok(Some(entry.grant)),
            Worth::Old => {
                // Whether it begins or not, nobody waits for it.
                drop(self.look(sought));
                Ok(Some(entry.grant))
            }
            Worth::Doubtful if memory.may_ask() => {
                match tokio::time::timeout(PATIENCE_WITH_ANSWER, self.join(sought)).await {
                    Ok(Ok(Ok(found))) => Ok(found),
                    Ok(_) => Ok(Some(entry.grant)),
                    Err(_) => {
                        // The next ones need not wait as long to find out the same.
                        memory.postpone();
                        Ok(Some(entry.grant))
                    }
                }
            }
            Worth::Doubtful => Ok(Some(entry.grant)),
            Worth::Nothing => arrived(self.look(sought)?, PATIENCE).await,
        }
    }

    /// Forgets every key in which one of these has a say.
    pub(crate) fn forget(&self, parts: &[Part]) {
        let memory = &self.0;
        let mut state = memory.state.lock();
        memory.turn.fetch_add(1, Ordering::Relaxed);
        for part in parts {
            state.heard.push(part.clone());
            if let Some(key) = KeyHash::parse(&part.id).filter(|_| part.kind == KEY) {
                memory.grants.invalidate(&key);
                memory.wrong.invalidate(&key);
            }
        }
        if parts.iter().any(|part| part.kind != KEY) {
            for (key, entry) in &memory.grants {
                if entry.grant.parts().iter().any(|part| parts.contains(part)) {
                    memory.grants.invalidate(&*key);
                }
            }
        }
    }

    /// Puts all that is remembered in doubt: it is looked up before it is used again, as long as somebody can say.
    pub(crate) fn doubt(&self) {
        let mut state = self.0.state.lock();
        state.heard.push_anything();
        self.0.wrong.invalidate_all();
        self.0.epoch.fetch_add(1, Ordering::Release);
    }

    /// All that can be written down.
    pub(crate) fn remembered(&self) -> Vec<Remembered> {
        let written = |(key, entry): (Arc<KeyHash>, Entry)| {
            Some(Remembered { key: *key, looked: entry.looked, holder: entry.holder? })
        };
        self.0.grants.iter().filter_map(written).collect()
    }

    /// How often something was remembered or forgotten.
    pub(crate) fn turn(&self) -> u64 {
        self.0.turn.load(Ordering::Relaxed)
    }

    /// Remembers what was written down and is not too old, in doubt; answers how many there are.
    pub(crate) fn recall(&self, remembered: Vec<Remembered>) -> usize {
        let mut count = 0;
        for Remembered { key, looked, holder } in remembered {
            let Some(read) = record::read(&holder) else { continue };
            let grant = self.0.grant(&read, looked, key);
            let entry = Entry { grant, looked, epoch: DOUBTED, holder: Some(holder) };
            if !matches!(self.0.worth(&entry), Worth::Nothing) {
                self.0.grants.insert(key, entry);
                count += 1;
            }
        }
        count
    }

    /// Joins the look-up of a key, or begins one where the port may be asked.
    fn look(&self, sought: Sought) -> Result<Flight> {
        let flies = self.0.state.lock().flights.get(&sought.digest()).cloned();
        match flies {
            Some(flight) => Ok(flight),
            None if self.0.may_ask() => Ok(self.join(sought)),
            None => Err(away()),
        }
    }

    /// Joins the look-up of a key, or begins one.
    fn join(&self, sought: Sought) -> Flight {
        let key = sought.digest();
        let mut state = self.0.state.lock();
        if let Some(flight) = state.flights.get(&key) {
            return flight.clone();
        }
        let (tell, told) = oneshot::channel();
        let flight = told.shared();
        state.flights.insert(key, flight.clone());
        let mut landing = Landing { memory: self.0.clone(), key, sought, landed: false };
        self.0.tasks.spawn(async move {
            // Nobody waits for it any more where this fails.
            let _ = tell.send(landing.read().await);
        });
        flight
    }
}

// === impl Sought ===

impl Sought {
    /// Claims are told apart by all that they say.
    pub(crate) fn claimed(claimed: Arc<Claimed>) -> Self {
        let text = serde_json::to_string(&*claimed).unwrap_or_default();
        Self::Claimed(KeyHash::of(&format!("claims {text}")), claimed)
    }

    fn digest(&self) -> KeyHash {
        match self {
            Self::Key(key) | Self::Claimed(key, _) => *key,
        }
    }
}

// === impl Memory ===

impl Memory {
    fn grant(&self, holder: &Holder, looked: SystemTime, key: KeyHash) -> Arc<Grant> {
        Arc::new(Grant::new(holder, looked).of(key).showing(&self.shown_metadata, holder))
    }

    fn worth(&self, entry: &Entry) -> Worth {
        let age = self.clock.wall().duration_since(entry.looked).unwrap_or_default();
        match () {
            () if age >= self.keep => Worth::Nothing,
            () if entry.epoch != self.epoch.load(Ordering::Acquire) => Worth::Doubtful,
            () if age >= self.fresh => Worth::Old,
            () => Worth::Good,
        }
    }

    /// Whether the port may be asked: as long as it could not answer, one look-up at a time tries.
    fn may_ask(&self) -> bool {
        let retry = self.retry.load(Ordering::Relaxed);
        let now = micros(self.clock.wall());
        let next = now.saturating_add(micros(UNIX_EPOCH + RETRY));
        // A clock that was set back must not keep it away.
        let due = retry <= now || retry > next;
        retry == 0
            || (due && self.retry.compare_exchange(retry, next, Ordering::Relaxed, Ordering::Relaxed).is_ok())
    }

    fn answered(&self, found: &Result<Option<Holder>>) {
        match found {
            Err(err) if err.kind() == ErrorKind::Unavailable => self.postpone(),
            Ok(_) | Err(_) => self.retry.store(0, Ordering::Relaxed),
        }
    }

    fn postpone(&self) {
        let next = micros(self.clock.wall()).saturating_add(micros(UNIX_EPOCH + RETRY));
        self.retry.store(next, Ordering::Relaxed);
    }
}

/// A look-up that has begun; however it ends, it is no longer under way.
struct Landing {
    memory: Arc<Memory>,
    key: KeyHash,
    sought: Sought,
    landed: bool,
}

// === impl Landing ===

impl Landing {
    async fn read(&mut self) -> Result<Option<Arc<Grant>>> {
        let memory = &self.memory;
        for _ in 0..TRIES {
            let begun = memory.state.lock().heard.count();
            let epoch = memory.epoch.load(Ordering::Acquire);
            let found = {
                let _seat = memory.seats.acquire().await;
                match &self.sought {
                    Sought::Key(key) => memory.keys.find(*key).await,
                    Sought::Claimed(_, claimed) => memory.keys.claimed(claimed).await,
                }
            };
            memory.answered(&found);
            let looked = memory.clock.wall();
            let found = found?;
            let written = found.as_ref().filter(|_| memory.recorded).map(record::write);
            let grant = found.map(|holder| memory.grant(&holder, looked, self.key));
            let mut state = memory.state.lock();
            let own = Part { kind: KEY, id: self.key.to_string().into() };
            let parts = grant.iter().flat_map(|grant| grant.parts()).chain([&own]);
            if state.heard.touched(begun, parts) {
                continue;
            }
            match &grant {
                Some(grant) => {
                    let entry = Entry { grant: grant.clone(), looked, epoch, holder: written };
                    memory.grants.insert(self.key, entry);
                }
                None => {
                    memory.grants.invalidate(&self.key);
                    // Nobody tells when somebody appears whom a token claims.
                    if matches!(self.sought, Sought::Key(_)) {
                        memory.wrong.insert(self.key, ());
                    }
                }
            }
            memory.turn.fetch_add(1, Ordering::Relaxed);
            // In the same step: whoever comes after the next change must not be told of this.
            state.flights.remove(&self.key);
            self.landed = true;
            return Ok(grant);
        }
        Err(away())
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if !self.landed {
            self.memory.state.lock().flights.remove(&self.key);
        }
    }
}

async fn arrived(flight: Flight, patience: Duration) -> Result<Option<Arc<Grant>>> {
    match tokio::time::timeout(patience, flight).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) | Err(_) => Err(away()),
    }
}

fn away() -> Error {
    Error::new(ErrorKind::Unavailable, "keys cannot be looked up now")
}

fn micros(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
