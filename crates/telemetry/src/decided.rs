//! What was decided on a call's way: the router's steps as events of its span, the limits' as a span, an attempt's reason.

use std::time::Duration;

use gatewright_core::{Call, Decision, Decisions, ErrorKind, Holding, Limit, TraceContext};
use opentelemetry::trace::SpanRef;
use opentelemetry::{Array, KeyValue, StringValue, Value};

use crate::Tracer;
use crate::described::dollars;
use crate::semconv::{
    ATTEMPT_AFTER, ATTEMPT_REASON, DEPLOYMENT_ID, ERROR_TYPE, GROUP, HTTP_STATUS, LIMITS_HELD, LIMITS_MONEY,
    LIMITS_REFUSED_BY, LIMITS_TOKENS, LIMITS_WAITED, REASON, WAITED,
};
use crate::tracer::{Past, wall};

/// One event for each of the router's steps, at its time.
pub(crate) fn tell(span: &SpanRef<'_>, decisions: &Decisions) {
    let (steps, more) = decisions.look(|steps, more| (steps.to_vec(), more));
    for (at, step) in steps {
        if let Some((name, attributes)) = event(step) {
            span.add_event_with_timestamp(name, wall(at), attributes);
        }
    }
    if more > 0 {
        span.add_event("gatewright.route.more", vec![number("gatewright.route.steps", more as u64)]);
    }
}

/// A span for each time that limits were asked for what a call needs: what was held or which one refused it, and how long
/// that took.
pub(crate) fn tell_limits(tracer: &Tracer, above: &TraceContext, decisions: &Decisions) {
    let asked = |step: &Decision| matches!(step, Decision::Held(_) | Decision::Refused { .. });
    let asked =
        decisions.look(|steps, _| steps.iter().filter(|(_, step)| asked(step)).cloned().collect::<Vec<_>>());
    for (ended, step) in asked {
        let (waited, attributes, failed) = match step {
            Decision::Held(holding) => (holding.waited, held(&holding), None),
            Decision::Refused { limit, waited } => {
                let kind = if limit.counter == "budget" {
                    ErrorKind::BudgetExceeded
                } else {
                    ErrorKind::LimitReached
                };
                let attributes = vec![millis(waited), KeyValue::new(LIMITS_REFUSED_BY, name(&limit))];
                (waited, attributes, Some(kind.word()))
            }
            _ => continue,
        };
        let began = ended.checked_sub(waited).unwrap_or(ended);
        tracer.tell(above, Past { name: "limits", began, ended, attributes, failed });
    }
}

fn held(holding: &Holding) -> Vec<KeyValue> {
    let limits = holding.limits.iter().map(|limit| StringValue::from(name(limit))).collect();
    let mut told =
        vec![KeyValue::new(LIMITS_HELD, Value::Array(Array::String(limits))), millis(holding.waited)];
    if holding.tokens > 0 {
        told.push(number(LIMITS_TOKENS, holding.tokens));
    }
    told.extend(holding.money.map(|money| KeyValue::new(LIMITS_MONEY, dollars(money))));
    told
}

fn name(limit: &Limit) -> String {
    format!("{} {}", limit.scope, limit.counter)
}

fn millis(waited: Duration) -> KeyValue {
    number(LIMITS_WAITED, u64::try_from(waited.as_millis()).unwrap_or(u64::MAX))
}

/// Why there is an attempt that is about to go out: what went wrong before it, and whether its group is another since.
pub(crate) fn reason(call: &Call) -> Vec<KeyValue> {
    if call.mirror_of.is_some() {
        return vec![KeyValue::new(ATTEMPT_REASON, "mirror")];
    }
    let Some(decisions) = &call.decisions else { return Vec::new() };
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
        let after = failed.map(|kind| KeyValue::new(ATTEMPT_AFTER, kind.word()));
        [KeyValue::new(ATTEMPT_REASON, reason)].into_iter().chain(after).collect()
    })
}

/// Nothing of what is no step of the router's.
fn event(step: Decision) -> Option<(&'static str, Vec<KeyValue>)> {
    Some(match step {
        Decision::Group { name, deployments } => (
            "gatewright.route.group",
            vec![KeyValue::new(GROUP, name), number("gatewright.route.deployments", deployments as u64)],
        ),
        Decision::LeftOut { deployment, why } => (
            "gatewright.route.left_out",
            vec![KeyValue::new(DEPLOYMENT_ID, deployment), KeyValue::new(REASON, why)],
        ),
        Decision::Attempt { deployment } => {
            ("gatewright.route.attempt", vec![KeyValue::new(DEPLOYMENT_ID, deployment)])
        }
        Decision::Failed { kind, status } => (
            "gatewright.route.failed",
            vec![KeyValue::new(ERROR_TYPE, kind.word()), KeyValue::new(HTTP_STATUS, i64::from(status))],
        ),
        Decision::Waited { millis, what } => {
            ("gatewright.route.waited", vec![number(WAITED, millis), KeyValue::new(REASON, what)])
        }
        Decision::GivenUp { why } => ("gatewright.route.given_up", vec![KeyValue::new(REASON, why)]),
        Decision::Answered => ("gatewright.route.answered", Vec::new()),
        Decision::Held(_) | Decision::Refused { .. } => return None,
    })
}

fn number(name: &'static str, value: u64) -> KeyValue {
    KeyValue::new(name, i64::try_from(value).unwrap_or(i64::MAX))
}
