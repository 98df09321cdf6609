//! The deployments that a strategy chooses among.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::time::Instant;

use super::{Dice, one_of};
use crate::abilities::{Know, Model};
use crate::screen::Shortlist;
use crate::seen::Seen;
use crate::table::Group;
use crate::{Deployment, Route};

/// The deployments of one tier of a group, those that are not fit included: a strategy asks about those it looks at, so
/// that a choice among thousands need not look at all of them.
pub struct Pool<'a> {
    pub(crate) route: &'a Route,
    pub(crate) tier: &'a Tier,
    pub(crate) fit: Fit<'a>,
    pub(crate) know: &'a dyn Know,
    /// The time of the choice.
    pub now: Instant,
}

/// A deployment to choose.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// What is configured.
    pub deployment: &'a Deployment,
    /// What was seen.
    pub seen: &'a Seen,
}

/// The deployments of a group that have the same `order`.
pub(crate) struct Tier {
    pub(crate) order: u32,
    /// Their places in the group.
    pub(crate) places: Vec<usize>,
    /// For each the sum of its share and of those before it, where shares differ.
    pub(crate) sums: Option<Box<[f64]>>,
    /// Whose turn it is.
    pub(crate) turn: AtomicUsize,
}

/// What makes a deployment fit for the attempt at hand.
#[derive(Clone, Copy)]
pub(crate) struct Fit<'a> {
    pub(crate) list: &'a Shortlist,
    /// Places that do not count because the call was there.
    pub(crate) tried: &'a [usize],
    /// Milliseconds since the table's epoch.
    pub(crate) at: u64,
    /// Whether one that rests counts.
    pub(crate) resting: bool,
    /// Whether one that is down counts.
    pub(crate) down: bool,
}

/// How many are drawn by chance before all are looked at.
const DRAWS: usize = 8;

// === impl Pool ===

impl<'a> Pool<'a> {
    /// How many there are, whether fit or not.
    #[expect(clippy::len_without_is_empty, reason = "a tier is never empty")]
    pub fn len(&self) -> usize {
        self.tier.places.len()
    }

    /// Whether the one at this place is fit.
    pub fn is_fit(&self, nth: usize) -> bool {
        self.tier.places.get(nth).is_some_and(|place| self.fit.is_met(&self.route.group, *place))
    }

    /// The one at this place.
    pub fn get(&self, nth: usize) -> Option<Candidate<'a>> {
        let route: &'a Route = self.route;
        let member = route.group.members.get(*self.tier.places.get(nth)?)?;
        Some(Candidate { deployment: &member.deployment, seen: &member.seen })
    }

    /// What was seen of the one at this place.
    pub fn seen(&self, nth: usize) -> Option<&'a Seen> {
        let route: &'a Route = self.route;
        route.group.seen.get(*self.tier.places.get(nth)?).map(|seen| &**seen)
    }

    /// The share of the one at this place; the same for all where nothing is said of shares.
    pub(super) fn share(&self, nth: usize) -> f64 {
        let Some(sums) = &self.tier.sums else { return 1.0 };
        let before = nth.checked_sub(1).and_then(|before| sums.get(before));
        sums.get(nth).copied().unwrap_or_default() - before.copied().unwrap_or_default()
    }

    /// What the one at this place is drawn by.
    pub(super) fn mark(&self, nth: usize) -> u64 {
        let member = self.tier.places.get(nth).and_then(|place| self.route.group.members.get(*place));
        member.map(|member| member.mark).unwrap_or_default()
    }

    /// What is known of the model of the one at this place.
    pub fn model(&self, nth: usize) -> Model {
        let place = self.tier.places.get(nth).copied().unwrap_or_default();
        self.route
            .group
            .members
            .get(place)
            .map_or_else(Model::default, |member| self.route.model_of(member, self.know))
    }

    /// The places of those that are fit.
    pub fn fits(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|nth| self.is_fit(*nth))
    }

    /// Draws until `draw` hits one that is fit; `None` where chance does not find one soon.
    pub(super) fn lucky(&self, mut draw: impl FnMut() -> usize) -> Option<usize> {
        (0..DRAWS).map(|_| draw()).find(|nth| self.is_fit(*nth))
    }

    /// One that is fit, all equally likely.
    pub fn any(&self, dice: &dyn Dice) -> Option<usize> {
        let lucky = self.lucky(|| one_of(self.len(), dice));
        lucky.or_else(|| {
            let fits: Vec<usize> = self.fits().collect();
            fits.get(one_of(fits.len(), dice)).copied()
        })
    }

    /// The fit one with the least of something; of several with as little the first one from a place that chance names.
    pub fn least<K: PartialOrd>(&self, dice: &dyn Dice, of: impl Fn(usize) -> K) -> Option<usize> {
        let start = one_of(self.len(), dice);
        let mut best: Option<(usize, K)> = None;
        for nth in (start..self.len()).chain(0..start) {
            if !self.is_fit(nth) {
                continue;
            }
            let key = of(nth);
            if best.as_ref().is_none_or(|(_, least)| key < *least) {
                best = Some((nth, key));
            }
        }
        best.map(|(nth, _)| nth)
    }
}

// === impl Fit ===

impl Fit<'_> {
    /// Whether the deployment at this place of the group is fit.
    pub(crate) fn is_met(&self, group: &Group, place: usize) -> bool {
        let Some(Seen { health, .. }) = group.seen.get(place).map(Arc::as_ref) else { return false };
        (self.resting || !health.is_cooling_at(self.at))
            && (self.down || health.may_be_tried_at(self.at))
            && self.list.has(place)
            && !self.tried.contains(&place)
    }
}
