//! One call at one group: the attempts at its deployments.

mod attempt;
mod choice;
mod ending;
mod queue;
mod wait;

use std::sync::Arc;

use gatewright_core::{Call, CallService, Decision, Error, ErrorKind, Reply, Result, Retry};
use smallvec::SmallVec;
use tokio::time::Instant;

use self::queue::Queued;
use crate::Route;
use crate::extra;
use crate::screen::{Shortlist, screen};
use crate::table::Member;
use crate::trip::{Aides, Stand, Trip};

/// One call at one group.
pub(crate) struct Visit<'v> {
    trip: &'v mut Trip,
    route: &'v Route,
    aides: Aides<'v>,
    stay: Stay,
    /// Whether the call may have somewhere to go from here.
    leads_on: bool,
    /// Its wait for capacity.
    queued: Queued,
}

/// What a call knows of a group that it came to.
#[derive(Clone, Default)]
pub(crate) struct Stay {
    /// The deployments that may serve it at all.
    list: Shortlist,
    /// Places of the deployments that this call tried here.
    tried: SmallVec<[usize; 8]>,
    /// The place of the last attempt.
    at: usize,
    /// The highest tier that was tried.
    tier: u32,
    /// Attempts that failed here.
    failed: u32,
    /// Attempts here that count as retries: the first one at a higher tier does not.
    retries: u32,
    waits: u32,
}

// === impl Visit ===

impl<'v> Visit<'v> {
    /// Comes to a group with a call, and sees who may serve it.
    pub(crate) async fn begin(trip: &'v mut Trip, route: &'v Route, aides: Aides<'v>) -> Result<Self> {
        let Trip { call, tokens, table, .. } = &mut *trip;
        let Some(call) = call else { return Err(broken()) };
        let list = match table.settings.checks.any() {
            true => screen(call, route, &table.settings, tokens).await?,
            false => Shortlist::default(),
        };
        let visit = Self::back(trip, route, aides, Stay { list, ..Stay::default() });
        visit.tell_of_group();
        Ok(visit)
    }

    /// Comes back to a group where it has been.
    pub(crate) fn back(trip: &'v mut Trip, route: &'v Route, aides: Aides<'v>, stay: Stay) -> Self {
        let leads_on = trip.leads_on(route);
        Self { trip, route, aides, stay, leads_on, queued: Queued::default() }
    }

    /// Makes attempts until one answers or no further one may help.
    pub(crate) async fn run(mut self, next: &impl CallService) -> Result<Reply> {
        let place = self.come().await?;
        self.run_from(place, next).await
    }

    /// The same after its last attempt here, whose answer broke off with `err`.
    pub(crate) async fn go_on(mut self, err: Error, next: &impl CallService) -> Result<Reply> {
        match self.after(&err).await {
            Some(place) => self.run_from(place, next).await,
            None => Err(err),
        }
    }

    async fn run_from(mut self, mut place: usize, next: &impl CallService) -> Result<Reply> {
        let route = self.route;
        loop {
            let Some(member) = route.group.members.get(place) else { return Err(broken()) };
            let Some(call) = self.hand_out(member) else { return Err(broken()) };
            self.send_to(member);
            self.queued.mark(member);
            self.stay.at = place;
            let mirrored = self.to_mirror(member, &call);
            let err = match self.attempt(member, call, next).await {
                Ok(mut reply) => {
                    reply.head.retries = self.stay.failed;
                    self.trip.note(|| Decision::Answered);
                    // Only now: a call that is refused costs nobody anything, and none waits for its mirror.
                    if let (Some(call), Some(mirror)) = (mirrored, self.aides.mirror) {
                        let table = &self.trip.table;
                        member.deployment.silent.iter().for_each(|model| mirror(table, &call, model));
                    }
                    self.remember();
                    return Ok(reply);
                }
                Err(err) => err,
            };
            match self.after(&err).await {
                Some(onward) => place = onward,
                None => return Err(err),
            }
        }
    }

    /// Counts the failure of its last attempt, and answers where to go then.
    async fn after(&mut self, err: &Error) -> Option<usize> {
        let (route, place) = (self.route, self.stay.at);
        let member = route.group.members.get(place)?;
        self.trip.note(|| Decision::Failed { kind: err.kind(), status: err.status().as_u16() });
        if !costs_nothing(err) && std::mem::replace(&mut self.trip.begun, true) {
            extra::count_failure(&self.trip.home, Instant::now());
        }
        if !self.stay.tried.contains(&place) {
            self.stay.tried.push(place);
        }
        match err.kind() == ErrorKind::LimitReached {
            true => self.refused(err, place),
            false => {
                self.stay.failed += 1;
                self.queued.let_in();
            }
        }
        self.stay.tier = self.stay.tier.max(member.tier());
        self.onward(err, member).await
    }

    /// Where it stands, if another attempt may go on with the answer.
    fn remember(&mut self) {
        if self.trip.call.as_ref().is_some_and(|call| call.so_far.is_some()) {
            self.trip.stand = Some(Stand { route: self.route.clone(), stay: self.stay.clone() });
        }
    }

    /// The call for one more attempt; the last possible one takes it without a copy.
    fn hand_out(&mut self, member: &Member) -> Option<Call> {
        self.trip.attempts_left = self.trip.attempts_left.saturating_sub(1);
        let higher = self.members().any(|other| other.tier() > member.tier());
        let others = self.route.group.members.len() > self.stay.tried.len() + 1;
        let again = self.leads_on || higher || others || self.stay.retries < self.most_retries(member);
        let kept = self.trip.call.as_ref().is_some_and(|call| call.so_far.is_some());
        match kept || (again && self.trip.attempts_left > 0) || self.trip.may_yet_wait(self.route) {
            true => self.trip.call.clone(),
            false => self.trip.call.take(),
        }
    }

    /// The call once more, where this deployment's calls are mirrored. One that only its deployment can serve is not.
    fn to_mirror(&self, member: &Member, call: &Call) -> Option<Box<Call>> {
        let wanted = self.aides.mirror.is_some() && !member.deployment.silent.is_empty();
        let possible = call.operation.is_billed() && call.controls.deployment.is_none();
        (wanted && possible).then(|| Box::new(call.clone()))
    }

    /// Notes that an attempt goes out.
    fn send_to(&self, member: &Member) {
        self.trip.note(|| Decision::Attempt { deployment: member.deployment.id.clone() });
        member.seen.health.tried(Instant::now());
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
            return match self.untried(now, false, retry) {
                Some(place) => Some(place),
                None => self.stand(err).await,
            };
        }
        if self.trip.attempts_left == 0 {
            return None;
        }
        let spent = self.stay.retries >= self.allowed(failed, err.kind());
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
        if self.trip.is_final(err) {
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
        if !extra::affordable(&self.trip.home, &member.seen, self.trip.table.settings.retry_budget, now) {
            self.trip.note(|| Decision::GivenUp { why: "too many further attempts failed lately" });
            return None;
        }
        if member.tier() <= self.stay.tier {
            self.stay.retries += 1;
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

    /// Who is here, and who is not chosen, for whoever asks.
    fn tell_of_group(&self) {
        let Some(decisions) = &self.trip.decisions else { return };
        let (members, now) = (&self.route.group.members, Instant::now());
        decisions.note(Decision::Group { name: self.route.name.clone(), deployments: members.len() });
        let left_out = self.stay.list.reasons().iter().copied();
        let unwell = members.iter().enumerate().filter_map(|(place, member)| {
            let health = &member.seen.health;
            let why = if health.is_cooling(now) { "rests" } else { "is down" };
            (self.stay.list.has(place) && (health.is_cooling(now) || health.is_down()))
                .then_some((place, why))
        });
        for (place, why) in left_out.chain(unwell) {
            if let Some(member) = members.get(place) {
                decisions.note(Decision::LeftOut { deployment: member.deployment.id.clone(), why });
            }
        }
    }

    fn members(&self) -> impl Iterator<Item = &'v Arc<Member>> + use<'v> {
        let route: &'v Route = self.route;
        route.group.members.iter()
    }
}

/// Whether the attempt was refused for its deployment's limits or for what its provider cannot carry, nearly always before
/// anything was sent: it says nothing about what the others are able to do, and each is asked once.
pub(crate) fn costs_nothing(err: &Error) -> bool {
    matches!(err.kind(), ErrorKind::LimitReached | ErrorKind::Unsupported)
}

fn broken() -> Error {
    Error::new(ErrorKind::Internal, "the call could not be routed")
        .with_detail("no deployment or no call is left")
}
