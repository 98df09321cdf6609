//! What the cache answers is in the journal too: once, at no cost, on its caller's account.
#![cfg(test)]

#[path = "../../limits/tests/support/call.rs"]
mod call;

use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use call::call;
use futures_util::{FutureExt, stream};
use gatewright_core::{
    Cached, Call, Caller, Controls, Error, ErrorKind, Frame, Frames, HandClock, Head, Middleware, Money,
    Reply, Result, ServedBy, Usage,
};
use gatewright_spend::{Certainty, Ending, Entry, Hits, Journal, Settings, Spared, State, Tenant, entries};
use parking_lot::Mutex;
use tower::service_fn;

/// What the provider had counted, and what of it the client gets again.
fn usage() -> Usage {
    Usage { input: 80, output: 7, cache_read: 10, images: 1, reasoning: 3, ..Usage::default() }
}

fn tokens(input: u64, output: u64) -> Usage {
    Usage { input, output, cache_in_input: true, ..Usage::default() }
}

/// A call of somebody for somebody.
fn asked() -> Call {
    let mut call = call();
    call.caller = Arc::new(Caller {
        id: "hash".into(),
        team: Some("red".into()),
        tags: vec!["own".into()],
        ..Caller::clone(&call.caller)
    });
    let tags = vec!["asked".into()];
    let end_user = Some("ann".into());
    call.controls = Controls { end_user, tags, ..call.controls.clone() };
    call.target = None;
    call
}

fn head(hit: bool) -> Head {
    let served_by = ServedBy {
        deployment: "fast-1".into(),
        group: "fast".into(),
        model: "openai/gpt-4o-mini".into(),
        api_base: "http://there".into(),
        provider: "openai".into(),
    };
    let saved = hit.then_some(Money(1_160));
    let cached = Cached { key: "ns:abc".into(), hit, similarity: None, saved };
    Head { served_by: Some(Arc::new(served_by)), cached: Some(Arc::new(cached)), ..Head::default() }
}

fn frame(last: bool) -> Result<Frame> {
    Ok(Frame { content: 8, usage: last.then(usage), last, ..Frame::default() })
}

fn whole() -> Reply {
    Reply { head: Box::new(head(true)), frames: Frames::one(frame(true).unwrap()) }
}

fn streamed(frames: Vec<Result<Frame>>) -> Reply {
    Reply { head: Box::new(Head { streams: true, ..head(true) }), frames: Frames::many(stream::iter(frames)) }
}

fn all(dir: &Path) -> Vec<Entry> {
    entries(dir).unwrap().collect::<Result<_, _>>().unwrap()
}

fn journal(settings: Settings, clock: &Arc<HandClock>) -> Journal {
    Journal::open(settings, clock.clone()).unwrap()
}

/// Gives an answer, of which so many frames are taken.
fn give(hits: &Hits, reply: Reply, frames: usize) {
    let reply = Arc::new(Mutex::new(Some(reply)));
    let below = service_fn(move |_| ready(Ok(reply.lock().take().unwrap())));
    let mut reply = hits.handle(asked(), &below).now_or_never().unwrap().unwrap();
    for _ in 0..frames {
        let _ = reply.frames.next().now_or_never().unwrap();
    }
}

#[test]
fn an_answer_of_the_cache_is_booked_once_and_costs_nothing() {
    let broke = || Err(Error::new(ErrorKind::Connection, "gone"));
    let failed =
        Ending::Failed { kind: "Connection".into(), status: ErrorKind::Connection.status().as_u16() };
    for (name, reply, frames, ending, used) in [
        ("one body", whole(), 1, Ending::Complete, tokens(90, 7)),
        ("a stream", streamed(vec![frame(false), frame(true)]), 3, Ending::Complete, tokens(90, 7)),
        (
            "a client that leaves",
            streamed(vec![frame(false), frame(true)]),
            1,
            Ending::Abandoned,
            tokens(0, 0),
        ),
        ("a joined stream that breaks", streamed(vec![frame(false), broke()]), 2, failed, tokens(0, 0)),
    ] {
        let (dir, clock) = (tempfile::tempdir().unwrap(), HandClock::new());
        let hits = Hits::new(journal(Settings::at(dir.path()), &clock), clock);
        give(&hits, reply, frames);
        let [entry] = &all(dir.path())[..] else { panic!("{name}: not one entry") };
        assert_eq!((&entry.state, entry.certainty), (&State::Ended(ending), Certainty::Exact), "{name}");
        assert_eq!((entry.usage, entry.cost, entry.bound), (used, Money::ZERO, Money::ZERO), "{name}");
        let begin = &entry.begin;
        let spared = Spared { key: "ns:abc".into(), saved: Money(1_160), whole: true };
        assert_eq!(begin.spared, Some(spared), "{name}");
        let tenant = Tenant {
            team: Some("red".into()),
            customer: Some("ann".into()),
            tags: vec!["own".into(), "asked".into()],
            ..Tenant::default()
        };
        assert_eq!((&*begin.caller, &begin.tenant), ("hash", &tenant), "{name}");
        let names = [&begin.group, &begin.deployment, &begin.provider, &begin.model].map(|name| &**name);
        assert_eq!(names, ["fast", "fast-1", "openai", "gpt-4o-mini"], "{name}");
    }
}

#[test]
fn it_began_before_it_was_written() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), HandClock::new());
    let hits = Hits::new(journal(Settings::at(dir.path()), &clock), clock.clone());
    let ahead = clock.clone();
    let below = service_fn(move |_| {
        ahead.forward(Duration::from_millis(40));
        ready(Ok(whole()))
    });
    let mut reply = hits.handle(asked(), &below).now_or_never().unwrap().unwrap();
    let _ = reply.frames.next().now_or_never();
    let entry = &all(dir.path())[0];
    assert_eq!(entry.begin.started, 1_763_682_622_000_000);
    assert_eq!(entry.duration, Some(Duration::from_millis(40)));
}

#[test]
fn what_is_no_hit_is_somebody_elses_entry() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), HandClock::new());
    let hits = Hits::new(journal(Settings::at(dir.path()), &clock), clock);
    give(&hits, Reply { head: Box::new(head(false)), frames: Frames::one(frame(true).unwrap()) }, 1);
    give(&hits, Reply { head: Box::default(), frames: Frames::one(frame(true).unwrap()) }, 1);
    assert_eq!(all(dir.path()), []);
}

#[test]
fn a_failure_that_is_another_calls_is_booked_as_a_failure_and_is_no_hit() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), HandClock::new());
    let hits = Hits::new(journal(Settings::at(dir.path()), &clock), clock);
    let head = head(false);
    let own = Error::new(ErrorKind::RateLimited, "too fast").with_served_by(head.served_by.unwrap());
    let joined = own.clone().with_cached(head.cached.unwrap());
    for err in [own, joined] {
        let below = service_fn(move |_| ready(Err::<Reply, _>(err.clone())));
        assert!(hits.handle(asked(), &below).now_or_never().unwrap().is_err());
    }
    let [entry] = &all(dir.path())[..] else { panic!("what is a call's own has its attempt's entry") };
    assert_eq!(entry.state, State::Ended(Ending::Failed { kind: "RateLimited".into(), status: 429 }));
    assert_eq!((entry.usage, entry.cost, entry.certainty), (tokens(0, 0), Money::ZERO, Certainty::Exact));
    let spared = Spared { key: "ns:abc".into(), saved: Money::ZERO, whole: true };
    assert_eq!((entry.begin.spared.as_ref(), entry.is_hit()), (Some(&spared), false));
    assert_eq!((&*entry.begin.caller, &*entry.begin.deployment), ("hash", "fast-1"));
}
