//! The one that was used least in this minute.

use gatewright_core::Call;

use super::{Dice, Pick, Pool};

/// The one with the fewest tokens in the current minute, at all replicas. One whose requests or tokens are used up is
/// chosen only where all are: whether the call may go there is for its limits to say.
#[derive(Clone, Copy, Debug, Default)]
pub struct LowestUsage;

impl Pick for LowestUsage {
    fn pick(&self, _: &Call, pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize> {
        let (minute, limits) = (pool.fit.at / 60_000, pool.tier.limits.as_deref());
        pool.least(dice, |nth, words| {
            let (requests, tokens) = words.usage_in(minute);
            let limits = limits.and_then(|limits| limits.get(nth)).copied().unwrap_or((u64::MAX, u64::MAX));
            (requests >= limits.0 || tokens >= limits.1, tokens)
        })
    }
}
