//! The journal: every attempt is in it before the upstream hears of it, and again when it ends.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use gatewright_core::{Clock, Money};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::disk::{Disk, RealDisk};
use crate::instance::{self, Instance, InstanceId};
use crate::record::{Begin, Checkpoint, Hit, Settle};
use crate::segment::frame;
use crate::tail::Tail;
use crate::{flusher, recovery};

/// How a journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Holds one directory an instance.
    pub dir: PathBuf,
    /// The size of a segment, which is reserved on the disk ahead. Each lane holds two at any time.
    pub segment_bytes: u64,
    /// How many attempts can be written down at the same moment: each lane is an instance with files of its own.
    pub lanes: usize,
    /// When what was written is forced to the disk.
    pub sync: Sync,
    /// What happens to calls when the disk takes no more.
    pub on_full: OnFull,
}

/// When what was written is forced to the disk. A process that is killed loses nothing in any case: this is about the
/// machine losing power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Whenever this long has passed since the first record that is not on the disk yet.
    Every(Duration),
    /// Before a record counts as written. Costs about 0.1 ms a record, with outliers of many.
    Always,
    /// When the system feels like it.
    Never,
}

/// What happens to calls when the disk takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// They are refused: nothing is spent that is not written down.
    Refuse,
    /// They pass, and only [`Health`] tells how many they were and what they cost.
    Continue,
}

/// An attempt that was let pass; whoever holds it settles it.
#[must_use = "an attempt that is never settled stays open"]
#[derive(Debug)]
pub struct Ticket {
    place: Option<Place>,
}

/// Where an attempt began, and so where it ends.
#[derive(Clone, Copy, Debug)]
struct Place {
    lane: usize,
    segment: u64,
}

/// How the journal is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The directories that it is written to, one a lane.
    pub instances: Vec<PathBuf>,
    /// Why there is no next segment, where the ones that are written to are the last.
    pub full: Option<String>,
    /// Why what was written last was not taken.
    pub failing: Option<String>,
    /// Attempts that are running.
    pub open: u64,
    /// Ends that the disk did not take yet.
    pub waiting: u64,
    /// Attempts, and answers of the cache, that passed and were not written down.
    pub unjournalled: u64,
    /// What those cost.
    pub unjournalled_cost: Money,
    /// Ends that were lost: the next process closes those attempts as interrupted.
    pub lost: u64,
    /// Times that the disk failed to take what was written.
    pub sync_failures: u64,
}

/// An open journal. Clones share it; the last one that goes syncs it and gives the directories back.
#[derive(Clone)]
pub struct Journal(Arc<[Lane]>, Arc<Settings>);

/// One instance that is written to. Threads mostly keep to their own, because whoever is stopped while it writes would
/// let all others wait.
pub(crate) struct Lane {
    pub(crate) shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    instance: Arc<Instance>,
}

/// What the callers and the thread share.
pub(crate) struct Shared {
    pub(crate) tail: Mutex<Tail>,
    pub(crate) wake: Condvar,
    pub(crate) sync: Sync,
    pub(crate) sync_failures: AtomicU64,
    on_full: OnFull,
    clock: Arc<dyn Clock>,
    unjournalled: AtomicU64,
    unjournalled_cost: AtomicI64,
    lost: AtomicU64,
}

thread_local! {
    /// Numbers the threads that write.
    static THREAD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

// === impl Settings ===

impl Settings {
    /// The defaults: one lane, segments of 16 MiB, synced every 50 ms, and nothing is spent that is not written down.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 16 << 20,
            lanes: 1,
            sync: Sync::Every(Duration::from_millis(50)),
            on_full: OnFull::Refuse,
        }
    }
}

// === impl Journal ===

impl Journal {
    /// Takes the first directories that no live process holds, and closes the books of predecessors that died in them.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> io::Result<Self> {
        Self::open_on(Arc::new(RealDisk), settings, clock)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let open = |_| Lane::open(Arc::clone(&disk), &settings, Arc::clone(&clock));
        let lanes = (0..settings.lanes.max(1)).map(open).collect::<io::Result<_>>()?;
        Ok(Self(lanes, Arc::new(settings)))
    }

    /// The first of the instances that it writes to: whoever is started again in the same place has the same.
    pub fn instance(&self) -> Option<InstanceId> {
        self.0.first().map(|lane| lane.instance.id)
    }

    /// Writes that an attempt begins. An error means that it must not be sent.
    pub fn begin(&self, begin: &Begin) -> io::Result<Ticket> {
        let mut record = frame(|out| begin.encode(out));
        let (lane, tail) = self.free_lane();
        let shared = &self.lane(lane).shared;
        let written = shared.write(tail, |tail| tail.begin(&mut record, shared.now_micros()));
        match written {
            Ok(segment) => Ok(Ticket { place: Some(Place { lane, segment }) }),
            Err(err) => match shared.on_full {
                OnFull::Refuse => Err(err),
                OnFull::Continue => {
                    shared.unjournalled.fetch_add(1, Ordering::Relaxed);
                    Ok(Ticket { place: None })
                }
            },
        }
    }

    /// Writes how far an attempt is. That is worth nothing to the living, so a failure is not told.
    pub fn checkpoint(&self, ticket: &Ticket, checkpoint: &Checkpoint) {
        if let Some(Place { lane, .. }) = ticket.place {
            let mut record = frame(|out| checkpoint.encode(out));
            let shared = &self.lane(lane).shared;
            let _ = shared.write(shared.tail.lock(), |tail| tail.checkpoint(&mut record));
        }
    }

    /// Writes that an attempt ended. What the disk does not take is kept and tried again.
    pub fn settle(&self, ticket: Ticket, settle: &Settle) {
        let Some(Place { lane, segment }) = ticket.place else {
            self.lane(0).shared.unjournalled_cost.fetch_add(settle.cost.0, Ordering::Relaxed);
            return;
        };
        let record = frame(|out| settle.encode(out));
        let shared = &self.lane(lane).shared;
        let kept = shared.write(shared.tail.lock(), |tail| Ok(tail.settle(record, segment)));
        if !matches!(kept, Ok(true)) {
            shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes that the cache answered. That cost nothing, so what is not taken passes, and is counted.
    pub fn hit(&self, hit: &Hit) {
        let mut record = frame(|out| hit.encode(out));
        let (lane, tail) = self.free_lane();
        let shared = &self.lane(lane).shared;
        if shared.write(tail, |tail| tail.hit(&mut record, shared.now_micros())).is_err() {
            shared.unjournalled.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How the journal is.
    pub fn health(&self) -> Health {
        let mut health = Health::default();
        self.0.iter().for_each(|lane| lane.add_to(&mut health));
        health
    }

    /// The directories that it is written to, with their ids.
    pub(crate) fn instances(&self) -> Vec<(PathBuf, InstanceId)> {
        self.0.iter().map(|lane| (lane.instance.path.clone(), lane.instance.id)).collect()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.1
    }

    /// The number of the segment that its first lane writes to.
    #[cfg(test)]
    pub(crate) fn segment(&self) -> u64 {
        self.lane(0).shared.tail.lock().name.number
    }

    /// This thread's lane, or else one that nobody writes to now.
    fn free_lane(&self) -> (usize, MutexGuard<'_, Tail>) {
        let own = THREAD.with(|number| *number) % self.0.len();
        let others = (own..self.0.len()).chain(0..own);
        let mut free = others.filter_map(|lane| Some((lane, self.lane(lane).shared.tail.try_lock()?)));
        free.next().unwrap_or_else(|| (own, self.lane(own).shared.tail.lock()))
    }

    #[expect(clippy::indexing_slicing, reason = "a ticket comes from the journal that it is given back to")]
    fn lane(&self, number: usize) -> &Lane {
        &self.0[number]
    }
}

// === impl Lane ===

impl Lane {
    fn open(disk: Arc<dyn Disk>, settings: &Settings, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let instance = Arc::new(instance::claim(&settings.dir)?);
        let tail = recovery::resume(&instance.path, disk, settings.segment_bytes)?;
        let shared = Arc::new(Shared {
            tail: Mutex::new(tail),
            wake: Condvar::new(),
            sync: settings.sync,
            sync_failures: AtomicU64::new(0),
            on_full: settings.on_full,
            clock,
            unjournalled: AtomicU64::new(0),
            unjournalled_cost: AtomicI64::new(0),
            lost: AtomicU64::new(0),
        });
        let thread = flusher::start(Arc::clone(&shared), Arc::clone(&instance))?;
        Ok(Self { shared, thread: Some(thread), instance })
    }

    fn add_to(&self, health: &mut Health) {
        let shared = &self.shared;
        let tail = shared.tail.lock();
        health.instances.push(self.instance.path.clone());
        health.full = health.full.take().or_else(|| tail.full.clone());
        let failing = tail.gone.as_ref().or(tail.failing.as_ref());
        health.failing = health.failing.take().or_else(|| failing.cloned());
        health.open += tail.open_attempts();
        health.waiting += tail.waiting.len() as u64;
        health.unjournalled += shared.unjournalled.load(Ordering::Relaxed);
        health.unjournalled_cost += Money(shared.unjournalled_cost.load(Ordering::Relaxed));
        health.lost += shared.lost.load(Ordering::Relaxed);
        health.sync_failures += shared.sync_failures.load(Ordering::Relaxed);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.tail.lock().stopping = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say that it did not log.
            let _ = thread.join();
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Changes the tail, wakes the thread where that gave it something to do, and syncs first where a record must.
    fn write<T>(
        &self,
        mut tail: MutexGuard<'_, Tail>,
        change: impl FnOnce(&mut Tail) -> io::Result<T>,
    ) -> io::Result<T> {
        let idle = !tail.has_work();
        let changed = change(&mut tail);
        if idle && tail.has_work() {
            self.wake.notify_one();
        }
        if self.sync != Sync::Always {
            return changed;
        }
        // It stays dirty, so that the thread comes by and looks whether all is in place.
        let sealed = std::mem::take(&mut tail.sealed);
        let file = Arc::clone(&tail.file);
        drop(tail);
        sealed.iter().map(|(_, file)| file).chain([&file]).try_for_each(|file| self.force(file))?;
        changed
    }

    /// Forces what was written to a segment to the disk.
    pub(crate) fn force(&self, file: &std::fs::File) -> io::Result<()> {
        file.sync_data().inspect_err(|err| {
            tracing::error!(error = %err, "the journal could not be synced");
            self.sync_failures.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn now_micros(&self) -> u64 {
        let since = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_micros().try_into().unwrap_or(u64::MAX)
    }
}
