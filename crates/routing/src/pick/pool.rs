//! The deployments that a strategy chooses among.

use std::ops::Range;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::time::Instant;

use super::{Dice, one_of};
use crate::abilities::{Know, Model};
use crate::screen::Shortlist;
use crate::seen::Seen;
use crate::table::Group;
use crate::words::{Slot, WIDTH, Words};
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
    /// The same, as their words lie.
    pub(crate) runs: Vec<Run>,
    /// For each the sum of its share and of those before it, where shares differ.
    pub(crate) sums: Option<Box<[f64]>>,
    /// The requests and tokens a minute that each may have, where any of several is limited.
    pub(crate) limits: Option<Box<[(u64, u64)]>>,
    /// Whose turn it is.
    pub(crate) turn: AtomicUsize,
    /// What each costs and its place in the tier, the cheapest first; nothing where that depends on the call's model.
    pub(crate) by_price: OnceLock<Option<Prices>>,
}

/// Some of a tier whose words lie one after the other.
pub(crate) struct Run {
    first: Slot,
    /// Their places in the tier.
    places: Range<usize>,
}

/// What deployments cost, and their places.
type Prices = Box<[(u64, usize)]>;

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

    /// Another one that is fit; `None` where there is none.
    pub(super) fn any_but(&self, one: usize, dice: &dyn Dice) -> Option<usize> {
        let others = self.len().checked_sub(1).filter(|others| *others > 0)?;
        let past = |drawn: usize| drawn + usize::from(drawn >= one);
        self.lucky(|| past(one_of(others, dice))).or_else(|| {
            let fits: Vec<usize> = self.fits().filter(|nth| *nth != one).collect();
            fits.get(one_of(fits.len(), dice)).copied()
        })
    }

    /// What each costs and its place, the cheapest first; `None` where that depends on the call's model.
    pub(super) fn by_price(&self) -> Option<&'a [(u64, usize)]> {
        let tier: &'a Tier = self.tier;
        let sorted = tier.by_price.get_or_init(|| {
            let fixed = |nth| self.get(nth).is_some_and(|one| !one.deployment.target.contains('*'));
            let price = |nth| self.model(nth).price().unwrap_or(u64::MAX);
            let mut prices: Vec<_> = (0..self.len()).map(|nth| (price(nth), nth)).collect();
            prices.sort_unstable();
            (0..self.len()).all(fixed).then(|| prices.into())
        });
        sorted.as_deref()
    }

    /// The fit one with the least of something; of several with as little the first one from a place that chance names.
    pub(super) fn least<K: PartialOrd>(
        &self,
        dice: &dyn Dice,
        of: impl Fn(usize, Words<'a>) -> K,
    ) -> Option<usize> {
        let mut best: Option<(usize, K)> = None;
        self.each_fit(one_of(self.len(), dice), |nth, words| {
            let key = of(nth, words);
            if best.as_ref().is_none_or(|(_, least)| key < *least) {
                best = Some((nth, key));
            }
        });
        best.map(|(nth, _)| nth)
    }

    /// Shows all that are fit, from this place on and then from the first one.
    #[inline]
    pub(super) fn each_fit(&self, start: usize, mut show: impl FnMut(usize, Words<'a>)) {
        self.each_fit_of(start..self.len(), &mut show);
        self.each_fit_of(0..start, &mut show);
    }

    /// The same of these places. Made anew for everyone who asks: what is shown a thousand times must not be called.
    #[inline(always)]
    pub(super) fn each_fit_of(&self, places: Range<usize>, show: &mut impl FnMut(usize, Words<'a>)) {
        let Fit { list, tried, at, resting, .. } = self.fit;
        let nobody_is_out = list.is_whole() && tried.is_empty();
        let tier: &'a Tier = self.tier;
        for run in &tier.runs {
            let these = run.places.start.max(places.start)..run.places.end.min(places.end);
            if nobody_is_out && run.first.block.is_clear_at(at) {
                run.words(these).for_each(|(nth, words)| show(nth, words));
                continue;
            }
            for (nth, words) in run.words(these) {
                if !(nobody_is_out && words.is_clear_at(at)) {
                    let rests = !resting && words.cooling_until().load(Relaxed) > at;
                    if rests || !self.is_fit(nth) {
                        continue;
                    }
                }
                show(nth, words);
            }
        }
    }
}

// === impl Run ===

impl Run {
    /// The runs of deployments with these slots.
    pub(crate) fn of<'s>(slots: impl Iterator<Item = &'s Slot>) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for (nth, slot) in slots.enumerate() {
            match runs.last_mut() {
                Some(run) if run.leads_to(slot) => run.places.end += 1,
                _ => runs.push(Self { first: slot.clone(), places: nth..nth + 1 }),
            }
        }
        runs
    }

    /// The words of those at these places of the tier.
    #[inline(always)]
    fn words(&self, places: Range<usize>) -> impl Iterator<Item = (usize, Words<'_>)> {
        let first = self.first.at + (places.start - self.places.start);
        // To know that they lie in the block spares each of a thousand the question.
        let end = (first + places.len()).min(WIDTH);
        (first..end).map(move |at| (places.start + (at - first), self.first.block.words(at)))
    }

    fn leads_to(&self, slot: &Slot) -> bool {
        Arc::ptr_eq(&self.first.block, &slot.block) && self.first.at + self.places.len() == slot.at
    }
}

// === impl Fit ===

impl Fit<'_> {
    /// Whether the deployment at this place of the group is fit.
    pub(crate) fn is_met(&self, group: &Group, place: usize) -> bool {
        let Some(Seen { health, .. }) = group.seen.get(place).map(Arc::as_ref) else { return false };
        let is_well = || {
            (self.resting || !health.is_cooling_at(self.at)) && (self.down || health.may_be_tried_at(self.at))
        };
        (health.is_clear_at(self.at) || is_well()) && self.list.has(place) && !self.tried.contains(&place)
    }
}
