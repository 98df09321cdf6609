//! One call's way through the groups: the one it asked for, then its fallbacks.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Call, CallService, Decision, Decisions, Error, ErrorKind, Reply, Result, Retry};
use tokio::time::Instant;

use crate::fallbacks::Way;
use crate::patience::Patience;
use crate::table::Group;
use crate::visit::{Stay, Visit, costs_nothing};
use crate::{Dice, Route, Table, extra};

/// One call on its way.
pub(crate) struct Trip {
    pub(crate) table: Arc<Table>,
    pub(crate) patience: Patience,
    pub(crate) way: Way,
    /// Attempts that the call may still make, at whatever group.
    pub(crate) attempts_left: u32,
    /// Groups that failed.
    pub(crate) passed: u32,
    /// The call, until its last attempt takes it.
    pub(crate) call: Option<Call>,
    /// The retries that the client asked for.
    pub(crate) asked_retries: Option<u32>,
    /// Whether its first attempt went out.
    pub(crate) begun: bool,
    /// The group that it came to first.
    pub(crate) home: Arc<Group>,
    /// Whether it came back to where it came first, to wait for capacity there.
    pub(crate) is_back: bool,
    /// Where it came first, with what it had passed by then, if that was full.
    pub(crate) full: Option<(Route, u32)>,
    /// The tokens of the call, once they were counted.
    pub(crate) tokens: Option<u64>,
    /// Where it stood when an attempt answered, if another one may go on with the answer.
    pub(crate) stand: Option<Stand>,
    pub(crate) decisions: Option<Arc<Decisions>>,
    asked_for: Arc<str>,
    /// How long it waited, at all groups together, where nobody asked for it.
    pub(crate) waited: Duration,
}

/// What a trip asks as it goes.
#[derive(Clone, Copy)]
pub(crate) struct Aides<'m> {
    pub(crate) dice: &'m dyn Dice,
    /// Asks a model the same as a call, in the background; `None` where nothing is mirrored.
    pub(crate) mirror: Option<&'m Mirror<'m>>,
}

/// Mirrors a call to a model.
type Mirror<'m> = dyn Fn(&Arc<Table>, &Call, &Arc<str>) + Send + Sync + 'm;

/// Where a call stood when an attempt answered.
pub(crate) struct Stand {
    pub(crate) route: Route,
    pub(crate) stay: Stay,
}

// === impl Trip ===

impl Trip {
    /// Finds where the call goes first. An unknown model goes to the first default fallback that its caller may use.
    pub(crate) fn plan(table: Arc<Table>, call: Call) -> Result<(Self, Route)> {
        let route = table.resolve_for(call.caller.team.as_deref(), &call.model);
        let (passed, mut way) = (u32::from(route.is_none()), Way::new(&call, &table.settings));
        let patience = Patience::of(&call, &table.settings, route.as_ref().map(|route| &*route.group));
        let route = match route {
            Some(route) => bound(&call, &table, route)?,
            None => {
                way.extend_defaults(&table);
                way.next(&table, Instant::now(), |_| true).ok_or_else(|| unknown_model(&call))?
            }
        };
        let trip = Self {
            patience,
            way,
            attempts_left: table.settings.max_attempts.max(1),
            passed,
            asked_retries: call.controls.num_retries,
            asked_for: call.model.clone(),
            decisions: call.decisions.clone(),
            begun: false,
            waited: Duration::ZERO,
            is_back: false,
            full: None,
            tokens: None,
            stand: None,
            home: route.group.clone(),
            call: Some(call),
            table,
        };
        Ok((trip, route))
    }

    /// Visits one group after the other until one answers.
    pub(crate) async fn run(
        &mut self,
        route: Route,
        next: &impl CallService,
        aides: Aides<'_>,
    ) -> Result<Reply> {
        extra::count_call(&self.home, Instant::now());
        self.visit(route, None, next, aides).await
    }

    /// Goes on from where it stood, after the answer that it got there broke off with `err`.
    pub(crate) async fn go_on(
        &mut self,
        stand: Stand,
        err: Error,
        next: &impl CallService,
        aides: Aides<'_>,
    ) -> Result<Reply> {
        self.patience = self.patience.past_content();
        self.visit(stand.route, Some((stand.stay, err)), next, aides).await
    }

    /// Whether an answer that broke off with this error may go on: something was said that another attempt can go on with,
    /// somebody is there to hear it, and the failure is one that another attempt may help.
    pub(crate) fn may_go_on(&self, err: &Error) -> bool {
        let Some(call) = &self.call else { return false };
        let said = call.so_far.as_ref().is_some_and(|so_far| so_far.is_left());
        let may_help = self.verdict(err) != Retry::Never && !costs_nothing(err);
        said && !call.is_left() && err.provider().is_some() && may_help
    }

    async fn visit(
        &mut self,
        mut route: Route,
        mut broke_off: Option<(Stay, Error)>,
        next: &impl CallService,
        aides: Aides<'_>,
    ) -> Result<Reply> {
        let mut first_error: Option<Error> = None;
        loop {
            self.way.enter(&route);
            let visited = async {
                match broke_off.take() {
                    None => Visit::begin(self, &route, aides).await?.run(next).await,
                    Some((stay, err)) => Visit::back(self, &route, aides, stay).go_on(err, next).await,
                }
            };
            let err = match visited.await {
                Ok(mut reply) => {
                    reply.head.fallbacks = self.passed;
                    reply.head.overcome = first_error;
                    return Ok(reply);
                }
                Err(err) => err,
            };
            let kind = err.kind();
            // What is held for the call covers no more: a fallback would cost money that is not there.
            if kind == ErrorKind::BudgetExceeded {
                return Err(err);
            }
            // A fallback group may refuse what the group asked for was ready to take; only the first refusal is final.
            let first = first_error.is_none();
            let refused = self.is_final(&err) || (first && self.verdict(&err) == Retry::Never);
            let result = first_error.get_or_insert(err);
            if refused || self.call.is_none() || kind == ErrorKind::ClientGone {
                return Err(result.clone());
            }
            if first && kind == ErrorKind::LimitReached && self.may_wait_at(&route) && self.leads_on(&route) {
                self.full = Some((route.clone(), self.passed));
            }
            match self.next_group(&route, kind) {
                Some(fallback) => route = fallback,
                None => match self.back() {
                    Some(home) => (route, first_error) = (home, None),
                    None => return Err(result.clone()),
                },
            }
        }
    }

    /// Whether the call may have somewhere to go when this group fails.
    pub(crate) fn leads_on(&self, route: &Route) -> bool {
        !self.is_back && self.way.may_lead_on(&self.table, [&self.shown(route), &route.name])
    }

    /// Whether calls wait for capacity at a group.
    pub(crate) fn may_wait_at(&self, route: &Route) -> bool {
        route.group.limited && self.table.settings.queue.is_on()
    }

    /// Whether the call may come to wait after it failed at a group.
    pub(crate) fn may_yet_wait(&self, route: &Route) -> bool {
        self.full.is_some() || self.may_wait_at(route)
    }

    /// How long it may wait for capacity.
    pub(crate) fn wait_until(&self, now: Instant) -> Instant {
        self.patience.content_by.min(now + self.table.settings.queue.timeout)
    }

    /// The model name that the client shall see in an answer of this group.
    pub(crate) fn shown(&self, route: &Route) -> Arc<str> {
        if self.passed == 0 { self.asked_for.clone() } else { route.name.clone() }
    }

    /// Whether another attempt may help, seen from here: what a layer below refuses for a limit is one deployment's
    /// limit, because those of the caller stand above the router; and what the gateway itself does not take now, it will
    /// not take after a short wait.
    pub(crate) fn verdict(&self, err: &Error) -> Retry {
        match err.kind() {
            _ if self.is_final(err) => Retry::Never,
            ErrorKind::LimitReached => Retry::Elsewhere,
            ErrorKind::Unavailable if err.provider().is_none() => Retry::Elsewhere,
            other => other.retry(),
        }
    }

    /// Whether no attempt follows, here or elsewhere: what a provider bills, another would bill again.
    pub(crate) fn is_final(&self, err: &Error) -> bool {
        err.is_billed() && !self.table.settings.retry_billed
    }

    /// Notes a step for whoever asked how the call was routed.
    pub(crate) fn note(&self, step: impl FnOnce() -> Decision) {
        if let Some(decisions) = &self.decisions {
            decisions.note(step());
        }
    }

    /// Where it came first, if that was full and no other way is left: now it waits there.
    fn back(&mut self) -> Option<Route> {
        let (route, passed) = self.full.take().filter(|_| self.attempts_left > 0)?;
        (self.is_back, self.passed) = (true, passed);
        Some(route)
    }

    fn next_group(&mut self, failed: &Route, kind: ErrorKind) -> Option<Route> {
        let now = Instant::now();
        if self.attempts_left == 0 || now >= self.patience.content_by {
            return None;
        }
        let asked_for = self.shown(failed);
        self.way.extend(&self.table, [&asked_for, &failed.name], kind);
        self.passed += 1;
        let share = self.table.settings.retry_budget;
        self.way.next(&self.table, now, |seen| extra::affordable(&self.home, seen, share, now))
    }
}

/// The same way, to the only deployment that can serve the call where there is such a one.
fn bound(call: &Call, table: &Table, route: Route) -> Result<Route> {
    let Some(id) = &call.controls.deployment else { return Ok(route) };
    route.only(id, &table.settings).ok_or_else(|| {
        let words = format!("what the call goes on from was answered by another model than {}", call.model);
        Error::new(ErrorKind::InvalidRequest, words).with_param("model")
    })
}

fn unknown_model(call: &Call) -> Error {
    let (model, route) = (&call.model, call.codec.dialect().route());
    let message = format!(
        "{route}: Invalid model name passed in model={model}. Call `/v1/models` to view available models for your key."
    );
    Error::new(ErrorKind::UnknownModel, message)
}
