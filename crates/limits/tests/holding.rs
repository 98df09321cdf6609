//! What a call holds comes back on every kind of end.
#![cfg(test)]

#[path = "support/call.rs"]
mod call;

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use call::call;
use futures_util::{FutureExt, StreamExt, stream};
use gatewright_core::{
    Cached, Call, CallService, Error, ErrorKind, Frame, Frames, HandClock, Head, Middleware, Money, Reply,
    Result, Turn, Usage,
};
use gatewright_limits::{
    Counters, Foresee, Grant, Limits, Local, Need, Refused, Reset, Rule, Rules, Ruling, Used, Wanted,
};
use tower::service_fn;

/// The same rules for every call.
struct Always(Vec<Rule>);

impl Rules for Always {
    fn rules(&self, _: &Call, out: &mut Ruling) {
        out.extend(self.0.iter().cloned());
    }
}

/// Every call needs so many tokens.
struct Tokens(u64);

impl Foresee for Tokens {
    fn need(&self, _: &Call, _: Wanted) -> Need {
        Need { tokens: self.0, ..Need::default() }
    }
}

fn limits(rules: Vec<Rule>, estimate: u64) -> (Limits<Local>, Arc<Local>, Arc<HandClock>) {
    let clock = HandClock::new();
    let local = Arc::new(Local::new(clock.clone()));
    let needs = Arc::new(Tokens(estimate));
    (Limits::new(Arc::new(Always(rules)), local.clone(), needs, clock.clone()), local, clock)
}

fn one(usage: Option<Usage>) -> Result<Reply> {
    Ok(Reply { head: Box::default(), frames: Frames::one(Frame { usage, content: 1, ..Frame::default() }) })
}

fn many(frames: Vec<Result<Frame>>) -> Result<Reply> {
    let frames = stream::iter(frames).chain(stream::once(pending()));
    Ok(Reply { head: Box::default(), frames: Frames::many(frames) })
}

fn text(content: u32) -> Result<Frame> {
    Ok(Frame { content, ..Frame::default() })
}

fn told(total: u64, last: bool) -> Result<Frame> {
    Ok(Frame { usage: Some(Usage { input: total, ..Usage::default() }), last, ..Frame::default() })
}

fn err() -> Error {
    Error::new(ErrorKind::Connection, "gone")
}

fn answering<F: Future<Output = Result<Reply>> + Send + 'static>(
    answer: impl FnOnce() -> F + Clone + Send + Sync + 'static,
) -> impl CallService + Clone {
    service_fn(move |_| answer.clone()())
}

/// Sends one call through, reads while something comes, and leaves.
fn run(limits: &Limits<Local>, upstream: impl CallService) -> Option<ErrorKind> {
    match limits.handle(call(), &upstream).now_or_never() {
        None => None,
        Some(Err(err)) => Some(err.kind()),
        Some(Ok(mut reply)) => {
            while let Some(Some(Ok(_))) = reply.frames.next().now_or_never() {}
            None
        }
    }
}

/// The tokens that a limit of 1000 has left, where this ended a call that was held for 100.
fn check(name: &str, left: u64, upstream: impl CallService) {
    let rules = vec![Rule::parallel("api_key", "k".into(), 1), Rule::tokens("api_key", "k".into(), 1000)];
    let (limits, local, _) = limits(rules.clone(), 100);
    run(&limits, upstream);
    let need = |tokens| Need { tokens, ..Need::default() };
    let fits = |tokens| match local.hold(&rules, &need(tokens), Duration::ZERO).now_or_never().unwrap() {
        Ok((held, _)) => {
            local.settle(&held, Used::default());
            true
        }
        Err(Refused::Full { rule: 1, .. }) => false,
        Err(refused) => panic!("{name}: the permit did not come back: {refused:?}"),
    };
    let most = (1..=1000).rev().find(|tokens| fits(*tokens)).unwrap();
    assert_eq!(most, left, "{name}");
}

#[test]
fn permits_return_and_tokens_are_put_right_on_every_end() {
    let usage = |total| Some(Usage { output: total, ..Usage::default() });
    check("whole", 970, answering(move || async move { one(usage(30)) }));
    check("whole and long", 400, answering(move || async move { one(usage(600)) }));
    check("whole without usage", 900, answering(|| async { one(None) }));
    check("a stream", 960, answering(|| async { many(vec![text(9), told(40, true)]) }));
    check("an error", 1000, answering(|| async { Err(err()) }));
    check("an error in a stream", 1000, answering(|| async { many(vec![Err(err())]) }));
    check("cut", 900, answering(|| async { many(vec![text(9), Err(err())]) }));
    check("cut after much", 800, answering(|| async { many(vec![text(800), Err(err())]) }));
    check("a client that leaves before the head", 900, answering(pending));
    check("a client that leaves a stream", 900, answering(|| async { many(vec![text(9), told(40, false)]) }));
    let given = |reply: Result<Reply>| {
        let cached = Cached { key: "k".into(), hit: true, similarity: None, saved: None };
        reply.map(|reply| Reply {
            head: Box::new(Head { cached: Some(Arc::new(cached)), ..*reply.head }),
            ..reply
        })
    };
    check("kept", 1000, answering(move || async move { given(one(usage(30))) }));
    check("a kept stream that is left", 1000, answering(move || async move { given(many(vec![text(9)])) }));
    check("one that leaves late", 500, answering(|| async { many(vec![text(9), told(500, false)]) }));
}

#[test]
fn a_permit_is_held_until_the_stream_ends() {
    let (limits, _, _) = limits(vec![Rule::parallel("api_key", "k".into(), 1)], 0);
    let stream = answering(|| async { many(vec![text(9), told(1, true)]) });
    let mut reply = limits.handle(call(), &stream).now_or_never().unwrap().unwrap();
    reply.frames.next().now_or_never().unwrap().unwrap().unwrap();
    assert_eq!(run(&limits, stream.clone()), Some(ErrorKind::LimitReached));
    reply.frames.next().now_or_never().unwrap().unwrap().unwrap();
    assert_eq!(run(&limits, stream), None, "before the reply is dropped");
}

#[test]
fn a_refusal_says_what_litellm_says() {
    let key = "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b";
    for (rule, below, says, wait) in [
        (
            Rule::requests("api_key", key.into(), 1),
            false,
            "Rate limit exceeded for api_key: 88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b. \
             Limit type: requests. Current limit: 1, Remaining: 0. Limit resets at: 2025-11-20 23:51:22 UTC",
            60,
        ),
        (
            Rule::tokens("deployment", "fast-1".into(), 15),
            true,
            "Rate limit exceeded for deployment: fast-1. Limit type: tokens. Current limit: 15, Remaining: 5. \
             Limit resets at: 2025-11-20 23:51:22 UTC",
            60,
        ),
        (
            Rule::parallel("proxy", "all".into(), 1),
            false,
            "Rate limit exceeded for proxy: all. Limit type: max_parallel_requests. Current limit: 1, \
             Remaining: 0. Limit resets at: 2025-11-20 23:50:23 UTC",
            1,
        ),
    ] {
        let name = rule.counter.name();
        let (limits, _, clock) = limits(vec![rule], 10);
        let limits = if below { limits.of_deployments() } else { limits };
        let held = limits.handle(call(), &answering(|| async { many(vec![]) })).now_or_never().unwrap();
        let err =
            limits.handle(call(), &answering(|| async { one(None) })).now_or_never().unwrap().err().unwrap();
        assert_eq!((err.message(), err.kind(), err.status().as_u16()), (says, ErrorKind::LimitReached, 429));
        assert_eq!(err.retry_after(), Some(Duration::from_secs(wait)));
        let header = |name: &str| err.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("retry-after"), wait.to_string());
        assert_eq!(header("rate_limit_type"), name);
        assert!(says.ends_with(&header("reset_at")));
        drop(held);
        clock.forward(Duration::from_secs(wait));
        assert_eq!(run(&limits, answering(|| async { one(None) })), None, "when it said");
    }
}

#[test]
fn a_call_that_is_refused_is_not_sent() {
    let (limits, _, _) = limits(vec![Rule::requests("api_key", "k".into(), 0)], 0);
    let upstream = service_fn(|_| async { unreachable!("it was refused") });
    assert_eq!(run(&limits, upstream), Some(ErrorKind::LimitReached));
}

/// Counts how often a turn was taken.
#[derive(Default)]
struct Taken(AtomicUsize);

impl Turn for Taken {
    fn taken(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_call_that_waited_takes_its_turn_when_it_is_let_in() {
    let full = Rule::parallel("deployment", "a".into(), 0);
    for (rules, times) in
        [(vec![], 1), (vec![Rule::parallel("deployment", "a".into(), 1)], 1), (vec![full], 0)]
    {
        let (limits, _, _) = limits(rules, 0);
        let taken = Arc::new(Taken::default());
        let seen = taken.clone();
        // Before the answer: the next one must not wait for that.
        let upstream = service_fn(move |_| {
            assert_eq!(seen.0.load(Relaxed), 1);
            async { one(None) }
        });
        let mut call = call();
        call.turn = Some(taken.clone());
        let reply = limits.of_deployments().handle(call, &upstream).now_or_never().unwrap();
        assert_eq!((reply.is_ok(), taken.0.load(Relaxed)), (times == 1, times));
    }
}

/// Counts that must not be asked.
struct Untouchable;

impl Counters for Untouchable {
    type Hold = ();

    async fn hold(&self, _: &[Rule], _: &Need, _: Duration) -> Result<((), Grant), Refused> {
        unreachable!("there is nothing to hold")
    }

    async fn fit(&self, (): &(), _: &[Rule], _: &Need, _: Money) -> Result<u64, Refused> {
        unreachable!("nothing was held")
    }

    fn settle(&self, (): &(), _: Used) {
        unreachable!("nothing was held")
    }

    fn reset(&self, _: Reset) {
        unreachable!("nobody asked")
    }
}

struct Unasked;

impl Foresee for Unasked {
    fn need(&self, _: &Call, _: Wanted) -> Need {
        unreachable!("nobody asked")
    }
}

#[test]
fn a_call_without_rules_holds_nothing() {
    let limits =
        Limits::new(Arc::new(Always(Vec::new())), Arc::new(Untouchable), Arc::new(Unasked), HandClock::new());
    let reply = limits.handle(call(), &answering(|| async { one(None) })).now_or_never().unwrap();
    assert!(reply.unwrap().frames.next().now_or_never().unwrap().unwrap().is_ok());
}
