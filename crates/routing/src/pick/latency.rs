//! The one that answered fastest lately.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use gatewright_core::Call;
use tokio::time::Instant;

use super::latencies::Average;
use super::{Dice, Pick, Pool, one_of};
use crate::seen::{Seen, Trial};
use crate::words::Words;

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
    /// The averages of all that are fit, at their places. One without a fresh answer has none, which is zero.
    fn averages(&self, pool: &Pool<'_>, stream: bool) -> Vec<Average> {
        let at = pool.fit.at;
        let mut averages = vec![Average::NONE; pool.len()];
        pool.each_fit_of(0..pool.len(), &mut |nth, words: Words<'_>| {
            if let Some(place) = averages.get_mut(nth) {
                *place = Average(words.average(stream).load(Relaxed));
            }
        });
        // Without a way out of it: a thousand are looked at as soon as one.
        if averages.iter().fold(false, |stale, average| stale | average.is_stale(at)) {
            for (nth, average) in averages.iter_mut().enumerate().filter(|(_, average)| average.is_stale(at))
            {
                *average = Self::renewed(pool, nth, stream);
            }
        }
        averages
    }

    /// The fit one with the least average. Made for streams and for whole answers, so that a thousand are not asked which.
    #[inline(always)]
    fn fastest<'p>(
        &self,
        pool: &Pool<'p>,
        dice: &dyn Dice,
        stream: bool,
        of: impl Fn(Words<'p>) -> &'p AtomicU64,
    ) -> Option<usize> {
        let at = pool.fit.at;
        pool.least(dice, |nth, words| {
            let average = Average(of(words).load(Relaxed));
            if average.is_stale(at) { Self::renewed(pool, nth, stream) } else { average }.bits()
        })
    }

    #[cold]
    #[inline(never)]
    fn renewed(pool: &Pool<'_>, nth: usize, stream: bool) -> Average {
        pool.seen(nth)
            .map_or(Average::NONE, |seen| seen.latencies.lock().renew(stream, pool.fit.at, seen.slot.words()))
    }
}

impl Pick for LowestLatency {
    fn pick(&self, call: &Call, pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize> {
        if self.0.buffer <= 0.0 {
            return match call.stream {
                true => self.fastest(pool, dice, true, |words| words.average(true)),
                false => self.fastest(pool, dice, false, |words| words.average(false)),
            };
        }
        let averages = self.averages(pool, call.stream);
        let least = averages.iter().map(|average| average.bits()).min()?;
        let most = at_most(f64::from(f32::from_bits(least)) * (1.0 + self.0.buffer)).to_bits();
        let good: u32 = averages.iter().map(|average| u32::from(average.bits() <= most)).sum();
        let chosen = match good {
            _ if least == Average::NONE.bits() => return None,
            1 => 0,
            _ => one_of(usize::try_from(good).unwrap_or_default(), dice),
        };
        let mut good = averages.iter().enumerate().filter(|(_, average)| average.bits() <= most);
        good.nth(chosen).map(|(nth, _)| nth)
    }

    fn learn(&self, seen: &Seen, trial: &Trial, now: Instant) {
        let seconds = match (trial.timed_out, trial.failed, trial.output) {
            (true, ..) => TIMED_OUT,
            (_, true, _) => return,
            _ if trial.stream => trial.first_content.as_secs_f64(),
            (_, _, Some(output @ 1..)) => per_token(trial.whole, output),
            _ => trial.whole.as_secs_f64(),
        };
        let at = seen.health.millis(now);
        let until = at.saturating_add(u64::try_from(self.0.fresh.as_millis()).unwrap_or(u64::MAX));
        let mut latencies = seen.latencies.lock();
        latencies.learn(trial.stream, seconds, until, self.0.remembered);
        latencies.renew(trial.stream, at, seen.slot.words());
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a bound need not be exact")]
fn at_most(seconds: f64) -> f32 {
    seconds as f32
}

#[expect(clippy::cast_precision_loss, reason = "a number of tokens")]
fn per_token(whole: Duration, tokens: u64) -> f64 {
    whole.as_secs_f64() / tokens as f64
}
