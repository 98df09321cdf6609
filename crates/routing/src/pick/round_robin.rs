//! One after the other.

use std::sync::atomic::Ordering::Relaxed;

use gatewright_core::Call;

use super::{Dice, Pick, Pool};

/// Each in its turn; one that is not fit is passed over.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl Pick for RoundRobin {
    fn pick(&self, _: &Call, pool: &Pool<'_>, _: &dyn Dice) -> Option<usize> {
        let turn = &pool.tier.turn;
        let mut now = turn.load(Relaxed);
        // A turn that somebody else took in between is looked at anew, so that nobody skips one that is fit.
        loop {
            let next = (0..pool.len())
                .map(|ahead| now.wrapping_add(ahead))
                .find(|at| pool.is_fit(at % pool.len()))?;
            match turn.compare_exchange_weak(now, next.wrapping_add(1), Relaxed, Relaxed) {
                Ok(_) => return Some(next % pool.len()),
                Err(taken) => now = taken,
            }
        }
    }
}
