//! What the router decided, as events of its span.

use gatewright_core::{Decision, Decisions};
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanRef;

use crate::semconv::{DEPLOYMENT_ID, ERROR_TYPE, GROUP, HTTP_STATUS, REASON, WAITED};

/// One event a step. They all have the time of the span's end: what takes its time has a span of its own.
pub(crate) fn tell(span: &SpanRef<'_>, decisions: &Decisions) {
    let (steps, more) = decisions.steps();
    for step in steps {
        let (name, attributes) = event(step);
        span.add_event(name, attributes);
    }
    if more > 0 {
        span.add_event("gatewright.route.more", vec![number("gatewright.route.steps", more as u64)]);
    }
}

fn event(step: Decision) -> (&'static str, Vec<KeyValue>) {
    match step {
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
    }
}

fn number(name: &'static str, value: u64) -> KeyValue {
    KeyValue::new(name, i64::try_from(value).unwrap_or(i64::MAX))
}
