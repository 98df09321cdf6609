//! The figures of one series: atomics that calls add to and that a scrape reads.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::table::Kind;
use super::text::Text;

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

enum Figures {
    Count(AtomicU64),
    Dollars(AtomicU64),
    /// The bits of a float.
    Level(AtomicU64),
    Seconds(Spread),
}

/// How often something took how long.
pub(super) struct Spread {
    bounds: Arc<Bounds>,
    /// One more than there are bounds; each counts what is in no lower one.
    buckets: Box<[AtomicU64]>,
    nanos: AtomicU64,
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
            Kind::Count => Figures::Count(AtomicU64::new(0)),
            Kind::Dollars => Figures::Dollars(AtomicU64::new(0)),
            Kind::Level => Figures::Level(AtomicU64::new(0)),
            Kind::Seconds => Figures::Seconds(Spread::new(bounds)),
        };
        Self { labels, figures, is_other: false, life }
    }

    /// For all that there is no room for. It stays.
    pub(super) fn of_others(self, labels: Arc<str>) -> Self {
        Self { labels, is_other: true, life: Life::new(0, None), ..self }
    }

    /// Counts so much more: nanoseconds are one more observation.
    pub(super) fn add(&self, amount: u64) {
        match &self.figures {
            Figures::Count(count) | Figures::Dollars(count) => {
                count.fetch_add(amount, Relaxed);
            }
            Figures::Seconds(spread) => spread.observe(amount),
            Figures::Level(_) => {}
        }
    }

    /// That is the case now.
    pub(super) fn set(&self, level: f64) {
        if let Figures::Level(bits) = &self.figures {
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
            Figures::Count(count) => text.sample(&self.labels, count.load(Relaxed)),
            Figures::Dollars(nanos) => text.sample(&self.labels, Billionths(nanos.load(Relaxed))),
            Figures::Level(_) => text.sample(&self.labels, self.level()),
            Figures::Seconds(spread) => spread.write(&self.labels, text),
        }
    }
}

// === impl Life ===

impl Life {
    pub(super) fn new(second: u64, lasts: Option<u64>) -> Self {
        Self { touched: AtomicU64::new(second), lasts }
    }

    /// Something is added.
    pub(super) fn touch(&self, second: u64) {
        self.touched.store(second, Relaxed);
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
        let buckets = bounds.labels.iter().map(|_| AtomicU64::new(0)).collect();
        Self { bounds: bounds.clone(), buckets, nanos: AtomicU64::new(0) }
    }

    pub(super) fn observe(&self, nanos: u64) {
        let place = self.bounds.nanos.iter().position(|bound| nanos <= *bound);
        let place = place.unwrap_or(self.bounds.nanos.len());
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Relaxed);
        }
        self.nanos.fetch_add(nanos, Relaxed);
    }

    pub(super) fn write(&self, labels: &str, text: &mut Text) {
        let mut count = 0;
        for (bucket, le) in self.buckets.iter().zip(&self.bounds.labels) {
            count += bucket.load(Relaxed);
            text.named("_bucket", labels, le, count);
        }
        text.named("_sum", labels, "", Billionths(self.nanos.load(Relaxed)));
        text.named("_count", labels, "", count);
    }
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
    use super::*;

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
