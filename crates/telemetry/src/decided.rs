//! What was decided on a call's way: the router's steps as events of its span, the limits' as a span, an attempt's reason.

use std::time::{Duration, Instant};

use gatewright_core::{Call, Decision, Decisions, ErrorKind, Holding, Limit, TraceContext};

use crate::Tracer;
use crate::attributes::Attributes;
use crate::described::dollars;
use crate::semconv::{
    ATTEMPT_AFTER, ATTEMPT_REASON, DEPLOYMENT_ID, ERROR_TYPE, GROUP, HTTP_STATUS, LIMITS_HELD, LIMITS_MONEY,
    LIMITS_REFUSED_BY, LIMITS_TOKENS, LIMITS_WAITED, REASON, WAITED,
};
use crate::span::Span;
use crate::tracer::Past;

/// One event for each of the router's steps, at its time.
pub(crate) fn tell(span: &mut Span, decisions: &Decisions) {
    decisions.look(|steps, more| {
        for (at, step) in steps {
            if let Some(name) = name_of(step) {
                span.event(name, *at, |told| describe(step, told));
            }
        }
        if more > 0 {
            span.event("gatewright.route.more", Instant::now(), |told| {
                told.put("gatewright.route.steps", more as u64);
            });
        }
    });
}

/// A span for each time that limits were asked for what a call needs: what was held or which one refused it, and how long
/// that took.
pub(crate) fn tell_limits(tracer: &Tracer, above: &TraceContext, decisions: &Decisions) {
    decisions.look(|steps, _| {
        for (ended, step) in steps {
            let (waited, kind) = match step {
                Decision::Held(holding) => (holding.waited, None),
                Decision::Refused { limit, waited } if limit.counter == "budget" => {
                    (*waited, Some(ErrorKind::BudgetExceeded))
                }
                Decision::Refused { waited, .. } => (*waited, Some(ErrorKind::LimitReached)),
                _ => continue,
            };
            let (began, reason) = (ended.checked_sub(waited).unwrap_or(*ended), kind.map(ErrorKind::word));
            let past = Past { name: "limits", began, ended: *ended, failed: reason.as_deref() };
            tracer.tell(above, &past, |told| match step {
                Decision::Held(holding) => tell_held(holding, told),
                Decision::Refused { limit, waited } => {
                    tell_wait(*waited, told);
                    told.put(LIMITS_REFUSED_BY, &name(limit));
                }
                _ => {}
            });
        }
    });
}

fn tell_held(holding: &Holding, told: &mut Attributes) {
    told.put_texts(LIMITS_HELD, holding.limits.iter().map(name));
    tell_wait(holding.waited, told);
    if holding.tokens > 0 {
        told.put(LIMITS_TOKENS, holding.tokens);
    }
    if let Some(money) = holding.money {
        told.put(LIMITS_MONEY, dollars(money));
    }
}

fn name(limit: &Limit) -> String {
    format!("{} {}", limit.scope, limit.counter)
}

fn tell_wait(waited: Duration, told: &mut Attributes) {
    told.put(LIMITS_WAITED, u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
}

/// Why there is an attempt that is about to go out: what went wrong before it, and whether its group is another since.
pub(crate) fn tell_reason(call: &Call, told: &mut Attributes) {
    if call.mirror_of.is_some() {
        told.put(ATTEMPT_REASON, "mirror");
        return;
    }
    let Some(decisions) = &call.decisions else { return };
    decisions.look(|steps, _| {
        let (mut failed, mut groups) = (None, 0);
        for (_, step) in steps {
            match step {
                Decision::Failed { kind, .. } => (failed, groups) = (Some(*kind), 0),
                Decision::Group { .. } => groups += 1,
                _ => {}
            }
        }
        let reason = match (failed, groups) {
            (None, 0 | 1) => "first",
            (Some(_), 0) => "retry",
            // A group without anybody to ask is left without an attempt.
            (None | Some(_), _) => "fallback",
        };
        told.put(ATTEMPT_REASON, reason);
        if let Some(kind) = failed {
            told.put(ATTEMPT_AFTER, &kind.word());
        }
    });
}

/// Nothing of what is no step of the router's.
fn name_of(step: &Decision) -> Option<&'static str> {
    Some(match step {
        Decision::Group { .. } => "gatewright.route.group",
        Decision::LeftOut { .. } => "gatewright.route.left_out",
        Decision::Attempt { .. } => "gatewright.route.attempt",
        Decision::Failed { .. } => "gatewright.route.failed",
        Decision::Waited { .. } => "gatewright.route.waited",
        Decision::GivenUp { .. } => "gatewright.route.given_up",
        Decision::Answered => "gatewright.route.answered",
        Decision::Held(_) | Decision::Refused { .. } => return None,
    })
}

fn describe(step: &Decision, told: &mut Attributes) {
    match step {
        Decision::Group { name, deployments } => {
            told.put(GROUP, name);
            told.put("gatewright.route.deployments", *deployments as u64);
        }
        Decision::LeftOut { deployment, why } => {
            told.put(DEPLOYMENT_ID, deployment);
            told.put(REASON, *why);
        }
        Decision::Attempt { deployment } => told.put(DEPLOYMENT_ID, deployment),
        Decision::Failed { kind, status } => {
            told.put(ERROR_TYPE, &kind.word());
            told.put(HTTP_STATUS, u64::from(*status));
        }
        Decision::Waited { millis, what } => {
            told.put(WAITED, *millis);
            told.put(REASON, *what);
        }
        Decision::GivenUp { why } => told.put(REASON, *why),
        Decision::Answered | Decision::Held(_) | Decision::Refused { .. } => {}
    }
}
