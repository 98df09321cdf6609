//! Ships what the journals say into the ledger, in batches; a ledger that is away is waited for.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatewright_core::Clock;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::aside;
use crate::entry::Entry;
use crate::follower::{self, Follower};
use crate::instance::InstanceId;
use crate::journal::Journal;
use crate::ledger::{Applied, Batch, Ledger, LedgerError};
use crate::reader::Position;

/// The longest rest between two tries while the ledger is away.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// How long an entry is in the journal, about.
const ENTRY_BYTES: u64 = 250;

/// Behind every end.
const ANY_END: Position = Position { segment: u64::MAX, offset: u64::MAX };

/// How entries are shipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipping {
    /// Entries that go together.
    pub batch: usize,
    /// How long the first of them may wait for others.
    pub every: Duration,
    /// How long a part of the journal is kept once the ledger has it.
    pub keep: Duration,
    /// How often directories are looked for that no live process holds.
    pub adopt_every: Duration,
    /// How long a stopping process goes on with what is left.
    pub grace: Duration,
}

/// How the shipping goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShippingHealth {
    /// Entries that the ledger got from this process.
    pub shipped: u64,
    /// Of those that were sent, entries that the ledger had already.
    pub known: u64,
    /// Entries that were too old for the ledger.
    pub refused: u64,
    /// Entries that the ledger will never take: they are in a file beside the journals.
    pub set_aside: u64,
    /// Damaged places in the journal.
    pub damaged: u64,
    /// Entries that the ledger does not have yet, about: the journal is not read ahead to count them.
    pub backlog: u64,
    /// The same in bytes of the journal, exactly.
    pub backlog_bytes: u64,
    /// How long the oldest of them has waited.
    pub oldest: Duration,
    /// Why the ledger does not take them now.
    pub error: Option<String>,
}

/// Follows every lane of a journal, and every journal beside it that no live process holds.
pub struct Shipper<L> {
    journal: Journal,
    ledger: L,
    shipping: Shipping,
    clock: Arc<dyn Clock>,
    health: Arc<Mutex<ShippingHealth>>,
    /// Whether the ledger once had all that there was.
    caught_up: watch::Sender<bool>,
    followers: Vec<Follower>,
    /// Where the lanes were at the start. As long as nobody knows how far the ledger is, what came since then waits.
    starts: Vec<(PathBuf, Position)>,
    next_adoption: Option<Instant>,
    /// Journals of the dead that were shipped to this end.
    finished: HashMap<PathBuf, Position>,
    /// The room of the last batch, for the next one: a megabyte that the allocator would give back in between.
    room: Vec<Entry>,
}

// === impl Shipping ===

impl Default for Shipping {
    fn default() -> Self {
        Self {
            batch: 2000,
            every: Duration::from_millis(200),
            keep: Duration::from_secs(24 * 3600),
            adopt_every: Duration::from_secs(30),
            grace: Duration::from_secs(5),
        }
    }
}

// === impl Shipper ===

impl<L: Ledger> Shipper<L> {
    /// Ships what is written to `journal`.
    pub fn new(journal: Journal, ledger: L, shipping: Shipping, clock: Arc<dyn Clock>) -> Self {
        let ends = journal.instances().into_iter().map(|(path, _)| Ok((follower::end(&path)?, path)));
        let starts = ends.filter_map(io::Result::ok).map(|(end, path)| (path, end)).collect();
        let set_aside = aside::count(&journal.settings().dir);
        Self {
            journal,
            ledger,
            shipping,
            clock,
            health: Arc::new(Mutex::new(ShippingHealth { set_aside, ..ShippingHealth::default() })),
            caught_up: watch::Sender::default(),
            followers: Vec::new(),
            starts,
            next_adoption: None,
            finished: HashMap::new(),
            room: Vec::new(),
        }
    }

    /// How the shipping goes, now and later.
    pub fn health(&self) -> Arc<Mutex<ShippingHealth>> {
        Arc::clone(&self.health)
    }

    /// Turns true when the ledger has all that was written before this process, and what it wrote until then.
    pub fn caught_up(&self) -> watch::Receiver<bool> {
        self.caught_up.subscribe()
    }

    /// Ships until `stop` is ready, and then what is left as far as the grace reaches. What is not shipped by then, the
    /// next process ships.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let round = async {
                let started = Instant::now();
                let full = self.round().await;
                if !full {
                    sleep_until(started + self.shipping.every).await;
                }
            };
            // A batch is not cut off in the middle: the round ends first, or else its wait for the ledger does.
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = round => {}
            }
        }
        let deadline = Instant::now() + self.shipping.grace;
        // Dropped in the middle, the round may have read entries that did not arrive: they are read again.
        self.followers.clear();
        while let Ok(full) = timeout_at(deadline, self.round()).await {
            if !full {
                return;
            }
        }
        let left = self.health.lock().backlog;
        tracing::warn!(entries = left, "not everything was shipped; the next process goes on");
    }

    /// Ships one batch, waiting for the ledger as long as that takes. Whether there was a whole one.
    async fn round(&mut self) -> bool {
        self.meet().await;
        let (mut batch, full) = self.gather().await;
        if !batch.entries.is_empty() {
            self.deliver(&batch).await;
        }
        self.sweep(&batch).await;
        self.look(&[]);
        batch.entries.clear();
        self.room = batch.entries;
        if !full {
            self.caught_up.send_replace(true);
        }
        full
    }

    /// Takes up the lanes, and at times the journals of the dead.
    async fn meet(&mut self) {
        if self.followers.is_empty() {
            for (path, id) in self.journal.instances() {
                let applied = self.position(id).await;
                self.follow(path, id, applied);
            }
        }
        if self.next_adoption.is_some_and(|next| Instant::now() < next) {
            return;
        }
        self.next_adoption = Some(Instant::now() + self.shipping.adopt_every);
        let mut known = self.finished.clone();
        // Whatever is followed already has no end that could be another one's.
        known.extend(self.followers.iter().map(|follower| (follower.path.clone(), ANY_END)));
        let settings = self.journal.settings().clone();
        let adopted = apart(move || follower::adopt(&settings, &known)).await;
        let adopted = adopted.unwrap_or_else(|err| {
            self.complain(&err.to_string());
            Vec::new()
        });
        for instance in adopted {
            let applied = self.position(instance.id).await;
            let (path, id) = (instance.path.clone(), instance.id);
            if let Some(follower) = self.follow(path, id, applied) {
                follower.adopted = Some(instance);
            }
        }
    }

    fn follow(&mut self, path: PathBuf, id: InstanceId, applied: Applied) -> Option<&mut Follower> {
        match Follower::new(path, id, applied) {
            Ok(follower) => self.followers.push(follower),
            Err(err) => {
                self.complain(&err.to_string());
                return None;
            }
        }
        self.followers.last_mut()
    }

    /// Where the ledger is with an instance.
    async fn position(&self, id: InstanceId) -> Applied {
        let mut rest = self.shipping.every;
        loop {
            match self.ledger.applied(id).await {
                Ok(applied) => return applied,
                Err(err) => self.complain(&err.to_string()),
            }
            self.look(&[]);
            rest_a_while(&mut rest).await;
        }
    }

    /// Reads what ended, from all journals in turn.
    async fn gather(&mut self) -> (Batch, bool) {
        let (mut followers, enough) = (std::mem::take(&mut self.followers), self.shipping.batch);
        let entries = std::mem::take(&mut self.room);
        let (followers, batch, errors) = apart(move || {
            let (mut batch, mut errors) = (Batch { entries, ..Batch::default() }, Vec::new());
            for follower in &mut followers {
                let before = batch.entries.len();
                if let Err(err) = follower.read(&mut batch.entries, enough) {
                    errors.push(err.to_string());
                }
                if batch.entries.len() > before {
                    batch.applied.push((follower.id, follower.applied()));
                }
            }
            // Whoever was first is last the next time, so that a busy lane does not keep others waiting.
            if !followers.is_empty() {
                followers.rotate_left(1);
            }
            (followers, batch, errors)
        })
        .await;
        self.followers = followers;
        errors.iter().for_each(|error| self.complain(error));
        let full = batch.entries.len() >= enough;
        (batch, full)
    }

    /// Gives a batch to the ledger. An entry that it will never take is found by halves and set aside.
    async fn deliver(&mut self, batch: &Batch) {
        if self.give(batch).await.is_ok() {
            return;
        }
        let mut parts = vec![batch.entries.as_slice()];
        while let Some(part) = parts.pop() {
            let Err(why) = self.give(&Batch { entries: part.to_vec(), applied: Vec::new() }).await else {
                continue;
            };
            match part {
                [] => {}
                [entry] => self.set_aside(entry, &why).await,
                _ => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        // Only now, so that a process that dies in between begins again.
        let applied = Batch { entries: Vec::new(), applied: batch.applied.clone() };
        if let Err(why) = self.give(&applied).await {
            self.complain(&why);
        }
    }

    /// Writes an entry beside the journals, whenever the disk takes it.
    async fn set_aside(&mut self, entry: &Entry, why: &str) {
        let attempt = entry.begin.attempt;
        tracing::error!(%attempt, error = why, "the database will never take this entry: it is set aside");
        let mut rest = self.shipping.every;
        loop {
            let (dir, entry, why) = (self.journal.settings().dir.clone(), entry.clone(), why.to_owned());
            match apart(move || aside::set(&dir, &entry, &why).map(|()| aside::count(&dir))).await {
                Ok(count) => return self.health.lock().set_aside = count,
                Err(err) => self.complain(&err.to_string()),
            }
            rest_a_while(&mut rest).await;
        }
    }

    /// Gives a batch to the ledger until it takes it, or says that it never will.
    async fn give(&mut self, batch: &Batch) -> Result<(), String> {
        let mut rest = self.shipping.every;
        loop {
            match self.ledger.apply(batch).await {
                Ok(receipt) => {
                    let mut health = self.health.lock();
                    health.shipped += receipt.inserted;
                    health.known += receipt.known;
                    health.refused += receipt.refused;
                    if health.error.take().is_some() {
                        tracing::info!("the ledger takes entries again");
                    }
                    if receipt.refused > 0 {
                        tracing::warn!(entries = receipt.refused, "entries are too old for the ledger");
                    }
                    return Ok(());
                }
                Err(LedgerError::Refused(why)) => return Err(why),
                Err(LedgerError::Away(why)) => self.complain(&why),
            }
            self.look(&batch.entries);
            rest_a_while(&mut rest).await;
        }
    }

    /// Removes what is no longer needed, and leaves the journals of the dead that are shipped to the end.
    async fn sweep(&mut self, batch: &Batch) {
        let mut followers = std::mem::take(&mut self.followers);
        let (keep, now, moved) = (self.shipping.keep, self.clock.wall(), !batch.entries.is_empty());
        let (followers, finished) = apart(move || {
            for follower in followers.iter().filter(|_| moved) {
                if let Err(err) = follower.sweep(follower.applied(), keep, now) {
                    tracing::warn!(error = %err, "cannot remove an old part of the journal");
                }
            }
            let done = |follower: &mut Follower| {
                follower.adopted.is_some() && follower.unread().is_ok_and(|n| n == 0)
            };
            let finished: Vec<Follower> = followers.extract_if(.., done).collect();
            (followers, finished)
        })
        .await;
        self.followers = followers;
        self.finished
            .extend(finished.into_iter().map(|follower| (follower.path.clone(), follower.applied().read)));
    }

    fn complain(&self, why: &str) {
        let mut health = self.health.lock();
        if health.error.as_deref() != Some(why) {
            tracing::warn!(error = why, "entries wait in the journal");
        }
        health.error = Some(why.to_owned());
    }

    /// Tells how much is waiting: a batch, and what was not read yet.
    fn look(&self, waiting: &[Entry]) {
        let unread: io::Result<u64> = match self.followers.is_empty() {
            true => self.starts.iter().map(|(path, start)| follower::bytes_behind(path, *start)).sum(),
            false => self.followers.iter().map(Follower::unread).sum(),
        };
        let bytes = unread.unwrap_or_default();
        let mut health = self.health.lock();
        health.damaged = self.followers.iter().map(|follower| follower.damaged).sum();
        health.backlog = waiting.len() as u64 + bytes / ENTRY_BYTES;
        health.backlog_bytes = bytes + waiting.len() as u64 * ENTRY_BYTES;
        let oldest = waiting.iter().map(ended).min();
        let now = self.clock.wall();
        health.oldest = oldest.map_or(Duration::ZERO, |at| now.duration_since(at).unwrap_or_default());
    }
}

/// Doubles the rest before the next try.
async fn rest_a_while(rest: &mut Duration) {
    sleep(*rest).await;
    *rest = (*rest * 2).min(LONGEST_REST);
}

/// Reads files where that keeps no other task waiting.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(err) => match err.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// When an attempt ended, or began where the end was not seen.
fn ended(entry: &Entry) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(entry.begin.started) + entry.duration.unwrap_or_default()
}
