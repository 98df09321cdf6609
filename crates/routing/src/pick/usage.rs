//! The one that was used least in this minute.

use gatewright_core::Call;

use super::{Dice, Pick, Pool, one_of};

/// The one with the fewest tokens in the current minute, at all replicas. One whose requests or tokens are used up is
/// chosen only where all are: whether the call may go there is for its limits to say.
#[derive(Clone, Copy, Debug, Default)]
pub struct LowestUsage;

impl Pick for LowestUsage {
    fn pick(&self, _: &Call, pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize> {
        let (minute, limits) = (pool.fit.at / 60_000, pool.tier.limits.as_deref());
        let (mut best, mut least) = (None, u64::MAX);
        pool.each_fit(one_of(pool.len(), dice), |nth, words| {
            // One that is used up comes after every other, so that its limits need not be seen where its tokens are more.
            let tokens = words.tokens_in(minute);
            if tokens >= least {
                return;
            }
            let key = u64::from(is_used_up(limits, nth, words.usage_in(minute))) << 63 | tokens;
            if key < least {
                (best, least) = (Some(nth), key);
            }
        });
        best
    }
}

/// Whether its requests or tokens are used up.
fn is_used_up(limits: Option<&[(u64, u64)]>, nth: usize, (requests, tokens): (u64, u64)) -> bool {
    let limits = limits.and_then(|limits| limits.get(nth));
    limits.is_some_and(|limits| requests >= limits.0 || tokens >= limits.1)
}
