//! What a call holds comes back on every kind of end.
#![cfg(test)]

#[path = "support/call.rs"]
mod call;
#[path = "support/clock.rs"]
mod clock;

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use call::call;
use clock::Hands;
use futures_util::{FutureExt, StreamExt, stream};
use gatewright_core::{
    Call, CallService, Error, ErrorKind, Frame, Frames, Head, Middleware, Reply, Result, Usage,
};
use gatewright_limits::{Counters, Limits, Local, Refused, Rule, Rules, Ruling};
use tower::service_fn;

/// The same rules for every call.
struct Always(Vec<Rule>);

impl Rules for Always {
    fn rules(&self, _: &Call, out: &mut Ruling) {
        out.extend(self.0.iter().cloned());
    }
}

fn limits(rules: Vec<Rule>, estimate: u64) -> Limits<Local> {
    let clock = Hands::new();
    let local = Arc::new(Local::new(clock.clone()));
    Limits::new(Arc::new(Always(rules)), local, Arc::new(move |_: &Call| estimate), clock)
}

fn one(usage: Option<Usage>) -> Result<Reply> {
    Ok(Reply { head: Head::default(), frames: Frames::one(Frame { usage, content: 1, ..Frame::default() }) })
}

fn many(frames: Vec<Result<Frame>>) -> Result<Reply> {
    let frames = stream::iter(frames).chain(stream::once(pending()));
    Ok(Reply { head: Head::default(), frames: Frames::many(frames) })
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
) -> impl CallService {
    service_fn(move |_| answer.clone()())
}

/// Sends one call through, reads while something comes, and leaves.
fn run(limits: &Limits<Local>, upstream: impl CallService) -> Option<ErrorKind> {
    match limits.handle(call(), upstream).now_or_never() {
        None => None,
        Some(Err(err)) => Some(err.kind()),
        Some(Ok(mut reply)) => {
            while let Some(Some(Ok(_))) = reply.frames.next().now_or_never() {}
            None
        }
    }
}

/// How many tokens a limit of 1000 has left, where this ended a call that was held for 100.
fn check(name: &str, left: u64, upstream: impl CallService) {
    let rules = vec![Rule::parallel("api_key", "k".into(), 1), Rule::tokens("api_key", "k".into(), 1000)];
    let limits = limits(rules.clone(), 100);
    run(&limits, upstream);
    // Each try is held for one token, which its failure gives back.
    let fits = |tokens: u64| {
        let probe = Limits::clone(&limits).estimating(tokens);
        run(&probe, answering(|| async { Err(err()) })) != Some(ErrorKind::LimitReached)
    };
    let most = (0..=1000).rev().find(|tokens| fits(*tokens)).unwrap();
    assert_eq!(most, left, "{name}");
}
