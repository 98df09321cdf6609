//! The series that calls of one kind add to, found by one look-up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};

use super::cell::{Bounds, Cell, Life, Slot};
use super::family::Family;
use super::marks::{KeptMarks, Marks};
use super::settings::MetricSettings;
use super::standing::Standing;
use super::table::Metric;
use super::words::Words;
use crate::lane::{self, Lane};

/// Of each lane. A power of two: calls of different callers seldom share a lock, and nobody holds one for long.
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
    /// What its seconds are counted from.
    began: Instant,
    cleanup: Duration,
    lasts: [Option<u64>; 2],
    swept: Mutex<Swept>,
}

/// How it was when series were looked through last.
#[derive(Default)]
struct Swept {
    second: u64,
    refused: u64,
}

/// By the hash of their marks.
type Kinds = HashMap<u64, Vec<Arc<Series>>, RandomState>;

/// What all calls have in common that have the same marks.
pub(super) struct Series {
    marks: KeptMarks,
    /// One for each metric, once something was counted in it.
    slots: Box<[OnceLock<Slot>]>,
    /// Who called last, where something limits it.
    standing: Mutex<Option<Standing>>,
    life: Life,
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
    now: Instant,
    lane: Lane,
}

// === impl AllSeries ===

impl AllSeries {
    pub(super) fn new(families: Vec<Family>, bounds: Arc<Bounds>, settings: &MetricSettings) -> Self {
        let most = settings.most_series;
        Self {
            families,
            bounds,
            began: Instant::now(),
            cleanup: settings.cleanup,
            lasts: [settings.lasts(false), settings.lasts(true)],
            swept: Mutex::default(),
            room: Room { most, taken: AtomicUsize::new(0), refused: AtomicU64::new(0) },
            hasher: RandomState::default(),
            shards: (0..lane::count() * SHARDS).map(|_| RwLock::default()).collect(),
            most_kinds: (most / SHARDS / lane::count()).max(LEAST_KINDS),
        }
    }

    /// The series of these marks, as this thread's lane knows them: nothing that it reads here is written by another. A
    /// shard that knows too many kinds of calls forgets them; their series stay.
    pub(super) fn of(&self, marks: &Marks<'_>, now: Instant) -> Adding<'_> {
        let lane = Lane::own();
        let hash = marks.hash(&self.hasher);
        let found = |shard: &Kinds| shard.get(&hash)?.iter().find(|series| series.marks.are(marks)).cloned();
        #[expect(clippy::cast_possible_truncation, reason = "the lowest bits choose the shard")]
        let Some(shard) = self.shards.get(lane.place() * SHARDS + hash as usize % SHARDS) else {
            return Adding { all: self, series: self.made(marks, now), now, lane };
        };
        let known = found(&shard.read());
        let series = known.unwrap_or_else(|| {
            let mut shard = shard.write();
            if shard.len() >= self.most_kinds {
                shard.clear();
            }
            found(&shard).unwrap_or_else(|| {
                let series = self.made(marks, now);
                shard.entry(hash).or_default().push(series.clone());
                series
            })
        });
        series.life.touch(|| self.second(now));
        Adding { all: self, series, now, lane }
    }

    fn made(&self, marks: &Marks<'_>, now: Instant) -> Arc<Series> {
        let [lasts, of_end_user] = self.lasts;
        let lasts = if marks.end_user.is_empty() { lasts } else { of_end_user };
        Series::new(marks, Life::new(self.second(now), lasts))
    }

    /// Drops what nothing was added to for its time, unless that was done lately and there is room.
    pub(super) fn sweep(&self, now: Instant) {
        let second = self.second(now);
        let mut swept = self.swept.lock();
        let lately = second.saturating_sub(swept.second) < self.cleanup.as_secs();
        if self.lasts == [None, None] || lately && !self.room.is_scarce() {
            return;
        }
        self.forget(|series| series.life.is_over(second) && Arc::strong_count(series) == 1);
        let dropped = self.families.iter().map(|family| family.sweep(second)).sum();
        self.room.give(dropped);
        let (_, refused) = self.room.figures();
        // Where there is room again, those have series of their own again that were told together.
        if dropped > 0 && refused > swept.refused {
            self.forget(|series| series.is_other());
        }
        *swept = Swept { second, refused };
    }

    fn forget(&self, goes: impl Fn(&Arc<Series>) -> bool) {
        for shard in &self.shards {
            shard.write().retain(|_, list| {
                list.retain(|series| !goes(series));
                !list.is_empty()
            });
        }
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs()
    }

    /// One series of one metric, found the long way.
    pub(super) fn cell(&self, metric: Metric, words: &Words<'_>, now: Instant) -> Option<Arc<Cell>> {
        let family = self.family(metric)?;
        Some(family.cell(words, self.second(now), &self.room, &self.bounds))
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
    fn new(marks: &Marks<'_>, life: Life) -> Arc<Self> {
        let slots = Metric::ALL.iter().map(|_| OnceLock::new()).collect();
        Arc::new(Self { marks: marks.kept(), slots, standing: Mutex::default(), life })
    }

    /// Whether something of it is told together with others.
    fn is_other(&self) -> bool {
        self.slots.iter().filter_map(OnceLock::get).any(|slot| slot.cell.is_other)
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.slots.iter().filter_map(OnceLock::get).for_each(|slot| self.life.pass_on(&slot.cell.life));
    }
}

// === impl Adding ===

impl Adding<'_> {
    /// Counts so much more; nothing is no more.
    pub(super) fn add(&self, metric: Metric, amount: u64) {
        if amount > 0 {
            self.with(metric, |slot| slot.add(self.lane, amount));
        }
    }

    /// One more observation of so many nanoseconds.
    pub(super) fn took(&self, metric: Metric, nanos: u64) {
        self.with(metric, |slot| slot.add(self.lane, nanos));
    }

    /// That is the case now.
    pub(super) fn set(&self, metric: Metric, level: f64) {
        self.with(metric, |slot| slot.cell.set(level));
    }

    /// Where the caller stands now.
    pub(super) fn stands(&self, standing: Standing) {
        *self.series.standing.lock() = Some(standing);
    }

    fn with(&self, metric: Metric, then: impl FnOnce(&Slot)) {
        let Some(slot) = self.series.slots.get(metric as usize) else { return };
        if let Some(slot) = slot.get().or_else(|| self.made(metric, slot)) {
            then(slot);
        }
    }

    #[cold]
    fn made<'a>(&self, metric: Metric, slot: &'a OnceLock<Slot>) -> Option<&'a Slot> {
        let (all, family) = (self.all, self.all.family(metric)?);
        let cell = || family.cell(&self.series.marks.words(), all.second(self.now), &all.room, &all.bounds);
        Some(slot.get_or_init(|| cell().slot(self.lane)))
    }
}

// === impl Room ===

impl Room {
    /// Whether there is room for one more, where its metric has some.
    pub(super) fn take(&self, in_metric: bool) -> bool {
        let more = |taken: usize| (taken < self.most).then_some(taken + 1);
        let taken = in_metric && self.taken.fetch_update(Relaxed, Relaxed, more).is_ok();
        if !taken {
            self.refused.fetch_add(1, Relaxed);
        }
        taken
    }

    /// So many are gone.
    fn give(&self, count: usize) {
        self.taken.fetch_sub(count, Relaxed);
    }

    /// Whether less than an eighth is left.
    fn is_scarce(&self) -> bool {
        self.taken.load(Relaxed) > self.most - self.most / 8
    }

    /// Series that there are, and those that there was no room for.
    pub(super) fn figures(&self) -> (usize, u64) {
        (self.taken.load(Relaxed), self.refused.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::metrics::{Figures, Meter, TextFormat};

    #[test]
    fn what_something_is_added_to_again_stays() {
        let ttl = Some(Duration::from_secs(600));
        let meter = Meter::new(MetricSettings { litellm: true, ttl, ..MetricSettings::default() });
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        for seconds in [0, 500] {
            meter.0.series.of(&meter.0.marks(), at(seconds)).add(Metric::CommonRequests, 1);
        }
        let told = |seconds| {
            let text = meter.text_at(&Figures::default(), TextFormat::Plain, UNIX_EPOCH, at(seconds));
            text.lines().filter(|line| line.starts_with("litellm_requests_total{")).count()
        };
        assert_eq!([told(1_000), told(1_200)], [1, 0]);
    }
}
