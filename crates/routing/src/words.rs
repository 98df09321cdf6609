//! The words that strategies compare, those of many deployments side by side: a choice among a thousand reads a few KiB
//! in a row.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::tally::Tally;

/// Deployments that have their words together.
pub(crate) const WIDTH: usize = 64;

/// The words of some deployments.
pub(crate) struct Block {
    /// Until when any of them may be in trouble: no earlier than the latest of theirs, so that one look tells of all.
    trouble_until_any: AtomicU64,
    cooling_until: [AtomicU64; WIDTH],
    trouble_until: [AtomicU64; WIDTH],
    /// Attempts that are on their way: here in the lower half, at the other replicas in the upper one.
    in_flight: [AtomicU64; WIDTH],
    minute: [Tally; WIDTH],
    minute_elsewhere: [Tally; WIDTH],
    whole: [AtomicU64; WIDTH],
    streams: [AtomicU64; WIDTH],
}

/// The place of one deployment's words.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) block: Arc<Block>,
    pub(crate) at: usize,
}

/// Gives places out, one after the other.
#[derive(Default)]
pub(crate) struct Slots {
    block: Option<Arc<Block>>,
    given: usize,
}

/// The words of one deployment.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    block: &'a Block,
    at: usize,
}

const HALF: u64 = u32::MAX as u64;

// === impl Block ===

impl Block {
    fn new() -> Self {
        Self {
            trouble_until_any: AtomicU64::new(0),
            cooling_until: array::from_fn(|_| AtomicU64::new(0)),
            trouble_until: array::from_fn(|_| AtomicU64::new(0)),
            in_flight: array::from_fn(|_| AtomicU64::new(0)),
            minute: array::from_fn(|_| Tally::default()),
            minute_elsewhere: array::from_fn(|_| Tally::default()),
            whole: array::from_fn(|_| AtomicU64::new(0)),
            streams: array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Those at this place.
    #[inline]
    pub(crate) fn words(&self, at: usize) -> Words<'_> {
        Words { block: self, at }
    }

    /// Whether surely none of them rests or is down.
    pub(crate) fn is_clear_at(&self, at: u64) -> bool {
        self.trouble_until_any.load(Relaxed) <= at
    }
}

// === impl Slot ===

impl Slot {
    pub(crate) fn words(&self) -> Words<'_> {
        self.block.words(self.at)
    }
}

// === impl Slots ===

impl Slots {
    pub(crate) fn next(&mut self) -> Slot {
        let block = match &self.block {
            Some(block) if self.given < WIDTH => block.clone(),
            _ => {
                self.given = 0;
                self.block.insert(Arc::new(Block::new())).clone()
            }
        };
        self.given += 1;
        Slot { block, at: self.given - 1 }
    }
}

// === impl Words ===

impl<'a> Words<'a> {
    /// Until when it rests.
    pub(crate) fn cooling_until(self) -> &'a AtomicU64 {
        &self.block.cooling_until[self.at % WIDTH]
    }

    /// Whether it surely neither rests nor is down, so that no further question is needed.
    pub(crate) fn is_clear_at(self, at: u64) -> bool {
        self.block.trouble_until[self.at % WIDTH].load(Relaxed) <= at
    }

    /// It may rest or be down until then.
    pub(crate) fn raise_trouble(self, until: u64) {
        self.block.trouble_until[self.at % WIDTH].fetch_max(until, Relaxed);
        self.block.trouble_until_any.fetch_max(until, Relaxed);
    }

    /// Attempts that are on their way, at all replicas.
    pub(crate) fn in_flight(self) -> u32 {
        let both = self.both_in_flight().load(Relaxed);
        lower(both).saturating_add(lower(both >> 32))
    }

    /// Attempts that are on their way here.
    pub(crate) fn own_in_flight(self) -> u32 {
        lower(self.both_in_flight().load(Relaxed))
    }

    pub(crate) fn begin(self) {
        self.both_in_flight().fetch_add(1, Relaxed);
    }

    pub(crate) fn end(self) {
        self.both_in_flight().fetch_sub(1, Relaxed);
    }

    pub(crate) fn put_in_flight_elsewhere(self, count: u32) {
        let put = |both: u64| Some(both & HALF | u64::from(count) << 32);
        let _: Result<u64, u64> = self.both_in_flight().fetch_update(Relaxed, Relaxed, put);
    }

    /// Attempts and tokens of a minute, at all replicas.
    pub(crate) fn usage_in(self, minute: u64) -> (u64, u64) {
        let (own, others) = (self.minute().read(minute), self.minute_elsewhere().read(minute));
        (own.0 + others.0, own.1 + others.1)
    }

    /// Tokens of a minute, at all replicas.
    pub(crate) fn tokens_in(self, minute: u64) -> u64 {
        self.minute().large(minute) + self.minute_elsewhere().large(minute)
    }

    /// Attempts and tokens of the current minute.
    pub(crate) fn minute(self) -> &'a Tally {
        &self.block.minute[self.at % WIDTH]
    }

    /// The same at the other replicas, as they told it last.
    pub(crate) fn minute_elsewhere(self) -> &'a Tally {
        &self.block.minute_elsewhere[self.at % WIDTH]
    }

    /// How long its last answers took on the average: streams, or whole ones.
    pub(crate) fn average(self, stream: bool) -> &'a AtomicU64 {
        let averages = if stream { &self.block.streams } else { &self.block.whole };
        &averages[self.at % WIDTH]
    }

    fn both_in_flight(self) -> &'a AtomicU64 {
        &self.block.in_flight[self.at % WIDTH]
    }
}

fn lower(both: u64) -> u32 {
    (both & HALF) as u32
}
