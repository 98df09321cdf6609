//! Calls that wait for capacity: in turn, within bounds, and without a trace of those that leave.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use gatewright_core::ErrorKind::*;
use gatewright_core::{Call, Caller, Decision, Decisions, Error, ErrorKind};
use tokio::time::{Instant, sleep, timeout};

use super::fixture::{Step, World, call, deployment, fail};
use crate::{Checks, Deployment, Queueing, Rule, Settings, Table, TagRules};

const TAKES: Duration = Duration::from_millis(300);

fn limited(group: &str, id: &str) -> Deployment {
    Deployment { limited: true, ..deployment(group, id) }
}

fn slots(slots: usize) -> Vec<Step> {
    vec![Step::Limited { slots, takes: TAKES, retry_after: Duration::from_secs(1) }]
}

fn refused(seconds: u64) -> Step {
    Step::Fail(Error::new(LimitReached, "full").with_retry_after(Duration::from_secs(seconds)))
}

/// One deployment with one slot.
fn one(queue: Queueing) -> World {
    World::new(
        vec![limited("m", "a")],
        Settings { queue, num_retries: 0, ..Settings::default() },
        [("a", slots(1))],
    )
}

fn by(id: &str) -> Call {
    with(id, None)
}

fn with(id: &str, priority: Option<i64>) -> Call {
    let mut call = call("m");
    call.caller = Arc::new(Caller { id: id.into(), ..Caller::anonymous() });
    call.controls.priority = priority;
    call
}

/// Sends a call after so many milliseconds; answers when it was answered, or why not.
fn at(world: &World, millis: u64, call: Call) -> impl Future<Output = Result<u128, ErrorKind>> + use<'_> {
    let (start, sent) = (Instant::now(), world.send(call));
    async move {
        sleep(Duration::from_millis(millis)).await;
        sent.await.map(drop).map_err(|err| err.kind())?;
        Ok(start.elapsed().as_millis())
    }
}

fn order(world: &World) -> Vec<String> {
    world.upstream.served().iter().map(|served| served.caller.to_string()).collect()
}

fn leaves_no_trace(world: &World) {
    for (deployment, seen) in world.table.load().seen() {
        assert!(seen.lines.is_empty() && seen.room.is_unheard(), "{}", deployment.id);
        assert_eq!(seen.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_answered_one_after_the_other_with_few_tries() {
    let world = one(Queueing::default());
    let answered = join_all((0..5).map(|nth| at(&world, nth, by("a")))).await;
    assert_eq!(answered, [Ok(300), Ok(600), Ok(900), Ok(1200), Ok(1500)]);
    // Each that was let in lets the next one try once.
    assert_eq!(world.upstream.attempts().len(), 5 + 4);
    leaves_no_trace(&world);
}

#[tokio::test(start_paused = true)]
async fn as_many_go_as_there_are_slots() {
    let world = World::new(
        vec![limited("m", "a"), limited("m", "b")],
        Settings::default(),
        [("a", slots(2)), ("b", slots(1))],
    );
    let answered = join_all((0..9).map(|_| at(&world, 0, by("a")))).await;
    assert_eq!(answered.iter().flatten().max(), Some(&900));
    leaves_no_trace(&world);
}

#[tokio::test(start_paused = true)]
async fn lower_priorities_are_first_and_overtake() {
    let world = one(Queueing { priority: 5, ..Queueing::default() });
    let calls =
        [("running", None), ("middle", None), ("late", Some(9)), ("urgent", Some(-1)), ("also", Some(5))];
    let sent = (0..).zip(calls).map(|(nth, (id, priority))| at(&world, nth, with(id, priority)));
    join_all(sent).await;
    assert_eq!(order(&world), ["running", "urgent", "middle", "also", "late"]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_delays_another_tenant_by_one_turn() {
    let world = one(Queueing::default());
    let flood = (0..20).map(|nth| at(&world, nth, by("flood")));
    let other = [100, 101].map(|millis| at(&world, millis, by("other")));
    join_all(flood.chain(other)).await;
    assert_eq!(order(&world)[1..5], ["flood", "other", "flood", "other"]);
}

#[tokio::test(start_paused = true)]
async fn a_team_is_one_tenant() {
    let world = one(Queueing::default());
    let of_team = |id: &str| {
        let mut call = by(id);
        Arc::make_mut(&mut call.caller).team = Some("t".into());
        call
    };
    let calls = [by("running"), of_team("x"), of_team("y"), of_team("z"), by("alone")];
    join_all((0..).zip(calls).map(|(nth, call)| at(&world, nth, call))).await;
    assert_eq!(order(&world), ["running", "x", "alone", "y", "z"]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_others_wait_does_not_try() {
    let world = one(Queueing::default());
    let seen = async {
        sleep(Duration::from_millis(50)).await;
        let before = world.upstream.attempts().len();
        let late = timeout(Duration::from_millis(100), world.send(by("late"))).await;
        assert!(late.is_err());
        assert_eq!(world.upstream.attempts().len(), before);
    };
    let (first, second, ()) = tokio::join!(at(&world, 0, by("a")), at(&world, 1, by("b")), seen);
    assert_eq!((first, second), (Ok(300), Ok(600)));
    leaves_no_trace(&world);
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_at_once_whoever_has_most_in_it() {
    let world = one(Queueing { length: 2, ..Queueing::default() });
    let answered = join_all([
        at(&world, 0, by("a")),
        at(&world, 1, by("a")),
        at(&world, 2, by("a")),
        // No room.
        at(&world, 3, by("a")),
        // The one before yields, and then each has one.
        at(&world, 4, by("b")),
        at(&world, 5, by("c")),
        // A better priority comes in whatever the tenant: the newest goes.
        at(&world, 6, with("a", Some(-1))),
    ]);
    let full = Err(LimitReached);
    assert_eq!(answered.await, [Ok(300), Ok(900), full, full, full, full, Ok(606 - 6)]);
    assert_eq!(world.upstream.attempts().len(), 3 + 3);
    leaves_no_trace(&world);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_would_be_too_long_is_not_begun() {
    for (asks, own, waited) in
        [(10, None, 10_000), (11, None, 0), (3, Some(3), 3000), (4, Some(3), 0), (0, None, 100)]
    {
        let world = World::new(
            vec![limited("m", "a")],
            Settings { total: Duration::from_secs(600), ..Settings::default() },
            [("a", vec![refused(asks), Step::Answer])],
        );
        let mut call = by("a");
        // A little more than it waits, so that the answer is in time.
        call.controls.timeout = own.map(|own| Duration::from_millis(own * 1000 + 1));
        let start = Instant::now();
        let reply = world.send(call).await;
        assert_eq!(start.elapsed().as_millis(), waited, "{asks}");
        assert_eq!(reply.is_ok(), waited > 0, "{asks}");
        assert_eq!(world.upstream.attempts().last().unwrap().after.as_millis(), waited, "{asks}");
        if let Err(err) = reply {
            assert_eq!(err.retry_after(), Some(Duration::from_secs(asks)));
        }
        leaves_no_trace(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_in_time_and_off_is_off() {
    for (queue, waits, tries) in [
        (Queueing { timeout: Duration::from_secs(3), ..Queueing::default() }, 3000, 4),
        (Queueing { timeout: Duration::ZERO, ..Queueing::default() }, 0, 1),
        (Queueing { length: 0, ..Queueing::default() }, 0, 1),
    ] {
        let settings = Settings { queue, ..Settings::default() };
        let world = World::new(vec![limited("m", "a")], settings, [("a", vec![refused(1)])]);
        let start = Instant::now();
        assert_eq!(world.send(by("a")).await.err().unwrap().kind(), LimitReached);
        assert_eq!(start.elapsed().as_millis(), waits);
        assert!(world.upstream.attempts().len() <= tries, "{}", world.upstream.attempts().len());
        leaves_no_trace(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_deployment_with_limits_is_waited_for_and_only_where_they_come_back() {
    let full = Step::Fail(Error::new(LimitReached, "spent"));
    for (deployment, step) in [(deployment("m", "a"), refused(1)), (limited("m", "a"), full)] {
        let world = World::new(vec![deployment], Settings::default(), [("a", vec![step])]);
        assert_eq!(world.send(by("a")).await.err().unwrap().kind(), LimitReached);
        assert_eq!(world.upstream.times(), [0]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_full_one_is_waited_for_where_another_one_will_not_do() {
    let list = vec![limited("m", "a"), deployment("m", "b")];
    let world = World::new(list, Settings::default(), [("a", slots(1)), ("b", vec![fail(Unsupported)])]);
    let sent = [at(&world, 0, by("a")), at(&world, 1, by("a"))];
    assert_eq!(join_all(sent).await, [Ok(300), Ok(600)]);
    leaves_no_trace(&world);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_it_waits_wakes_the_next() {
    let world = one(Queueing::default());
    let leaves = timeout(Duration::from_millis(100), world.send(by("leaves")));
    let (first, left, next) = tokio::join!(at(&world, 0, by("a")), leaves, at(&world, 1, by("b")));
    assert_eq!((first, left.is_err(), next), (Ok(300), true, Ok(600)));
    leaves_no_trace(&world);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_it_is_answered_gives_its_slot_back() {
    let world = one(Queueing::default());
    let leaves = timeout(Duration::from_millis(100), world.send(by("leaves")));
    let (left, next) = tokio::join!(leaves, at(&world, 1, by("b")));
    assert_eq!((left.is_err(), next), (true, Ok(400)));
    leaves_no_trace(&world);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_better_than_a_wait() {
    let rule = Rule { group: "m".into(), fallbacks: vec!["n".into()] };
    let settings = Settings { fallbacks: vec![rule], ..Settings::default() };
    let list = vec![limited("m", "a"), limited("n", "b")];
    let world = World::new(list, settings, [("a", slots(1)), ("b", slots(1))]);
    let answered = join_all((0..4).map(|nth| at(&world, nth, by("a")))).await;
    assert_eq!(answered, [Ok(300), Ok(301), Ok(600), Ok(900)]);
    let served = world.upstream.served();
    let deployments: Vec<&str> = served.iter().map(|served| &*served.deployment).collect();
    assert_eq!(deployments, ["a", "b", "a", "a"], "where both are full, it waits at the group it asked for");
    leaves_no_trace(&world);
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_no_retry_and_says_nothing_about_the_deployment() {
    let script = vec![refused(1), refused(1), fail(Upstream), refused(1), Step::Answer];
    let settings = Settings { num_retries: 1, max_attempts: 2, ..Settings::default() };
    let world = World::new(vec![limited("m", "a")], settings, [("a", script)]);
    let mut call = by("a");
    let decisions = Arc::new(Decisions::default());
    call.decisions = Some(decisions.clone());
    let head = world.send(call).await.unwrap().head;
    assert_eq!(head.retries, 1, "the one that failed upstream");
    let waits = decisions.steps().0.into_iter().filter_map(|step| match step {
        Decision::Waited { millis, what: "for capacity" } => Some(millis),
        _ => None,
    });
    assert_eq!(waits.collect::<Vec<_>>(), [1000, 1000, 1000]);
    let table = world.table.load();
    let route = table.resolve("m").unwrap();
    assert_eq!(route.group.seen[0].further.read(0), (1, 0), "one call, and no attempt that was too many");
    assert_eq!(route.group.seen[0].usage(Instant::now()).0, 2, "what was refused was no request");
}

#[tokio::test(start_paused = true)]
async fn a_call_does_not_wait_behind_what_is_not_in_its_way() {
    let tags = Some(TagRules { all: false, prefix: String::new() });
    let settings = Settings { checks: Checks { tags, ..Checks::default() }, ..Settings::default() };
    let tagged = |id: &str, tags: &[&str]| Deployment {
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        ..limited("m", id)
    };
    let list = vec![tagged("a", &["narrow", "wide"]), tagged("b", &["wide"])];
    let world = World::new(list, settings, [("a", slots(1)), ("b", slots(1))]);
    let tag = |tag: &str| {
        let mut call = by("x");
        call.controls.tags = vec![tag.into()];
        call
    };
    let sent = [at(&world, 0, tag("narrow")), at(&world, 1, tag("narrow")), at(&world, 2, tag("wide"))];
    assert_eq!(join_all(sent).await, [Ok(300), Ok(600), Ok(302)]);
    leaves_no_trace(&world);
}

#[tokio::test(start_paused = true)]
async fn a_line_outlives_a_reload() {
    let world = one(Queueing::default());
    let reload = async {
        sleep(Duration::from_millis(50)).await;
        let table: Table = world.table.load().rebuild(vec![limited("m", "a")], Settings::default()).unwrap();
        world.table.swap(table);
    };
    let sent = [at(&world, 0, by("a")), at(&world, 1, by("b")), at(&world, 299, by("late"))];
    let (_, answered) = tokio::join!(reload, join_all(sent));
    assert_eq!(answered, [Ok(300), Ok(600), Ok(900)]);
    assert_eq!(order(&world), ["a", "b", "late"]);
    leaves_no_trace(&world);
}
