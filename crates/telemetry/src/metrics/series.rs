//! The series that calls of one kind add to, found by one look-up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};

use super::cell::{Bounds, Cell};
use super::family::Family;
use super::marks::{KeptMarks, Marks};
use super::standing::Standing;
use super::table::Metric;
use super::words::Words;

/// A power of two: calls of different callers seldom share a lock, and nobody holds one for long.
const SHARDS: usize = 64;

/// Kinds of calls that a shard remembers at least; else one for each series that there may be, for it takes 2 KB.
const LEAST_KINDS: usize = 8;

/// All families, and who adds to what.
pub(super) struct AllSeries {
    families: Vec<Family>,
    bounds: Arc<Bounds>,
    room: Room,
    hasher: RandomState,
    shards: Box<[RwLock<Kinds>]>,
    most_kinds: usize,
}

/// By the hash of their marks.
type Kinds = HashMap<u64, Vec<Arc<Series>>, RandomState>;

/// What all calls have in common that have the same marks.
pub(super) struct Series {
    marks: KeptMarks,
    /// One for each metric, once something was counted in it.
    cells: Box<[OnceLock<Arc<Cell>>]>,
    /// Who called last, where something limits it.
    standing: Mutex<Option<Standing>>,
}

/// How many series there may be.
pub(super) struct Room {
    most: usize,
    taken: AtomicUsize,
    refused: AtomicU64,
}

/// The series of one kind of call, for as long as something is added to them.
pub(super) struct Adding<'a> {
    all: &'a AllSeries,
    series: Arc<Series>,
}

// === impl AllSeries ===

impl AllSeries {
    pub(super) fn new(families: Vec<Family>, bounds: Arc<Bounds>, most: usize) -> Self {
        Self {
            families,
            bounds,
            room: Room { most, taken: AtomicUsize::new(0), refused: AtomicU64::new(0) },
            hasher: RandomState::default(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            most_kinds: (most / SHARDS).max(LEAST_KINDS),
        }
    }

    /// The series of these marks. A shard that knows too many kinds of calls forgets them; their series stay.
    pub(super) fn of(&self, marks: &Marks<'_>) -> Adding<'_> {
        let hash = marks.hash(&self.hasher);
        let found = |shard: &Kinds| shard.get(&hash)?.iter().find(|series| series.marks.are(marks)).cloned();
        #[expect(clippy::cast_possible_truncation, reason = "the lowest bits choose the shard")]
        let Some(shard) = self.shards.get(hash as usize % SHARDS) else {
            return Adding { all: self, series: Series::new(marks) };
        };
        let known = found(&shard.read());
        let series = known.unwrap_or_else(|| {
            let mut shard = shard.write();
            if shard.len() >= self.most_kinds {
                shard.clear();
            }
            found(&shard).unwrap_or_else(|| {
                let series = Series::new(marks);
                shard.entry(hash).or_default().push(series.clone());
                series
            })
        });
        Adding { all: self, series }
    }

    /// One series of one metric, found the long way.
    pub(super) fn cell(&self, metric: Metric, words: &Words<'_>) -> Option<Arc<Cell>> {
        let family = self.family(metric)?;
        Some(family.cell(words, &self.room, &self.bounds))
    }

    /// Where those stand who called.
    pub(super) fn standings(&self) -> Vec<Standing> {
        let of = |shard: &RwLock<Kinds>| -> Vec<Standing> {
            shard.read().values().flatten().filter_map(|series| series.standing.lock().clone()).collect()
        };
        self.shards.iter().flat_map(of).collect()
    }

    /// The metric's family, where it is told.
    pub(super) fn family(&self, metric: Metric) -> Option<&Family> {
        self.families.get(metric as usize).filter(|family| family.on)
    }

    pub(super) fn families(&self) -> &[Family] {
        &self.families
    }

    pub(super) fn room(&self) -> &Room {
        &self.room
    }
}

// === impl Series ===

impl Series {
    fn new(marks: &Marks<'_>) -> Arc<Self> {
        let cells = Metric::ALL.iter().map(|_| OnceLock::new()).collect();
        Arc::new(Self { marks: marks.kept(), cells, standing: Mutex::default() })
    }
}

// === impl Adding ===

impl Adding<'_> {
    /// Counts so much more; nothing is no more.
    pub(super) fn add(&self, metric: Metric, amount: u64) {
        if amount > 0 {
            self.with(metric, |cell| cell.add(amount));
        }
    }

    /// One more observation of so many nanoseconds.
    pub(super) fn took(&self, metric: Metric, time: std::time::Duration) {
        self.with(metric, |cell| cell.add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)));
    }

    /// That is the case now.
    pub(super) fn set(&self, metric: Metric, level: f64) {
        self.with(metric, |cell| cell.set(level));
    }

    /// Where the caller stands now.
    pub(super) fn stands(&self, standing: Standing) {
        *self.series.standing.lock() = Some(standing);
    }

    fn with(&self, metric: Metric, then: impl FnOnce(&Cell)) {
        let Some(family) = self.all.family(metric) else { return };
        let Some(cell) = self.series.cells.get(metric as usize) else { return };
        then(cell.get_or_init(|| family.cell(&self.series.marks.words(), &self.all.room, &self.all.bounds)));
    }
}

// === impl Room ===

impl Room {
    /// Whether there is room for one more.
    pub(super) fn take(&self) -> bool {
        let more = |taken: usize| (taken < self.most).then_some(taken + 1);
        let taken = self.taken.fetch_update(Relaxed, Relaxed, more).is_ok();
        if !taken {
            self.refused.fetch_add(1, Relaxed);
        }
        taken
    }

    /// Series that there are, and those that there was no room for.
    pub(super) fn figures(&self) -> (usize, u64) {
        (self.taken.load(Relaxed), self.refused.load(Relaxed))
    }
}
