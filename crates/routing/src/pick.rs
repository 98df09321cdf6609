//! Choosing one deployment among those that are fit: the strategies.

use gatewright_core::Call;

use crate::{Deployment, Health};

/// Chooses one deployment of a group for an attempt.
pub trait Pick: Send + Sync + 'static {
    /// The place of the chosen one. Never called with an empty list; a place outside it counts as the first.
    fn pick(&self, call: &Call, candidates: &[Candidate<'_>], dice: &dyn Dice) -> usize;
}

/// A deployment that is fit for the attempt.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// What is configured.
    pub deployment: &'a Deployment,
    /// What was seen.
    pub health: &'a Health,
}

/// Where chance comes from.
pub trait Dice: Send + Sync + 'static {
    /// A number in `[0, 1)`, all equally likely.
    fn roll(&self) -> f64;
}

/// The chance of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineDice;

impl Dice for MachineDice {
    fn roll(&self) -> f64 {
        rand::random()
    }
}

/// By weight, or else by requests, or else by tokens a minute: the first of them for which any candidate has a
/// value decides, and one without a value is then never chosen. Without any of them all are equally likely.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimpleShuffle;

impl Pick for SimpleShuffle {
    fn pick(&self, _: &Call, candidates: &[Candidate<'_>], dice: &dyn Dice) -> usize {
        if candidates.len() < 2 {
            return 0;
        }
        let shares: [fn(&Deployment) -> f64; 4] =
            [|d| d.weight.unwrap_or(0.0), |d| limit(d.rpm), |d| limit(d.tpm), |_| 1.0];
        let decisive = shares.into_iter().find(|share| candidates.iter().any(|c| share(c.deployment) > 0.0));
        decisive.map_or(0, |share| weighted(candidates, share, dice.roll()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
fn limit(per_minute: Option<u64>) -> f64 {
    per_minute.unwrap_or(0) as f64
}

fn weighted(candidates: &[Candidate<'_>], share: fn(&Deployment) -> f64, roll: f64) -> usize {
    let total: f64 = candidates.iter().map(|c| share(c.deployment)).sum();
    let mut left = roll * total;
    let mut chosen = 0;
    for (place, candidate) in candidates.iter().enumerate() {
        let part = share(candidate.deployment);
        if part <= 0.0 {
            continue;
        }
        chosen = place;
        if left < part {
            break;
        }
        left -= part;
    }
    chosen
}
