//! The journal: every attempt is in it before the upstream hears of it, and again when it ends.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use gatewright_core::{Clock, Money};
use parking_lot::{Condvar, Mutex};

use crate::disk::{Disk, RealDisk};
use crate::instance::{self, Instance};
use crate::record::{Begin, Checkpoint, Settle};
use crate::segment::frame;
use crate::tail::Tail;
use crate::{flusher, recovery};

/// How a journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Holds one directory an instance.
    pub dir: PathBuf,
    /// The size of a segment, which is reserved on the disk ahead. Two are held at any time.
    pub segment_bytes: u64,
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
    segment: Option<u64>,
}

/// How the journal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The directory of this instance.
    pub instance: PathBuf,
    /// The segment that is written to.
    pub segment: u64,
    /// The disk had no room for the next segment: this one is the last.
    pub full: bool,
    /// Attempts that are running.
    pub open: u64,
    /// Ends that the disk did not take yet.
    pub waiting: u64,
    /// Attempts that passed and were not written down.
    pub unjournalled: u64,
    /// What those cost.
    pub unjournalled_cost: Money,
    /// Ends that were lost: the next process closes those attempts as interrupted.
    pub lost: u64,
    /// Times that the disk failed to take what was written.
    pub sync_failures: u64,
}

/// An open journal. Clones share it; the last one that goes syncs it and gives the directory back.
#[derive(Clone)]
pub struct Journal(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    instance: Instance,
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

// === impl Settings ===

impl Settings {
    /// The defaults: segments of 16 MiB, synced every 50 ms, and nothing is spent that is not written down.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 16 << 20,
            sync: Sync::Every(Duration::from_millis(50)),
            on_full: OnFull::Refuse,
        }
    }
}

// === impl Journal ===

impl Journal {
    /// Takes the first directory that no live process holds, and closes the books of a predecessor that died in it.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> io::Result<Self> {
        Self::open_on(Arc::new(RealDisk), settings, clock)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let Settings { dir, segment_bytes, sync, on_full } = settings;
        let instance = instance::claim(&dir)?;
        let tail = recovery::resume(&instance.path, disk, segment_bytes)?;
        let shared = Arc::new(Shared {
            tail: Mutex::new(tail),
            wake: Condvar::new(),
            sync,
            sync_failures: AtomicU64::new(0),
            on_full,
            clock,
            unjournalled: AtomicU64::new(0),
            unjournalled_cost: AtomicI64::new(0),
            lost: AtomicU64::new(0),
        });
        let thread = flusher::start(Arc::clone(&shared))?;
        Ok(Self(Arc::new(Running { shared, thread: Some(thread), instance })))
    }

    /// Writes that an attempt begins. An error means that it must not be sent.
    pub fn begin(&self, begin: &Begin) -> io::Result<Ticket> {
        let shared = &self.0.shared;
        let mut record = frame(|out| begin.encode(out));
        let written = shared.write(|tail| tail.begin(&mut record, shared.now_micros()));
        match written {
            Ok(segment) => Ok(Ticket { segment: Some(segment) }),
            Err(err) => match shared.on_full {
                OnFull::Refuse => Err(err),
                OnFull::Continue => {
                    shared.unjournalled.fetch_add(1, Ordering::Relaxed);
                    Ok(Ticket { segment: None })
                }
            },
        }
    }

    /// Writes how far an attempt is. That is worth nothing to the living, so a failure is not told.
    pub fn checkpoint(&self, ticket: &Ticket, checkpoint: &Checkpoint) {
        if ticket.segment.is_some() {
            let mut record = frame(|out| checkpoint.encode(out));
            let _ = self.0.shared.write(|tail| tail.checkpoint(&mut record));
        }
    }

    /// Writes that an attempt ended. What the disk does not take is kept and tried again.
    pub fn settle(&self, ticket: Ticket, settle: &Settle) {
        let shared = &self.0.shared;
        let Some(segment) = ticket.segment else {
            shared.unjournalled_cost.fetch_add(settle.cost.0, Ordering::Relaxed);
            return;
        };
        let record = frame(|out| settle.encode(out));
        let kept = shared.write(|tail| Ok(tail.settle(record, segment)));
        if !matches!(kept, Ok(true)) {
            shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How the journal is.
    pub fn health(&self) -> Health {
        let shared = &self.0.shared;
        let tail = shared.tail.lock();
        Health {
            instance: self.0.instance.path.clone(),
            segment: tail.name.number,
            full: tail.full,
            open: tail.open_attempts(),
            waiting: tail.waiting.len() as u64,
            unjournalled: shared.unjournalled.load(Ordering::Relaxed),
            unjournalled_cost: Money(shared.unjournalled_cost.load(Ordering::Relaxed)),
            lost: shared.lost.load(Ordering::Relaxed),
            sync_failures: shared.sync_failures.load(Ordering::Relaxed),
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Changes the tail, wakes the thread where that gave it something to do, and syncs first where a record must.
    fn write<T>(&self, change: impl FnOnce(&mut Tail) -> io::Result<T>) -> io::Result<T> {
        let mut tail = self.tail.lock();
        let idle = !tail.has_work();
        let changed = change(&mut tail);
        if idle && tail.has_work() {
            self.wake.notify_one();
        }
        if self.sync != Sync::Always {
            return changed;
        }
        let sealed = std::mem::take(&mut tail.sealed);
        tail.dirty = false;
        let file = Arc::clone(&tail.file);
        drop(tail);
        sealed.iter().chain([&file]).try_for_each(|file| self.force(file))?;
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

// === impl Running ===

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.tail.lock().stopping = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say that it did not log.
            let _ = thread.join();
        }
    }
}
