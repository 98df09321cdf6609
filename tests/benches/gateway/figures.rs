//! What was measured, before anyone judges it.

/// One figure a round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(pub(crate) Vec<f64>);

/// What one target did in one scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent {
    /// CPU microseconds of one request or one event.
    pub(crate) cpu: Series,
    /// Requests a second, or events.
    pub(crate) rate: Series,
    /// Answers that were not whole.
    pub(crate) failures: usize,
}

/// How long answers took at a fixed rate, in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latency {
    /// Half were faster.
    pub(crate) p50: Series,
    /// One in a hundred was slower.
    pub(crate) p99: Series,
}

// === impl Series ===

impl Series {
    /// The middle one; not a number where there is none.
    pub(crate) fn median(&self) -> f64 {
        quantile(&self.0, 0.5)
    }

    /// The smallest.
    pub(crate) fn min(&self) -> f64 {
        quantile(&self.0, 0.0)
    }

    /// The largest.
    pub(crate) fn max(&self) -> f64 {
        quantile(&self.0, 1.0)
    }

    /// Round by round against another.
    pub(crate) fn against(&self, other: &Self, compare: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(own, other)| compare(*own, *other)).collect())
    }
}

/// The value that this share of all values does not exceed.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((share * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
}
