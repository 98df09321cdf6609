//! The cheapest one.

use gatewright_core::Call;

use super::{Dice, Pick, Pool, one_of};

/// The one whose token of input and token of output together cost least. One without a price counts as the dearest.
#[derive(Clone, Copy, Debug, Default)]
pub struct LowestCost;

impl Pick for LowestCost {
    fn pick(&self, _: &Call, pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize> {
        match pool.by_price() {
            Some(prices) => {
                prices.chunk_by(|one, next| one.0 == next.0).find_map(|alike| any_of(alike, pool, dice))
            }
            None => pool.least(dice, |nth, _| pool.model(nth).price().unwrap_or(u64::MAX)),
        }
    }
}

/// One that is fit of those that cost the same, all equally likely.
fn any_of(alike: &[(u64, usize)], pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize> {
    let at = |nth: usize| alike.get(nth).map_or(usize::MAX, |(_, place)| *place);
    let lucky = pool.lucky(|| at(one_of(alike.len(), dice)));
    lucky.or_else(|| {
        let fits: Vec<usize> = alike.iter().map(|(_, nth)| *nth).filter(|nth| pool.is_fit(*nth)).collect();
        fits.get(one_of(fits.len(), dice)).copied()
    })
}
