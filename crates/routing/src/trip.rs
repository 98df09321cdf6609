//! One call's way through the groups: the one it asked for, then its fallbacks.

use std::sync::Arc;

use gatewright_core::{Call, CallService, Error, ErrorKind, Reply, Result, Retry};
use tokio::time::Instant;

use crate::fallbacks::Way;
use crate::patience::Patience;
use crate::visit::Visit;
use crate::{Dice, Route, Table};

/// One call on its way.
pub(crate) struct Trip<'a> {
    pub(crate) table: &'a Table,
    pub(crate) dice: &'a dyn Dice,
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
    asked_for: Arc<str>,
}

// === impl Trip ===

impl<'a> Trip<'a> {
    /// Finds where the call goes first. An unknown model goes to the first default fallback that its caller may use.
    pub(crate) fn plan(table: &'a Table, dice: &'a dyn Dice, call: Call) -> Result<(Self, Route)> {
        let route = table.resolve_for(call.caller.team.as_deref(), &call.model);
        let mut trip = Self {
            table,
            dice,
            patience: Patience::of(&call, &table.settings, route.as_ref().map(|route| &*route.group)),
            way: Way::new(&call, &table.settings),
            attempts_left: table.settings.max_attempts.max(1),
            passed: 0,
            asked_retries: call.controls.num_retries,
            asked_for: call.model.clone(),
            call: Some(call),
        };
        let route = match route {
            Some(route) => trip.bound(route)?,
            None => trip.detour()?,
        };
        Ok((trip, route))
    }

    /// Visits one group after the other until one answers.
    pub(crate) async fn run(mut self, mut route: Route, next: &impl CallService) -> Result<Reply> {
        let mut first_error: Option<Error> = None;
        loop {
            self.way.enter(&route);
            let err = match Visit::new(&mut self, &route).run(next).await {
                Ok(mut reply) => {
                    reply.head.fallbacks = self.passed;
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
            let refused = first_error.is_none() && verdict(&err) == Retry::Never;
            let result = first_error.get_or_insert(err);
            if refused || self.call.is_none() || kind == ErrorKind::ClientGone {
                return Err(result.clone());
            }
            match self.next_group(&route, kind) {
                Some(fallback) => route = fallback,
                None => return Err(result.clone()),
            }
        }
    }

    /// The model name that the client shall see in an answer of this group.
    pub(crate) fn shown(&self, route: &Route) -> Arc<str> {
        if self.passed == 0 { self.asked_for.clone() } else { route.name.clone() }
    }

    /// The same way, to the only deployment that can serve the call where there is such a one.
    fn bound(&self, route: Route) -> Result<Route> {
        let Some(id) = self.call.as_ref().and_then(|call| call.controls.deployment.as_ref()) else {
            return Ok(route);
        };
        route.only(id).ok_or_else(|| {
            let words =
                format!("what the call goes on from was answered by another model than {}", self.asked_for);
            Error::new(ErrorKind::InvalidRequest, words).with_param("model")
        })
    }

    fn next_group(&mut self, failed: &Route, kind: ErrorKind) -> Option<Route> {
        let now = Instant::now();
        if self.attempts_left == 0 || now >= self.patience.content_by {
            return None;
        }
        let asked_for = self.shown(failed);
        self.way.extend(self.table, [&asked_for, &failed.name], kind);
        self.passed += 1;
        self.way.next(self.table, now)
    }

    fn detour(&mut self) -> Result<Route> {
        self.way.extend_defaults(self.table);
        self.passed = 1;
        self.way.next(self.table, Instant::now()).ok_or_else(|| unknown_model(self.call.as_ref()))
    }
}

/// Whether another attempt may help, seen from here: what a layer below refuses for a limit is one deployment's
/// limit, because those of the caller stand above the router; and what the gateway itself does not take now, it will
/// not take after a short wait.
pub(crate) fn verdict(err: &Error) -> Retry {
    match err.kind() {
        ErrorKind::LimitReached => Retry::Elsewhere,
        ErrorKind::Unavailable if err.provider().is_none() => Retry::Elsewhere,
        other => other.retry(),
    }
}

fn unknown_model(call: Option<&Call>) -> Error {
    let model = call.map_or("", |call| &call.model);
    let route = call.map_or("/chat/completions", |call| call.codec.dialect().route());
    let message = format!(
        "{route}: Invalid model name passed in model={model}. Call `/v1/models` to view available models for your key."
    );
    Error::new(ErrorKind::UnknownModel, message)
}
