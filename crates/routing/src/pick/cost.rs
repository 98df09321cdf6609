//! The cheapest one.

use gatewright_core::Call;

use super::{Dice, Pick, Pool};

/// The one whose token of input and token of output together cost least. One without a price counts as the dearest.
#[derive(Clone, Copy, Debug, Default)]
pub struct LowestCost;

impl Pick for LowestCost {
    fn pick(&self, _: &Call, pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize> {
        pool.least(dice, |nth| pool.model(nth).price().unwrap_or(u64::MAX))
    }
}
