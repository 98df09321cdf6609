//! One call at one group: the attempts at its deployments.

mod ending;
mod wait;

use std::future::ready;
use std::sync::Arc;

use gatewright_core::{
    AttemptId, Call, CallService, Error, ErrorKind, Reply, Result, Retry, Target, frames, watch,
};
use smallvec::SmallVec;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use self::ending::Ending;
use crate::table::Member;
use crate::trip::{Trip, verdict};
use crate::{Candidate, Route};

/// One call at one group.
pub(crate) struct Visit<'v, 'a> {
    trip: &'v mut Trip<'a>,
    route: &'v Route,
    /// Places of the deployments that this call tried here.
    tried: SmallVec<[usize; 8]>,
    /// The highest tier that was tried.
    tier: u32,
    /// Attempts that failed here.
    failed: u32,
    /// Attempts here that count as retries: the first one at a higher tier does not.
    retries: u32,
    waits: u32,
    /// Whether the call may have somewhere to go from here.
    leads_on: bool,
}

// === impl Visit ===

impl<'v, 'a> Visit<'v, 'a> {
    pub(crate) fn new(trip: &'v mut Trip<'a>, route: &'v Route) -> Self {
        let leads_on = trip.way.may_lead_on(trip.table, [&trip.shown(route), &route.name]);
        Self { trip, route, tried: SmallVec::new(), tier: 0, failed: 0, retries: 0, waits: 0, leads_on }
    }

    /// Makes attempts until one answers or no further one may help.
    pub(crate) async fn run(mut self, next: &impl CallService) -> Result<Reply> {
        let route = self.route;
        let mut place = self.first(Instant::now());
        loop {
            let Some(member) = route.group.members.get(place) else { return Err(broken()) };
            let Some(call) = self.hand_out(member) else { return Err(broken()) };
            let err = match self.attempt(member, call, next).await {
                Ok(mut reply) => {
                    reply.head.retries = self.failed;
                    return Ok(reply);
                }
                Err(err) => err,
            };
            self.failed += 1;
            self.tried.push(place);
            self.tier = self.tier.max(member.tier());
            match self.onward(&err, member).await {
                Some(onward) => place = onward,
                None => return Err(err),
            }
        }
    }

    /// The call for one more attempt; the last possible one takes it without a copy.
    fn hand_out(&mut self, member: &Member) -> Option<Call> {
        self.trip.attempts_left = self.trip.attempts_left.saturating_sub(1);
        let higher = self.members().any(|other| other.tier() > member.tier());
        let again = self.leads_on || higher || self.retries < self.allowed(member);
        match again && self.trip.attempts_left > 0 {
            true => self.trip.call.clone(),
            false => self.trip.call.take(),
        }
    }

    async fn attempt(&self, member: &Arc<Member>, mut call: Call, next: &impl CallService) -> Result<Reply> {
        call.target = Some(Arc::new(self.target(member)));
        // In a box: a future that is made here and moved into another one would be kept twice.
        let answer = Box::pin(async {
            let Reply { head, frames } = next.answer(call).await?;
            let reply = Reply { head, frames: frames::hold_until_content(frames).await? };
            match reply.frames.is_one() {
                true => Ok(reply),
                // What fails before the first content is told below; the observer sees what comes after it.
                false => watch(self.ending(member), ready(Ok(reply))).await,
            }
        });
        // The layers below keep the attempt's own times; this is the stop behind them.
        let result = match timeout_at(self.trip.patience.content_by, answer).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(ErrorKind::Timeout, "litellm.Timeout: Request timed out.")),
        };
        match &result {
            Ok(_) => member.health.succeeded(Instant::now()),
            Err(err) => self.failed_at(member, err),
        }
        result
    }

    fn target(&self, member: &Member) -> Target {
        let Trip { table, patience, .. } = &*self.trip;
        let times = patience.times(&member.deployment, &table.settings, Instant::now());
        Target {
            attempt: AttemptId::fresh(),
            deployment: member.deployment.id.clone(),
            group: self.route.name.clone(),
            shown: self.trip.shown(self.route),
            model: self.route.model_for(&member.deployment),
            first_content: times.first_content,
            idle: times.idle,
            deadline: times.deadline.into_std(),
        }
    }

    fn failed_at(&self, member: &Member, err: &Error) {
        let now = Instant::now();
        debug!(deployment = %member.deployment.id, group = %self.route.name, kind = ?err.kind(), "attempt failed");
        let says_something = match err.kind() {
            // A client in a hurry says nothing about the deployment.
            ErrorKind::Timeout => self.trip.patience.asked.is_none(),
            // Nor does one that makes up a model's name.
            ErrorKind::NotFound if self.route.is_wildcard() => false,
            // Nor does a refusal of the gateway's own: nothing was sent.
            _ => err.provider().is_some(),
        };
        if says_something {
            let rest = self.trip.table.settings.cooldown_time;
            member.health.failed(err, now, self.route.group.judge(member, rest, now));
        }
    }

    fn ending(&self, member: &Arc<Member>) -> Ending {
        Ending {
            group: self.route.group.clone(),
            member: member.clone(),
            rest: self.trip.table.settings.cooldown_time,
            end: self.trip.patience.end,
        }
    }

    /// Where the first attempt goes: one always does, even where every deployment rests.
    fn first(&self, now: Instant) -> usize {
        self.choose(|_, member| !member.health.is_cooling(now)).unwrap_or_else(|| self.first_to_recover(now))
    }

    /// Where to go after a failure, once it is time.
    async fn onward(&mut self, err: &Error, failed: &Member) -> Option<usize> {
        let retry = verdict(err);
        let now = Instant::now();
        if retry == Retry::Never || self.trip.call.is_none() || now >= self.trip.patience.content_by {
            return None;
        }
        let spent = self.retries >= self.allowed(failed);
        if let Some(place) = self.untried(now, spent, retry) {
            return self.admit(place);
        }
        if spent || retry == Retry::Elsewhere || !self.wait(err, failed).await {
            return None;
        }
        let now = Instant::now();
        let fit = |_, member: &Member| !member.health.is_cooling(now) && member.health.may_be_tried(now);
        let place = self.choose(fit).unwrap_or_else(|| self.first_to_recover(now));
        self.admit(place)
    }

    /// A healthy deployment that the call did not try yet. With no retries left only one of a higher tier counts;
    /// where the others will not take the call and nothing else is left, one that rests counts too.
    fn untried(&self, now: Instant, spent: bool, retry: Retry) -> Option<usize> {
        let fresh = |place: usize, member: &Member| {
            let counts = !spent || member.tier() > self.tier;
            counts && !self.tried.contains(&place) && member.health.may_be_tried(now)
        };
        let healthy = self.choose(|place, member| fresh(place, member) && !member.health.is_cooling(now));
        match retry == Retry::Elsewhere && !self.leads_on {
            true => healthy.or_else(|| self.choose(fresh)),
            false => healthy,
        }
    }

    /// Counts the attempt that is about to be made at this place.
    fn admit(&mut self, place: usize) -> Option<usize> {
        let member = self.route.group.members.get(place)?;
        if member.tier() <= self.tier {
            self.retries += 1;
        }
        member.health.claim(Instant::now()).then_some(place)
    }

    /// Lets the strategy choose among those of the lowest tier that are fit.
    fn choose(&self, fit: impl Fn(usize, &Member) -> bool) -> Option<usize> {
        let fits = || self.members().enumerate().filter(|(place, member)| fit(*place, member));
        let tier = fits().map(|(_, member)| member.tier()).min()?;
        let of_tier = fits().filter(|(_, member)| member.tier() == tier);
        let (places, candidates): (SmallVec<[usize; 8]>, SmallVec<[Candidate<'_>; 8]>) =
            of_tier.map(|(place, member)| (place, member.as_candidate())).unzip();
        let chosen = match (&self.trip.call, candidates.len()) {
            (Some(call), 2..) => self.trip.table.settings.pick.pick(call, &candidates, self.trip.dice),
            _ => 0,
        };
        places.get(chosen).or(places.first()).copied()
    }

    fn first_to_recover(&self, now: Instant) -> usize {
        let soonest = self.members().enumerate().min_by_key(|(_, member)| member.health.rest_left(now));
        soonest.map_or(0, |(place, _)| place)
    }

    fn allowed(&self, member: &Member) -> u32 {
        let Trip { table, asked_retries, .. } = &*self.trip;
        asked_retries.or(member.deployment.num_retries).unwrap_or(table.settings.num_retries)
    }

    fn members(&self) -> impl Iterator<Item = &'v Member> + use<'v> {
        let route: &'v Route = self.route;
        route.group.members.iter().map(|member| &**member)
    }
}

fn broken() -> Error {
    Error::new(ErrorKind::Internal, "the call could not be routed")
        .with_detail("no deployment or no call is left")
}
