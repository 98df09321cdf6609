//! The one that was used least in this minute.

use gatewright_core::Call;

use super::{Dice, Pick, Pool};

/// The one with the fewest tokens in the current minute, at all replicas. One whose requests or tokens are used up is
/// chosen only where all are: whether the call may go there is for its limits to say.
#[derive(Clone, Copy, Debug, Default)]
pub struct LowestUsage;

impl Pick for LowestUsage {
    fn pick(&self, _: &Call, pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize> {
        pool.least(dice, |nth| {
            let Some(candidate) = pool.get(nth) else { return (true, u64::MAX) };
            let (requests, tokens) = candidate.seen.usage(pool.now);
            let reached = |used: u64, limit: Option<u64>| limit.is_some_and(|limit| used >= limit);
            let deployment = candidate.deployment;
            (reached(requests, deployment.rpm) || reached(tokens, deployment.tpm), tokens)
        })
    }
}
