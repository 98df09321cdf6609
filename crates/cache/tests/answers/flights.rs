//! Identical calls on their way share one, whatever becomes of the one that asks.

use std::sync::Arc;

use gatewright_cache::Settings;
use gatewright_core::{CacheWishes, Call, Error, ErrorKind, Reply, Result};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};

use crate::stage::{Say, Stage, Upstream, call, read, wishing, with};

const HI: &str = r#"{"messages":[]}"#;
const HI_STREAM: &str = r#"{"messages":[],"stream":true}"#;

fn stage(says: impl IntoIterator<Item = Say>) -> (&'static Stage, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let up = Upstream::saying(says).behind(&gate);
    (Stage::local(Settings::default(), up).leak(), gate)
}

/// Lets everything run that can.
async fn settle() {
    for _ in 0..64 {
        yield_now().await;
    }
}

async fn asked(stage: &'static Stage, call: Call) -> Result<(String, bool)> {
    let Reply { head, frames } = stage.ask(call).await?;
    Ok((read(frames).await, head.cached.is_some_and(|cached| cached.hit)))
}

/// So many at once; answers what all of them got.
async fn crowd(stage: &'static Stage, count: usize, body: &'static str) -> JoinSet<Result<(String, bool)>> {
    let mut crowd = JoinSet::new();
    for _ in 0..count {
        crowd.spawn(asked(stage, call("k", body)));
    }
    settle().await;
    crowd
}

#[tokio::test]
async fn a_thousand_identical_calls_are_one() {
    for body in [HI, HI_STREAM] {
        let says = if body == HI { Say::Whole("ab") } else { Say::Events(vec!["a", "b"], true) };
        let (stage, gate) = stage([says]);
        let crowd = crowd(stage, 1000, body).await;
        assert_eq!(stage.up.count(), 1);
        gate.add_permits(1000);
        let got = crowd.join_all().await;
        assert!(got.iter().all(|got| got.as_ref().unwrap().0 == "ab"), "{body}");
        assert_eq!(got.iter().filter(|got| got.as_ref().unwrap().1).count(), 999, "{body}");
        let seen = stage.figures.snapshot();
        assert_eq!((stage.up.count(), seen.hits, seen.misses), (1, 999, 1), "{body}");
    }
}

#[tokio::test]
async fn whoever_joins_late_sees_a_stream_from_its_first_event_on() {
    let (gate, frames) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
    let up = Upstream::saying([Say::Events(vec!["a", "b", "c"], true)]).behind(&gate).dripping(&frames);
    let stage = Stage::local(Settings::default(), up).leak();
    let mut first = stage.ask(call("k", HI_STREAM)).await.unwrap();
    assert_eq!(first.frames.next().await.unwrap().unwrap().data, "a");
    let mut late = stage.ask(call("k", HI_STREAM)).await.unwrap();
    assert_eq!(late.frames.next().await.unwrap().unwrap().data, "a");
    frames.add_permits(9);
    assert_eq!((read(late.frames).await, read(first.frames).await), ("bc".into(), "bc".into()));
    assert_eq!(stage.up.count(), 1);
}

#[tokio::test]
async fn when_the_one_that_asks_leaves_the_next_one_asks() {
    let (stage, gate) = stage([Say::Whole("ab")]);
    let mut leader = JoinSet::new();
    leader.spawn(asked(stage, call("k", HI)));
    settle().await;
    let crowd = crowd(stage, 100, HI).await;
    leader.abort_all();
    settle().await;
    assert_eq!(stage.up.count(), 2, "one of them, not all");
    gate.add_permits(100);
    let got = crowd.join_all().await;
    assert!(got.iter().all(|got| got.as_ref().unwrap().0 == "ab"));
    assert_eq!(stage.up.count(), 2);
}

#[tokio::test]
async fn a_stream_goes_on_for_those_who_stay_and_ends_with_the_last() {
    let (gate, frames) = (Arc::new(Semaphore::new(9)), Arc::new(Semaphore::new(1)));
    let up = Upstream::saying([Say::Events(vec!["a", "b", "c"], true)]).behind(&gate).dripping(&frames);
    let stage = Stage::local(Settings::default(), up).leak();
    let mut leader = stage.ask(call("k", HI_STREAM)).await.unwrap();
    leader.frames.next().await.unwrap().unwrap();
    let mut one = stage.ask(call("k", HI_STREAM)).await.unwrap();
    drop(leader);
    frames.add_permits(1);
    assert_eq!(one.frames.next().await.unwrap().unwrap().data, "a");
    assert_eq!(one.frames.next().await.unwrap().unwrap().data, "b");
    assert_eq!(Arc::strong_count(&stage.up.open), 2, "it is read on");
    drop(one);
    assert_eq!(Arc::strong_count(&stage.up.open), 1, "nobody is left, and nothing runs for nobody");
    frames.add_permits(9);
    assert_eq!(asked(stage, call("k", HI_STREAM)).await.unwrap(), ("abc".into(), false));
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_once_more_for_all() {
    let fails = || Say::Fail(Error::new(ErrorKind::Upstream, "x"));
    let (stage, gate) = stage([fails(), Say::Whole("ab")]);
    let crowd = crowd(stage, 100, HI).await;
    gate.add_permits(100);
    let got = crowd.join_all().await;
    assert_eq!(got.iter().filter(|got| got.is_err()).count(), 1, "the one that asked first");
    assert_eq!(stage.up.count(), 2);
}

#[tokio::test]
async fn a_failure_that_stays_is_everybodys_soon() {
    for (kind, calls) in [(ErrorKind::Upstream, 2), (ErrorKind::InvalidRequest, 1)] {
        let (stage, gate) = stage([Say::Fail(Error::new(kind, "x"))]);
        let crowd = crowd(stage, 100, HI).await;
        gate.add_permits(100);
        let failures: Vec<Error> = crowd.join_all().await.into_iter().map(Result::unwrap_err).collect();
        assert_eq!(stage.up.count(), calls, "{kind:?}");
        let joined = failures.iter().filter_map(Error::cached).filter(|cached| !cached.hit).count();
        assert_eq!(joined, 100 - calls, "{kind:?}: those know that it is another call's failure");
    }
}

#[tokio::test]
async fn what_one_caller_cannot_pay_says_nothing_to_the_others() {
    let spent = Say::Fail(Error::new(ErrorKind::BudgetExceeded, "x"));
    let (stage, gate) = stage([spent.clone(), spent.clone(), spent, Say::Whole("ab")]);
    let crowd = crowd(stage, 10, HI).await;
    gate.add_permits(100);
    let got = crowd.join_all().await;
    assert_eq!(got.iter().filter(|got| got.is_err()).count(), 3);
    assert_eq!(stage.up.count(), 4);
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_begun_anew_for_whoever_comes_then() {
    let broken = Say::Break(vec!["a"], Error::new(ErrorKind::Upstream, "x"));
    let (stage, gate) = stage([broken, Say::Events(vec!["a", "b"], true)]);
    gate.add_permits(9);
    assert_eq!(asked(stage, call("k", HI_STREAM)).await.unwrap().0, "a!");
    assert_eq!(asked(stage, call("k", HI_STREAM)).await.unwrap(), ("ab".into(), false));
}

#[tokio::test]
async fn whoever_wants_its_own_answer_gets_it() {
    let (stage, gate) = stage([Say::Whole("ab")]);
    let mut crowd = JoinSet::new();
    for no_cache in [true, false] {
        let wishes = CacheWishes { no_cache, no_store: !no_cache, ..CacheWishes::default() };
        crowd.spawn(asked(stage, wishing(call("k", HI), wishes)));
    }
    crowd.spawn(asked(stage, with(call("k", HI), |call| call.output_cap = Some(7))));
    crowd.spawn(asked(stage, call("k", HI)));
    settle().await;
    assert_eq!(stage.up.count(), 4);
    gate.add_permits(9);
    assert_eq!(crowd.join_all().await.len(), 4);
}

#[tokio::test]
async fn a_stream_that_is_too_large_to_be_shared_is_each_callers_own() {
    let (gate, frames) = (Arc::new(Semaphore::new(9)), Arc::new(Semaphore::new(3)));
    let up =
        Upstream::saying([Say::Events(vec!["aaaa", "bbbb", "cccc"], true)]).behind(&gate).dripping(&frames);
    let settings = Settings { max_entry_bytes: 6, ..Settings::default() };
    let stage = Stage::local(settings, up).leak();
    let mut first = stage.ask(call("k", HI_STREAM)).await.unwrap();
    first.frames.next().await.unwrap().unwrap();
    first.frames.next().await.unwrap().unwrap();
    frames.add_permits(9);
    assert_eq!(asked(stage, call("k", HI_STREAM)).await.unwrap(), ("aaaabbbbcccc".into(), false));
    assert_eq!((stage.up.count(), read(first.frames).await), (2, "cccc".into()));
}

/// What is too large to be kept lands for nobody: those who wait ask for themselves, and none waits for ever.
#[tokio::test]
async fn when_nothing_lands_those_who_wait_ask_one_after_the_other() {
    let gate = Arc::new(Semaphore::new(0));
    let up = Upstream::saying([Say::Pieces(vec!["abcd", "efgh"])]).behind(&gate);
    let settings = Settings { max_entry_bytes: 6, ..Settings::default() };
    let stage = Stage::local(settings, up).leak();
    let crowd = crowd(stage, 5, HI).await;
    assert_eq!(stage.up.count(), 1);
    gate.add_permits(5);
    let got = tokio::time::timeout(std::time::Duration::from_secs(60), crowd.join_all()).await;
    let got = got.expect("somebody waits for what never comes");
    assert!(got.iter().all(|got| got.as_ref().unwrap() == &("abcdefgh".to_owned(), false)), "{got:?}");
    assert_eq!(stage.up.count(), 5);
}
