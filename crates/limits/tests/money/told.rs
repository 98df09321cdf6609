//! What clients read about their budgets and limits.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use gatewright_core::{
    Call, CallService, Clock, Error, ErrorKind, Frame, Frames, HandClock, Middleware, Money, Reply, Result,
};
use gatewright_limits::{Foresee, Limits, Local, Need, Rule, Rules, Ruling, Wanted, Window};
use http::StatusCode;
use tower::service_fn;

use crate::call::call;
use crate::costs::tokens;

struct Always(Vec<Rule>);

impl Rules for Always {
    fn rules(&self, _: &Call, out: &mut Ruling) {
        out.extend(self.0.iter().cloned());
    }
}

struct Needs(Need);

impl Foresee for Needs {
    fn need(&self, _: &Call, _: Wanted) -> Need {
        self.0
    }
}

fn limits(rules: Vec<Rule>, need: Need, clock: &Arc<HandClock>) -> Limits<Local> {
    let local = Arc::new(Local::new(clock.clone()));
    Limits::new(Arc::new(Always(rules)), local, Arc::new(Needs(need)), clock.clone())
}

/// Answers with the cap that it was told.
fn upstream() -> impl CallService {
    service_fn(async |call: Call| {
        let data = format!("{:?}", call.output_cap).into();
        Ok(Reply { head: Box::default(), frames: Frames::one(Frame { data, ..Frame::default() }) })
    })
}

fn send(limits: &Limits<Local>, next: &impl CallService) -> Result<Reply> {
    limits.handle(call(), next).now_or_never().unwrap()
}

fn refused(limits: &Limits<Local>) -> Error {
    send(limits, &upstream()).err().unwrap()
}

#[test]
fn a_spent_budget_is_told_in_litellms_words() {
    let clock = HandClock::new();
    let ends = clock.wall() + Duration::from_millis(90_500);
    let daily = || Window::Period { name: "1d".into(), ends };
    for (scope, label, window, says, wait) in [
        (
            "api_key",
            Some("sk-...1tsQ"),
            Window::Forever,
            "Budget has been exceeded! Key=key (sk-...1tsQ) Current cost: 0.0000325, Max budget: 0.00001",
            None,
        ),
        (
            "api_key",
            None,
            daily(),
            "Budget has been exceeded! Key=x Current cost: 0.0000325, Max budget: 0.00001",
            Some(91),
        ),
        (
            "team",
            None,
            daily(),
            "Budget has been exceeded! Team=x Current cost: 0.0000325, Max budget: 0.00001",
            Some(91),
        ),
        (
            "team_member",
            None,
            Window::Forever,
            "Budget has been exceeded! Team Member=x Current cost: 0.0000325, Max budget: 0.00001",
            None,
        ),
        (
            "user",
            None,
            daily(),
            "ExceededBudget: User=x over budget. Spend=0.0000325, Budget=0.00001",
            Some(91),
        ),
        (
            "end_user",
            None,
            Window::Forever,
            "ExceededBudget: End User=x over budget. Spend=0.0000325, Budget=0.00001",
            None,
        ),
        (
            "proxy",
            None,
            daily(),
            "Budget has been exceeded! Current cost: 0.0000325, Max budget: 0.00001",
            Some(91),
        ),
    ] {
        let rule = Rule::money(scope, "x".into(), Money(10_000), window).spent(Money(32_500));
        let rule = label.map_or(rule.clone(), |label| rule.labelled(label.into()));
        let limits = limits(vec![rule], tokens(1, 1), &clock);
        let err = refused(&limits);
        assert_eq!(
            (err.message(), err.kind(), err.status().as_u16()),
            (says, ErrorKind::BudgetExceeded, 422)
        );
        assert_eq!(err.retry_after(), wait.map(Duration::from_secs), "{says}");
        assert_eq!(err.headers()["rate_limit_type"], "budget");
        let teapot = limits.clone().refusing_budgets_with(StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused(&teapot).status().as_u16(), 429);
        let below = refused(&limits.of_deployments());
        assert_eq!(
            (below.kind(), below.status().as_u16()),
            (ErrorKind::LimitReached, 429),
            "another may take it"
        );
        assert!(
            below.message().starts_with("No deployments available - crossed budget: "),
            "{}",
            below.message()
        );
    }
}

#[test]
fn a_cap_is_told_to_the_client_and_to_whoever_stands_below() {
    let budget = |limit| vec![Rule::money("team", "x".into(), Money(limit), Window::Forever)];
    let assumed = Need { known_cap: false, ..tokens(256, 4_000) };
    for (limit, need, want) in [
        (1_000_000, tokens(256, 4_000), None),
        (1_000, tokens(256, 4_000), Some(1_000)),
        (1_000_000, assumed, Some(4_000)),
        (10_000, tokens(4_000, 4_000), None),
        (0, Need { output_cap: 4_000, least_output: 256, ..Need::default() }, None),
    ] {
        let clock = HandClock::new();
        let reply = send(&limits(budget(limit), need, &clock), &upstream()).unwrap();
        let told = reply.head.told.get("x-gatewright-output-cap").map(|cap| cap.to_str().unwrap().to_owned());
        assert_eq!(told, want.map(|cap: u64| cap.to_string()), "{limit}");
        assert_eq!(reply.frames.peek_one().unwrap().data, format!("{want:?}"), "{limit}");
    }
}

#[test]
fn limits_and_what_is_left_of_them_are_told_by_scope() {
    let clock = HandClock::new();
    let rules = vec![
        Rule::requests("api_key", "k".into(), 60),
        Rule::tokens("api_key", "k".into(), 1_000),
        Rule::requests("team", "t".into(), 9),
        Rule::requests("model_per_key", "k:a".into(), 50),
        Rule::requests("model_per_key", "k:b".into(), 40),
        Rule::parallel("api_key", "k".into(), 3),
        Rule::money("api_key", "k".into(), Money(5_000), Window::Forever),
    ];
    let limits = limits(rules, Need { tokens: 70, ..tokens(1, 1) }, &clock);
    send(&limits, &upstream()).unwrap();
    let reply = send(&limits, &upstream()).unwrap();
    let mut told: Vec<_> =
        reply.head.told.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    told.sort();
    let want = [
        "x-ratelimit-api_key-limit-requests: 60",
        "x-ratelimit-api_key-limit-tokens: 1000",
        "x-ratelimit-api_key-remaining-requests: 58",
        "x-ratelimit-api_key-remaining-tokens: 860",
        "x-ratelimit-model_per_key-limit-requests: 40",
        "x-ratelimit-model_per_key-remaining-requests: 38",
        "x-ratelimit-team-limit-requests: 9",
        "x-ratelimit-team-remaining-requests: 7",
    ];
    assert_eq!(told, want);
    let below = send(&limits.of_deployments(), &upstream()).unwrap();
    assert!(below.head.told.is_empty(), "a deployment's limits are nobody else's business");
}
