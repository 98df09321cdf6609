//! The one that answered fastest lately.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use gatewright_core::Call;
use tokio::time::Instant;

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

/// The last answers of one deployment: of whole answers and of streams, in seconds, and when each was, in milliseconds.
#[derive(Default)]
pub(crate) struct Latencies {
    whole: Vec<(f64, u64)>,
    streams: Vec<(f64, u64)>,
}

/// An average that is there for all to read; zero where there is none. Below it stands the second from which it must be taken
/// anew, turned over: so what is not there is never stale, and one comparison tells.
#[derive(Clone, Copy)]
struct Average(u64);

/// What an answer that did not come in time counts for, in seconds.
const TIMED_OUT: f64 = 1000.0;

// === impl LatencySettings ===

impl Default for LatencySettings {
    fn default() -> Self {
        Self { remembered: 10, fresh: Duration::from_secs(3600), buffer: 0.0 }
    }
}

// === impl Average ===

impl Average {
    /// Of one that may not be chosen; larger than any other.
    const NONE: Self = Self((u32::MAX as u64) << 32);

    #[expect(
        clippy::cast_possible_truncation,
        reason = "an average need not be exact, and no gateway runs for a century"
    )]
    fn new(seconds: f64, stale_at: u64) -> Self {
        Self(u64::from((seconds as f32).to_bits()) << 32 | u64::from(!((stale_at / 1000) as u32)))
    }

    /// Whether it must be taken anew at this time, in milliseconds.
    #[expect(clippy::cast_possible_truncation, reason = "no gateway runs for a century")]
    fn is_stale(self, at: u64) -> bool {
        self.0 as u32 >= !((at / 1000) as u32)
    }

    /// Its bits, which compare as it does.
    fn bits(self) -> u32 {
        (self.0 >> 32) as u32
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
                *average = self.renewed(pool, nth, stream);
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
            if average.is_stale(at) { self.renewed(pool, nth, stream) } else { average }.bits()
        })
    }

    #[cold]
    fn renewed(&self, pool: &Pool<'_>, nth: usize, stream: bool) -> Average {
        pool.seen(nth).map_or(Average::NONE, |seen| self.renew(seen, stream, pool.fit.at, None))
    }

    /// Takes an answer in and the average anew.
    #[cold]
    #[inline(never)]
    fn renew(&self, seen: &Seen, stream: bool, at: u64, answer: Option<f64>) -> Average {
        let fresh = u64::try_from(self.0.fresh.as_millis()).unwrap_or(u64::MAX);
        let mut latencies = seen.latencies.lock();
        let all = if stream { &mut latencies.streams } else { &mut latencies.whole };
        if let Some(seconds) = answer {
            let many = (all.len() + 1).saturating_sub(self.0.remembered.max(1));
            all.drain(..many);
            all.push((seconds, at));
        }
        all.retain(|(_, then)| at < then.saturating_add(fresh));
        let (sum, count) =
            all.iter().fold((0.0, 0.0), |(sum, count), (seconds, _)| (sum + seconds, count + 1.0));
        let average = all
            .first()
            .map_or(Average(0), |(_, oldest)| Average::new(sum / count, oldest.saturating_add(fresh)));
        seen.slot.words().average(stream).store(average.0, Relaxed);
        average
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
        self.renew(seen, trial.stream, seen.health.millis(now), Some(seconds));
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
