//! One after the other.

use std::sync::atomic::Ordering::Relaxed;

use gatewright_core::Call;

use super::{Dice, Pick, Pool};

/// Each in its turn; one that is not fit is passed over.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl Pick for RoundRobin {
    fn pick(&self, _: &Call, pool: &Pool<'_>, _: &dyn Dice) -> Option<usize> {
        (0..pool.len())
            .map(|_| pool.tier.turn.fetch_add(1, Relaxed) % pool.len())
            .find(|nth| pool.is_fit(*nth))
    }
}
