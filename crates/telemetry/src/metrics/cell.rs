//! The figures of one series: atomics that calls add to and that a scrape reads.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::table::Kind;
use super::text::Text;
use crate::lane::{Lane, Lanes, Sum};

/// One series: its labels as text, and its figures.
pub(super) struct Cell {
    pub(super) labels: Arc<str>,
    figures: Figures,
    /// Whether it stands for all that there was no room for.
    pub(super) is_other: bool,
    pub(super) life: Life,
}

/// When something was added last, in the meter's seconds, and for how many seconds it stays without.
pub(super) struct Life {
    touched: AtomicU64,
    lasts: Option<u64>,
}

/// What is added has a place for each lane; a scrape sums them.
enum Figures {
    Count(Lanes<Sum>),
    Dollars(Lanes<Sum>),
    /// The bits of a float.
    Level(AtomicU64),
    Seconds(Spread),
}

/// What the calls of one lane add to, at hand: a cell, and the lane's place in it.
pub(super) struct Slot {
    pub(super) cell: Arc<Cell>,
    place: Place,
}

enum Place {
    Count(Arc<Sum>),
    Seconds(Arc<Observed>),
    /// Nothing is added to it.
    Level,
}

/// How often something took how long.
pub(super) struct Spread {
    bounds: Arc<Bounds>,
    lanes: Lanes<Observed>,
}

/// What one lane saw of it.
struct Observed {
    bounds: Arc<Bounds>,
    /// One more than there are bounds; each counts what is in no lower one.
    buckets: Box<[Sum]>,
    nanos: Sum,
}

/// The upper bounds of buckets.
pub(super) struct Bounds {
    nanos: Vec<u64>,
    /// `le="…"`, the last one without a bound.
    labels: Vec<String>,
}

/// A billionth part of this, as a decimal.
struct Billionths(u64);

// === impl Cell ===

impl Cell {
    pub(super) fn new(kind: Kind, labels: Arc<str>, bounds: &Arc<Bounds>, life: Life) -> Self {
        let figures = match kind {
            Kind::Count => Figures::Count(Lanes::new()),
            Kind::Dollars => Figures::Dollars(Lanes::new()),
            Kind::Level => Figures::Level(AtomicU64::new(0)),
            Kind::Seconds => Figures::Seconds(Spread::new(bounds)),
        };
        Self { labels, figures, is_other: false, life }
    }

    /// For all that there is no room for. It stays.
    pub(super) fn of_others(self, labels: Arc<str>) -> Self {
        Self { labels, is_other: true, life: Life::new(0, None), ..self }
    }

    /// What calls of this lane add to.
    pub(super) fn slot(self: Arc<Self>, lane: Lane) -> Slot {
        let place = match &self.figures {
            Figures::Count(lanes) | Figures::Dollars(lanes) => {
                lanes.of(lane, Sum::default).cloned().map(Place::Count)
            }
            Figures::Seconds(spread) => spread.of(lane).cloned().map(Place::Seconds),
            Figures::Level(_) => None,
        };
        Slot { cell: self, place: place.unwrap_or(Place::Level) }
    }

    /// That is the case now.
    pub(super) fn set(&self, level: f64) {
        // What is only read can lie in several caches.
        if let Figures::Level(bits) = &self.figures
            && bits.load(Relaxed) != level.to_bits()
        {
            bits.store(level.to_bits(), Relaxed);
        }
    }

    /// What is the case, as it was set last.
    pub(super) fn level(&self) -> f64 {
        match &self.figures {
            Figures::Level(bits) => f64::from_bits(bits.load(Relaxed)),
            Figures::Count(_) | Figures::Dollars(_) | Figures::Seconds(_) => 0.0,
        }
    }

    pub(super) fn write(&self, text: &mut Text) {
        match &self.figures {
            Figures::Count(lanes) => text.sample(&self.labels, sum(lanes.all())),
            Figures::Dollars(lanes) => text.sample(&self.labels, Billionths(sum(lanes.all()))),
            Figures::Level(_) => text.sample(&self.labels, self.level()),
            Figures::Seconds(spread) => spread.write(&self.labels, text),
        }
    }
}

// === impl Slot ===

impl Slot {
    /// Counts so much more: nanoseconds are one more observation.
    pub(super) fn add(&self, lane: Lane, amount: u64) {
        match &self.place {
            Place::Count(count) => count.add(lane, amount),
            Place::Seconds(seen) => seen.observe(lane, amount),
            Place::Level => {}
        }
    }
}

// === impl Life ===

impl Life {
    pub(super) fn new(second: u64, lasts: Option<u64>) -> Self {
        Self { touched: AtomicU64::new(second), lasts }
    }

    /// Something is added.
    pub(super) fn touch(&self, second: impl FnOnce() -> u64) {
        if self.lasts.is_some() {
            self.touched.store(second(), Relaxed);
        }
    }

    /// Whatever it is part of lives as long as this did.
    pub(super) fn pass_on(&self, to: &Self) {
        to.touched.fetch_max(self.touched.load(Relaxed), Relaxed);
    }

    pub(super) fn is_over(&self, second: u64) -> bool {
        let idle = second.saturating_sub(self.touched.load(Relaxed));
        self.lasts.is_some_and(|lasts| idle >= lasts)
    }
}

// === impl Spread ===

impl Spread {
    pub(super) fn new(bounds: &Arc<Bounds>) -> Self {
        Self { bounds: bounds.clone(), lanes: Lanes::new() }
    }

    pub(super) fn observe(&self, lane: Lane, nanos: u64) {
        self.of(lane).inspect(|seen| seen.observe(lane, nanos));
    }

    fn of(&self, lane: Lane) -> Option<&Arc<Observed>> {
        self.lanes.of(lane, || Observed::nothing(&self.bounds))
    }

    pub(super) fn write(&self, labels: &str, text: &mut Text) {
        let mut count = 0;
        for (place, le) in self.bounds.labels.iter().enumerate() {
            count += sum(self.lanes.all().filter_map(|seen| seen.buckets.get(place)));
            text.named("_bucket", labels, le, count);
        }
        let nanos = sum(self.lanes.all().map(|seen| &seen.nanos));
        text.named("_sum", labels, "", Billionths(nanos));
        text.named("_count", labels, "", count);
    }
}

// === impl Observed ===

impl Observed {
    fn nothing(bounds: &Arc<Bounds>) -> Self {
        let buckets = bounds.labels.iter().map(|_| Sum::default()).collect();
        Self { bounds: bounds.clone(), buckets, nanos: Sum::default() }
    }

    fn observe(&self, lane: Lane, nanos: u64) {
        let place = self.bounds.nanos.iter().position(|bound| nanos <= *bound);
        let place = place.unwrap_or(self.bounds.nanos.len());
        if let Some(bucket) = self.buckets.get(place) {
            bucket.add(lane, 1);
        }
        self.nanos.add(lane, nanos);
    }
}

/// In nanoseconds, as they are added.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn sum<'a>(lanes: impl Iterator<Item = &'a Sum>) -> u64 {
    lanes.fold(0, |all, lane| all.wrapping_add(lane.total()))
}

// === impl Bounds ===

impl Bounds {
    /// From seconds, from the lowest up.
    pub(super) fn new(seconds: &[f64]) -> Arc<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float's cast saturates"
        )]
        let nanos = seconds.iter().map(|bound| (bound * 1e9).round() as u64).collect();
        let told = seconds.iter().map(|bound| format!("le=\"{bound:?}\""));
        Arc::new(Self { nanos, labels: told.chain(["le=\"+Inf\"".to_owned()]).collect() })
    }
}

// === impl Billionths ===

impl fmt::Display for Billionths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{rest:09}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;
    use crate::TextFormat;

    #[test]
    fn what_several_lanes_counted_is_told_as_one() {
        let bounds = Bounds::new(&[1.0]);
        for (kind, told) in [
            (Kind::Count, vec!["n_total 6000000000"]),
            (Kind::Dollars, vec!["n_total 6"]),
            (
                Kind::Seconds,
                vec!["n_bucket{le=\"1.0\"} 2", "n_bucket{le=\"+Inf\"} 4", "n_sum 6", "n_count 4"],
            ),
        ] {
            let cell = Arc::new(Cell::new(kind, "".into(), &bounds, Life::new(0, None)));
            let lanes = Barrier::new(2);
            let counts = || {
                let lane = Lane::own();
                let slot = cell.clone().slot(lane);
                slot.add(lane, 1_000_000_000);
                slot.add(lane, 2_000_000_000);
                lanes.wait();
            };
            thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(counts))));
            let mut text = Text::new(TextFormat::OpenMetrics, 0);
            text.family("n", kind, "");
            cell.write(&mut text);
            let text = text.finish();
            for line in told {
                assert!(text.lines().any(|other| other == line), "{line} is missing in {text}");
            }
        }
    }

    #[test]
    fn money_and_time_are_told_to_the_last_billionth() {
        for (nanos, told) in [
            (0, "0"),
            (1, "0.000000001"),
            (75_000, "0.000075"),
            (1_000_000_000, "1"),
            (u64::MAX, "18446744073.709551615"),
        ] {
            assert_eq!(Billionths(nanos).to_string(), told);
        }
    }
}
