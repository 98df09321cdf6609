//! By chance, in the shares that are configured.

use gatewright_core::Call;

use super::{Dice, Pick, Pool};
use crate::Deployment;

/// By weight, or else by requests, or else by tokens a minute: the first of them for which any fit deployment has a
/// value decides, and one without a value is then never chosen. Without any of them all are equally likely.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimpleShuffle;

impl Pick for SimpleShuffle {
    fn pick(&self, _: &Call, pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize> {
        let Some(sums) = &pool.tier.sums else { return pool.any(dice) };
        // To draw again where one is not fit leaves the others their shares of each other.
        pool.lucky(|| drawn(sums, dice)).or_else(|| among_fit(pool, dice))
    }
}

/// The shares that decide among these.
pub(crate) fn shares<'a>(deployments: impl Iterator<Item = &'a Deployment> + Clone) -> Option<Box<[f64]>> {
    let share = decisive(deployments.clone())?;
    let mut sum = 0.0;
    let sums = deployments.map(|deployment| {
        sum += share(deployment);
        sum
    });
    Some(sums.collect())
}

fn among_fit(pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize> {
    let fits: Vec<usize> = pool.fits().collect();
    let deployments = fits.iter().filter_map(|nth| pool.get(*nth)).map(|candidate| candidate.deployment);
    let Some(sums) = shares(deployments) else {
        return fits.get(super::one_of(fits.len(), dice)).copied();
    };
    fits.get(drawn(&sums, dice)).copied()
}

/// A place by its share. One without a share is never drawn, whatever is lost in rounding.
fn drawn(sums: &[f64], dice: &dyn Dice) -> usize {
    let total = sums.last().copied().unwrap_or_default();
    let roll = dice.roll() * total;
    sums.partition_point(|sum| *sum <= roll && *sum < total)
}

fn decisive<'a>(deployments: impl Iterator<Item = &'a Deployment> + Clone) -> Option<fn(&Deployment) -> f64> {
    let shares: [fn(&Deployment) -> f64; 3] =
        [|d| d.weight.unwrap_or(0.0), |d| limit(d.rpm), |d| limit(d.tpm)];
    shares.into_iter().find(|share| deployments.clone().any(|deployment| share(deployment) > 0.0))
}

#[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
fn limit(per_minute: Option<u64>) -> f64 {
    per_minute.unwrap_or(0) as f64
}
