//! The one that answered fastest lately.

use std::time::Duration;

use gatewright_core::Call;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Dice, Pick, Pool, one_of};
use crate::seen::{Seen, Trial};

/// The one whose last answers came fastest on the average: for streams the time to the first content, for whole
/// answers the time a token of output. Those that were not measured lately come first.
#[derive(Clone, Copy, Debug, Default)]
pub struct LowestLatency(pub LatencySettings);

/// What decides which one was fastest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencySettings {
    /// How many answers are remembered of each.
    pub remembered: usize,
    /// For how long.
    pub fresh: Duration,
    /// How much slower than the fastest others may be to be as good, as a share.
    pub buffer: f64,
}

/// The last answers of one deployment: of whole answers and of streams, in seconds, and when each was.
#[derive(Default)]
pub(crate) struct Latencies {
    whole: Vec<(f64, Instant)>,
    streams: Vec<(f64, Instant)>,
}

/// What an answer that did not come in time counts for, in seconds.
const TIMED_OUT: f64 = 1000.0;

// === impl LatencySettings ===

impl Default for LatencySettings {
    fn default() -> Self {
        Self { remembered: 10, fresh: Duration::from_secs(3600), buffer: 0.0 }
    }
}

// === impl LowestLatency ===

impl LowestLatency {
    /// The average of what is still fresh; zero where nothing is.
    fn average(&self, seen: &Seen, stream: bool, now: Instant) -> f64 {
        let latencies = seen.latencies.lock();
        let all = if stream { &latencies.streams } else { &latencies.whole };
        let fresh = |at: Instant| now.duration_since(at) < self.0.fresh;
        let (sum, count) = all
            .iter()
            .filter(|(_, at)| fresh(*at))
            .fold((0.0, 0.0), |(sum, count), (seconds, _)| (sum + seconds, count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    }
}

impl Pick for LowestLatency {
    fn pick(&self, call: &Call, pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize> {
        let measured: SmallVec<[(usize, f64); 16]> = pool
            .fits()
            .filter_map(|nth| Some((nth, self.average(pool.seen(nth)?, call.stream, pool.now))))
            .collect();
        let least = measured.iter().map(|(_, average)| *average).fold(f64::INFINITY, f64::min);
        let most = least * (1.0 + self.0.buffer);
        let good: SmallVec<[usize; 16]> =
            measured.iter().filter(|(_, average)| *average <= most).map(|(nth, _)| *nth).collect();
        good.get(one_of(good.len(), dice)).copied()
    }

    fn learn(&self, seen: &Seen, trial: &Trial, now: Instant) {
        let seconds = match (trial.timed_out, trial.failed, trial.output) {
            (true, ..) => TIMED_OUT,
            (_, true, _) => return,
            _ if trial.stream => trial.first_content.as_secs_f64(),
            (_, _, Some(output @ 1..)) => per_token(trial.whole, output),
            _ => trial.whole.as_secs_f64(),
        };
        let mut latencies = seen.latencies.lock();
        let all = if trial.stream { &mut latencies.streams } else { &mut latencies.whole };
        if all.len() >= self.0.remembered.max(1) {
            all.remove(0);
        }
        all.push((seconds, now));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number of tokens")]
fn per_token(whole: Duration, tokens: u64) -> f64 {
    whole.as_secs_f64() / tokens as f64
}
