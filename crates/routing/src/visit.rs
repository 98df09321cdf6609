//! One call at one group: the attempts at its deployments.

mod attempt;
mod choice;
mod ending;
mod wait;

use std::sync::Arc;

use gatewright_core::{Call, CallService, Decision, Error, ErrorKind, Reply, Result, Retry};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::Route;
use crate::extra::{self, Extra};
use crate::screen::{Shortlist, screen};
use crate::table::Member;
use crate::trip::Trip;

/// One call at one group.
pub(crate) struct Visit<'v, 'a> {
    trip: &'v mut Trip<'a>,
    route: &'v Route,
    /// The deployments that may serve it at all.
    list: Shortlist,
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
    /// Comes to a group with a call, and sees who may serve it.
    pub(crate) async fn begin(trip: &'v mut Trip<'a>, route: &'v Route) -> Result<Self> {
        let leads_on = trip.way.may_lead_on(trip.table, [&trip.shown(route), &route.name]);
        let Some(call) = &trip.call else { return Err(broken()) };
        let list = match trip.table.settings.checks.any() {
            true => screen(call, route, &trip.table.settings).await?,
            false => Shortlist::default(),
        };
        let visit = Self {
            list,
            trip,
            route,
            tried: SmallVec::new(),
            tier: 0,
            failed: 0,
            retries: 0,
            waits: 0,
            leads_on,
        };
        visit.tell_of_group();
        Ok(visit)
    }

    /// Makes attempts until one answers or no further one may help.
    pub(crate) async fn run(mut self, next: &impl CallService) -> Result<Reply> {
        let route = self.route;
        let mut place = self.first(Instant::now());
        loop {
            let Some(member) = route.group.members.get(place) else { return Err(broken()) };
            let Some(call) = self.hand_out(member) else { return Err(broken()) };
            let extra = self.count(member);
            let mirrored = self.to_mirror(member, &call);
            let err = match self.attempt(member, call, next).await {
                Ok(mut reply) => {
                    reply.head.retries = self.failed;
                    extra.into_iter().for_each(Extra::succeeded);
                    self.trip.note(|| Decision::Answered);
                    // Only now: a call that is refused costs nobody anything, and none waits for its mirror.
                    if let (Some(call), Some(mirror)) = (mirrored, self.trip.mirror) {
                        member.deployment.silent.iter().for_each(|model| mirror(&call, model));
                    }
                    return Ok(reply);
                }
                Err(err) => err,
            };
            self.trip.note(|| Decision::Failed { kind: err.kind(), status: err.status().as_u16() });
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
        let others = self.route.group.members.len() > self.tried.len() + 1;
        let again = self.leads_on || higher || others || self.retries < self.most_retries(member);
        match again && self.trip.attempts_left > 0 {
            true => self.trip.call.clone(),
            false => self.trip.call.take(),
        }
    }

    /// The call once more, where this deployment's calls are mirrored. One that only its deployment can serve is not.
    fn to_mirror(&self, member: &Member, call: &Call) -> Option<Box<Call>> {
        let wanted = self.trip.mirror.is_some() && !member.deployment.silent.is_empty();
        let possible = call.operation.is_billed() && call.controls.deployment.is_none();
        (wanted && possible).then(|| Box::new(call.clone()))
    }

    /// Counts the attempt against the retry budget, where it is not the call's first.
    fn count(&mut self, member: &Member) -> Option<Extra> {
        let now = Instant::now();
        self.trip.note(|| Decision::Attempt { deployment: member.deployment.id.clone() });
        member.seen.health.tried(now);
        if std::mem::replace(&mut self.trip.begun, true) {
            return Extra::begin(&self.trip.home, now);
        }
        extra::count_call(&self.trip.home, now);
        None
    }

    /// Where to go after a failure, once it is time.
    async fn onward(&mut self, err: &Error, failed: &Member) -> Option<usize> {
        let retry = self.verdict(err);
        let now = Instant::now();
        if retry == Retry::Never || self.trip.call.is_none() || now >= self.trip.patience.content_by {
            return None;
        }
        if costs_nothing(err) {
            self.trip.attempts_left += 1;
            return self.untried(now, false, retry);
        }
        let spent = self.retries >= self.allowed(failed, err.kind());
        if let Some(place) = self.untried(now, spent, retry) {
            return self.admit(place);
        }
        if spent || retry == Retry::Elsewhere || !self.wait(err, failed).await {
            return None;
        }
        let place = self.again(Instant::now());
        self.admit(place)
    }

    /// Whether another attempt may help. An operator who names a number for a kind of failure means it.
    fn verdict(&self, err: &Error) -> Retry {
        if err.is_billed() && !self.trip.table.settings.retry_billed {
            return Retry::Never;
        }
        match (self.trip.verdict(err), self.policies().find_map(|policy| policy.stated(err.kind()))) {
            (Retry::Never, Some(1..)) if err.provider().is_some() => Retry::Anywhere,
            (verdict, _) => verdict,
        }
    }

    /// Counts the attempt that is about to be made at this place.
    fn admit(&mut self, place: usize) -> Option<usize> {
        let (member, now) = (self.route.group.members.get(place)?, Instant::now());
        if !extra::affordable(&self.trip.home, member, self.trip.table.settings.retry_budget, now) {
            self.trip.note(|| Decision::GivenUp { why: "too many further attempts failed lately" });
            return None;
        }
        if member.tier() <= self.tier {
            self.retries += 1;
        }
        member.seen.health.claim(now).then_some(place)
    }

    /// The attempts after the first that a failure of this kind allows.
    fn allowed(&self, member: &Member, kind: ErrorKind) -> u32 {
        let Trip { table, asked_retries, .. } = &*self.trip;
        let by_kind = || self.policies().find_map(|policy| policy.get(kind));
        let set = asked_retries.or(member.deployment.num_retries).or_else(by_kind);
        set.unwrap_or(table.settings.num_retries)
    }

    /// The same for whatever may happen.
    fn most_retries(&self, member: &Member) -> u32 {
        let all = ErrorKind::ALL.iter().map(|kind| self.allowed(member, *kind));
        match self.policies().next() {
            None => self.allowed(member, ErrorKind::Upstream),
            Some(_) => all.max().unwrap_or_default(),
        }
    }

    /// What is set for kinds of failures: first for the group, then for all.
    fn policies(&self) -> impl Iterator<Item = &crate::PerKind> {
        let settings = &self.trip.table.settings;
        let own = settings.group_retries.get(&self.route.name);
        own.into_iter().chain([&settings.retries]).filter(|policy| **policy != crate::PerKind::default())
    }

    fn tell_of_group(&self) {
        let members = &self.route.group.members;
        self.trip.note(|| Decision::Group { name: self.route.name.clone(), deployments: members.len() });
        for (place, why) in self.list.reasons() {
            if let Some(member) = members.get(*place) {
                let deployment = member.deployment.id.clone();
                self.trip.note(|| Decision::LeftOut { deployment, why });
            }
        }
    }

    fn members(&self) -> impl Iterator<Item = &'v Arc<Member>> + use<'v> {
        let route: &'v Route = self.route;
        route.group.members.iter()
    }
}

/// Whether the gateway itself refused the attempt, for its deployment's limits or for what its provider cannot carry:
/// nothing was sent, so to go elsewhere multiplies nothing.
fn costs_nothing(err: &Error) -> bool {
    matches!(err.kind(), ErrorKind::LimitReached | ErrorKind::Unsupported)
}

fn broken() -> Error {
    Error::new(ErrorKind::Internal, "the call could not be routed")
        .with_detail("no deployment or no call is left")
}
