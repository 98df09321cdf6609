//! Two by chance, and of them the one that will be done sooner.

use std::sync::atomic::Ordering::Relaxed;

use gatewright_core::Call;
use tokio::time::Instant;

use super::{Candidate, Dice, Pick, Pool};
use crate::seen::{Seen, Trial};

/// Draws two by chance and takes the one whose time to the first content, times the attempts on their way there, is
/// less for its weight. The time is a moving average that rises at once and falls slowly (peak EWMA), also while nobody
/// goes there: one that slows down is left at once, one that was slow is tried again and again. One that nobody has
/// measured gets one attempt at a time. Two draws keep a herd from running to the one best place, and cost the same
/// among two deployments and among thousands.
#[derive(Clone, Copy, Debug, Default)]
pub struct TwoChoices;

/// After so long, in milliseconds, an observation has lost all but a third of its say.
const DECAY: f64 = 10_000.0;
/// What a failure counts for, in microseconds: one that fails at once must not look fast.
const FAILED: u64 = 1_000_000;
/// What the time of one that nobody has measured counts for while its first attempts are on their way.
const UNMEASURED: f64 = 1e9;

impl Pick for TwoChoices {
    fn pick(&self, _: &Call, pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize> {
        let first = pool.any(dice)?;
        let Some(second) = pool.any_but(first, dice) else { return Some(first) };
        let at = pool.fit.at;
        Some(if load(pool, second, at) < load(pool, first, at) { second } else { first })
    }

    fn learn(&self, seen: &Seen, trial: &Trial, now: Instant) {
        let sample = u64::try_from(trial.first_content.as_micros()).unwrap_or(u64::MAX).max(1);
        let sample = if trial.failed { sample.max(FAILED) } else { sample };
        let at = seen.health.millis(now);
        let before = seen.averaged_at.swap(at, Relaxed);
        let _: Result<u64, u64> = seen.average.fetch_update(Relaxed, Relaxed, |average| {
            Some(if sample >= average { sample } else { moved(average, sample, at.saturating_sub(before)) })
        });
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "microseconds between two measured ones"
)]
fn moved(average: u64, sample: u64, elapsed: u64) -> u64 {
    // Many answers within a moment move it too, by a little each.
    let kept = left(elapsed.max(100));
    (average as f64 * kept + sample as f64 * (1.0 - kept)) as u64
}

/// How much of an observation is left after so many milliseconds.
#[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
fn left(elapsed: u64) -> f64 {
    (-(elapsed as f64) / DECAY).exp()
}

#[expect(clippy::cast_precision_loss, reason = "a load need not be exact")]
fn load(pool: &Pool<'_>, nth: usize, at: u64) -> f64 {
    let Some(Candidate { deployment, seen }) = pool.get(nth) else { return f64::INFINITY };
    let weight = deployment.weight.filter(|weight| *weight > 0.0).unwrap_or(1.0);
    let busy = f64::from(seen.in_flight());
    let time = match seen.average.load(Relaxed) {
        0 if busy > 0.0 => UNMEASURED,
        average => average as f64 * left(at.saturating_sub(seen.averaged_at.load(Relaxed))),
    };
    time * (busy + 1.0) / weight
}
