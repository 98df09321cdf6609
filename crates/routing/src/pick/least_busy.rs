//! The one with the fewest attempts on their way.

use gatewright_core::Call;

use super::{Dice, Pick, Pool};

/// The one with the fewest attempts on their way, at all replicas.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastBusy;

impl Pick for LeastBusy {
    fn pick(&self, _: &Call, pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize> {
        pool.least(dice, |_, words| words.in_flight())
    }
}
