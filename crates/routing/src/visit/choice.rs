//! Which deployment is next.

use gatewright_core::Retry;
use tokio::time::Instant;

use super::Visit;
use crate::pick::{Fit, Pool, sticky};

impl Visit<'_> {
    /// Where the first attempt goes, together with those that it belongs to: one always does, even where every deployment rests.
    pub(super) fn first(&self, now: Instant) -> usize {
        let fit = Fit { down: true, tried: &[], ..self.fit(now) };
        let call = self.trip.call.as_ref();
        let key = call.and_then(|call| sticky::key(call, &self.route.name, &self.trip.table.settings));
        let stuck = key.and_then(|key| self.found(fit, None, now, |pool| sticky::pick(key, pool)));
        stuck.or_else(|| self.choose(fit, None, now)).unwrap_or_else(|| self.first_to_recover(now))
    }

    /// Where an attempt goes after a wait.
    pub(super) fn again(&self, now: Instant) -> usize {
        self.choose(Fit { tried: &[], ..self.fit(now) }, None, now)
            .unwrap_or_else(|| self.first_to_recover(now))
    }

    /// A healthy deployment that the call did not try yet. With no retries left only one of a higher tier counts;
    /// where the others will not take the call and nothing else is left, one that rests counts too.
    pub(super) fn untried(&self, now: Instant, spent: bool, retry: Retry) -> Option<usize> {
        let above = spent.then_some(self.stay.tier);
        let healthy = self.choose(self.fit(now), above, now);
        match retry == Retry::Elsewhere && !self.leads_on {
            true => healthy.or_else(|| self.choose(Fit { resting: true, ..self.fit(now) }, above, now)),
            false => healthy,
        }
    }

    /// One that was not tried since it may have capacity, whatever its health: whoever waited for it did not try it yet.
    pub(super) fn with_room(&self, now: Instant) -> Option<usize> {
        let any = || self.choose(Fit { resting: true, down: true, ..self.fit(now) }, None, now);
        self.untried(now, false, Retry::Elsewhere).or_else(any)
    }

    /// One that was not tried, does not rest and is not down.
    fn fit(&self, now: Instant) -> Fit<'_> {
        let at = self.route.group.seen.first().map_or(0, |seen| seen.health.millis(now));
        Fit { list: &self.stay.list, tried: &self.stay.tried, at, resting: false, down: false }
    }

    /// Lets the strategy choose.
    fn choose(&self, fit: Fit<'_>, above: Option<u32>, now: Instant) -> Option<usize> {
        let (call, pick) = (self.trip.call.as_ref()?, &self.route.group.pick);
        self.found(fit, above, now, |pool| pick.pick(call, pool, self.aides.dice))
    }

    /// One of the lowest tier that has any that are fit.
    fn found(
        &self,
        fit: Fit<'_>,
        above: Option<u32>,
        now: Instant,
        pick: impl Fn(&Pool<'_>) -> Option<usize>,
    ) -> Option<usize> {
        let (route, know) = (self.route, &*self.trip.table.settings.know);
        let mut tiers = route.group.tiers.iter().filter(|tier| above.is_none_or(|above| tier.order > above));
        tiers.find_map(|tier| tier.places.get(pick(&Pool { route, tier, fit, know, now })?).copied())
    }

    fn first_to_recover(&self, now: Instant) -> usize {
        let listed = self.route.group.seen.iter().enumerate().filter(|(place, _)| self.stay.list.has(*place));
        let soonest = listed.min_by_key(|(_, seen)| seen.health.rest_left(now));
        soonest.map_or(0, |(place, _)| place)
    }
}
