//! What an operator sets: retries and failures by kind, rests and trials, what is billed, the retry budget.

use std::time::Duration;

use futures_util::future::join_all;
use gatewright_core::Error;
use gatewright_core::ErrorKind::{self, *};
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep};

use super::fixture::{Seeded, Step, World, call, deployment, deployments, error, fail};
use crate::{Deployment, PerKind, Rule, Settings};

const PAIR: [(&str, &str); 2] = [("m", "a"), ("m", "b")];

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn per_kind(of: &[(ErrorKind, u32)], other: Option<u32>) -> PerKind {
    PerKind { of: of.to_vec(), other }
}

fn rule(group: &str, fallbacks: &[&str]) -> Rule {
    Rule { group: group.into(), fallbacks: fallbacks.iter().map(|name| (*name).into()).collect() }
}

fn rests(world: &World, id: &str) -> bool {
    world.table.load().health(id).unwrap().is_cooling(Instant::now())
}

/// Attempts at the one deployment there is, which fails like this.
async fn attempts(settings: Settings, err: Error, asked: Option<u32>) -> usize {
    let world = World::new(deployments(&PAIR[..1]), settings, [("a", vec![Step::Fail(err)])]);
    let mut call = call("m");
    call.controls.num_retries = asked;
    world.ask_with(call).await.1.len()
}

#[tokio::test(start_paused = true)]
async fn retries_may_be_set_by_kind() {
    let retries = per_kind(&[(RateLimited, 4), (Timeout, 0), (InvalidRequest, 1)], None);
    let settings = || Settings { retries: retries.clone(), ..Settings::default() };
    for (kind, expected) in
        [(RateLimited, 5), (Timeout, 1), (InvalidRequest, 2), (Upstream, 3), (Unprocessable, 1)]
    {
        assert_eq!(attempts(settings(), error(kind), None).await, expected, "{kind:?}");
    }
    assert_eq!(attempts(settings(), error(RateLimited), Some(1)).await, 2, "a client's own number is first");
    let own = Error::new(InvalidRequest, "the gateway's own refusal");
    assert_eq!(attempts(settings(), own, None).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_number_for_all_other_kinds_makes_no_refused_kind_tried_again() {
    let settings = || Settings { retries: per_kind(&[(Timeout, 0)], Some(1)), ..Settings::default() };
    for (kind, expected) in [(Timeout, 1), (Upstream, 2), (InvalidRequest, 1)] {
        assert_eq!(attempts(settings(), error(kind), None).await, expected, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_groups_own_retries_are_before_those_of_all() {
    let settings = |group: &str| Settings {
        retries: per_kind(&[(Upstream, 0), (Connection, 3)], None),
        group_retries: [(group.into(), per_kind(&[(Upstream, 1)], None))].into(),
        ..Settings::default()
    };
    for (group, kind, expected) in
        [("m", Upstream, 2), ("m", Connection, 4), ("n", Upstream, 1), ("n", Connection, 4)]
    {
        assert_eq!(attempts(settings(group), error(kind), None).await, expected, "{group} {kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_allowed_by_kind() {
    let allowed = per_kind(&[(RateLimited, 2), (Unavailable, 0)], Some(3));
    for (kind, failures) in [(RateLimited, 3), (Unavailable, 1), (Timeout, 4), (Upstream, 4)] {
        let settings = Settings { allowed_fails: allowed.clone(), ..Settings::default() };
        let world = World::new(deployments(&PAIR), settings, [("a", vec![fail(kind)])]);
        for _ in 0..failures {
            assert!(!rests(&world, "a"), "{kind:?}");
            assert_eq!(world.ask("m").await.1, ["a", "b"], "{kind:?}");
        }
        assert_eq!((rests(&world, "a"), world.ask("m").await.1), (true, vec!["b".to_owned()]), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn allowed_failures_are_those_of_one_rest_time() {
    let settings = Settings { allowed_fails: per_kind(&[], Some(1)), ..Settings::default() };
    let world = World::new(deployments(&PAIR), settings, [("a", vec![fail(RateLimited)])]);
    world.ask("m").await.0.unwrap();
    advance(secs(5)).await;
    world.ask("m").await.0.unwrap();
    assert!(!rests(&world, "a"));
    world.ask("m").await.0.unwrap();
    assert!(rests(&world, "a"));
}

#[tokio::test(start_paused = true)]
async fn the_last_deployment_does_not_rest_whatever_is_allowed() {
    let settings = Settings { allowed_fails: per_kind(&[], Some(0)), ..Settings::default() };
    let list = deployments(&[("m", "a"), ("m", "b"), ("m", "c")]);
    let scripts = ["a", "b", "c"].map(|id| (id, vec![fail(RateLimited)]));
    let world = World::new(list, settings, scripts).with_dice(Seeded::new(1));
    for _ in 0..9 {
        world.ask("m").await.0.unwrap_err();
    }
    assert_eq!(["a", "b", "c"].iter().filter(|id| rests(&world, id)).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_rest_one_attempt_is_a_trial_and_the_others_go_elsewhere() {
    let script = vec![fail(RateLimited), Step::Slow(secs(2)), Step::Answer];
    let world = World::new(deployments(&PAIR), Settings::default(), [("a", script)]);
    assert_eq!(world.ask("m").await.1, ["a", "b"]);
    advance(secs(5)).await;
    let during = async {
        sleep(secs(1)).await;
        let mut tried = Vec::new();
        for _ in 0..9 {
            tried.extend(world.ask("m").await.1);
        }
        tried
    };
    let (trial, during) = tokio::join!(world.send(call("m")), during);
    assert!(trial.is_ok());
    assert_eq!(during, ["b"; 9]);
    assert_eq!(world.ask("m").await.1, ["a"], "the trial succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_fails_is_another_rest() {
    // One failure of this kind would not be enough without a rest before.
    let script = vec![fail(RateLimited), fail(Upstream), Step::Answer];
    let world = World::new(deployments(&PAIR), Settings::default(), [("a", script)]);
    assert_eq!(world.ask("m").await.1, ["a", "b"]);
    for expected in [vec!["a", "b"], vec!["a"]] {
        assert_eq!(world.ask("m").await.1, ["b"]);
        advance(secs(5)).await;
        assert_eq!(world.ask("m").await.1, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_takes_long_is_followed_by_one_other_at_a_time() {
    let script = vec![fail(RateLimited), Step::Hang, Step::Hang, Step::Answer];
    let world = World::new(deployments(&PAIR), Settings::default(), [("a", script)]);
    world.ask("m").await.0.unwrap();
    let mut hanging = JoinSet::new();
    for _ in 0..2 {
        advance(secs(5)).await;
        hanging.spawn(world.send(call("m")));
        tokio::task::yield_now().await;
        for _ in 0..9 {
            assert_eq!(world.ask("m").await.1, ["b"]);
        }
    }
    advance(secs(5)).await;
    assert_eq!(world.ask("m").await.1, ["a"]);
    assert_eq!(world.ask("m").await.1, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_trial_with_a_bad_request_decides_nothing() {
    let script = vec![fail(RateLimited), fail(InvalidRequest), Step::Slow(secs(1)), Step::Answer];
    let world = World::new(deployments(&PAIR), Settings::default(), [("a", script)]);
    world.ask("m").await.0.unwrap();
    advance(secs(5)).await;
    assert_eq!(world.ask("m").await.0.unwrap_err().kind(), InvalidRequest);
    let (trial, other) = tokio::join!(world.send(call("m")), world.send(call("m")));
    assert!(trial.is_ok() && other.is_ok());
    let tried = world.upstream.attempts();
    let tried: Vec<&str> = tried.iter().skip(2).map(|attempt| &*attempt.target.deployment).collect();
    assert_eq!(tried, ["a", "a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn special_fallbacks_are_for_their_kind() {
    let settings = Settings {
        fallbacks: vec![rule("m", &["general"])],
        context_window_fallbacks: vec![rule("m", &["large"])],
        content_policy_fallbacks: vec![rule("m", &["lenient"])],
        ..Settings::default()
    };
    let list = || deployments(&[("m", "a"), ("general", "g"), ("large", "l"), ("lenient", "t")]);
    for (kind, expected) in
        [(ContextWindow, "l"), (ContentPolicy, "t"), (UpstreamAuth, "g"), (PaymentRequired, "g")]
    {
        let world = World::new(list(), settings.clone(), [("a", vec![fail(kind)])]);
        assert_eq!(world.ask("m").await.1, ["a", expected], "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_billed_is_not_tried_again_anywhere() {
    let list = deployments(&[("m", "a"), ("m", "b"), ("n", "c"), ("o", "d")]);
    let billed = || vec![Step::Fail(error(Upstream).with_bill())];
    for (retry_billed, failing, expected) in [
        (false, "a", vec!["a"]),
        (true, "a", vec!["a", "b"]),
        (false, "c", vec!["a", "b", "c"]),
        (true, "c", vec!["a", "b", "c", "d"]),
    ] {
        let settings = Settings {
            retry_billed,
            num_retries: 1,
            fallbacks: vec![rule("m", &["n", "o"])],
            ..Settings::default()
        };
        let mut scripts = vec![(failing, billed())];
        if failing == "c" {
            scripts.extend(["a", "b"].map(|id| (id, vec![fail(Upstream)])));
        }
        let mut world = World::new(list.clone(), settings, scripts);
        if retry_billed && failing == "c" {
            let once = Settings { num_retries: 0, ..world.table.load().settings.clone() };
            let own = |id: &str| Deployment { num_retries: Some(1), ..deployment("m", id) };
            let list = [vec![own("a"), own("b")], list[2..].to_vec()].concat();
            world.table = crate::LiveTable::new(crate::Table::build(list, once).unwrap());
        }
        assert_eq!(world.ask("m").await.1, expected, "{retry_billed} {failing}");
    }
}

/// So many answers, of which some in a hundred are failures, each after this time.
fn brown(seed: u64, percent: u64, time: Duration) -> Vec<Step> {
    let dice = Seeded::new(seed);
    let step = |fails: bool| if fails { Step::Late(time, error(Upstream)) } else { Step::Slow(time) };
    (0..2000).map(|_| step(dice.hits(percent))).collect()
}

#[tokio::test(start_paused = true)]
async fn in_a_brown_out_retries_that_succeed_are_not_held_back() {
    for (seed, time) in [(1, 0), (2, 500), (3, 4000)] {
        let time = Duration::from_millis(time);
        let scripts = [("a", brown(seed, 30, time)), ("b", brown(seed + 9, 30, time))];
        let world = World::new(deployments(&PAIR), Settings::default(), scripts).with_dice(Seeded::new(seed));
        let world = &world;
        let sent = (0..1000).map(|nth| async move {
            sleep(Duration::from_millis(20) * nth).await;
            world.send(call("m")).await.is_ok()
        });
        let answered = join_all(sent).await.into_iter().filter(|answered| *answered).count();
        // Three attempts fail together for 27 in a thousand; without retries it were 300.
        assert!(answered >= 950, "{answered} of 1000 answered, {time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_total_outage_makes_a_fifth_more_at_most() {
    for (seed, kind) in [(1, Upstream), (2, Unavailable), (3, Connection), (4, Timeout)] {
        let list = [("m", "a"), ("m", "b"), ("n", "c"), ("n", "d"), ("o", "e"), ("o", "f")];
        let settings = Settings {
            num_retries: 5,
            fallbacks: vec![rule("m", &["n", "o"]), rule("n", &["m"])],
            ..Settings::default()
        };
        let scripts = list.map(|(_, id)| (id, vec![fail(kind)]));
        let world = World::new(deployments(&list), settings, scripts).with_dice(Seeded::new(seed));
        let world = &world;
        let sent = (0..1000).map(|nth| async move {
            sleep(Duration::from_millis(20) * nth).await;
            world.send(call("m")).await.is_err()
        });
        assert!(join_all(sent).await.into_iter().all(|failed| failed));
        let attempts = world.upstream.attempts().len();
        assert!(attempts <= 1200, "{attempts} attempts for 1000 calls, {kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_costs_nothing_spends_no_retry_budget() {
    // Every call is refused by the limits of two deployments before the third one takes it.
    let list = deployments(&[("m", "a"), ("m", "b"), ("m", "c"), ("n", "d")]);
    let full = vec![Step::Fail(Error::new(LimitReached, "used up"))];
    let flaky = [vec![Step::Answer; 30], vec![fail(Upstream)]].concat();
    let settings = Settings { num_retries: 0, fallbacks: vec![rule("m", &["n"])], ..Settings::default() };
    let scripts = [("a", full.clone()), ("b", full), ("c", flaky)];
    let world = World::new(list, settings, scripts);
    for _ in 0..30 {
        assert_eq!(world.ask("m").await.1, ["a", "b", "c"]);
    }
    assert_eq!(world.ask("m").await.1, ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_wishes_is_told_of_an_outage_within_two_seconds() {
    let list = [("m", "a"), ("n", "b"), ("o", "c")];
    for fallbacks in [vec![], vec![rule("m", &["n", "o"])]] {
        for roll in [0.0, 0.5, 0.999] {
            let settings = Settings { fallbacks: fallbacks.clone(), ..Settings::default() };
            let scripts = list.map(|(_, id)| (id, vec![fail(Upstream)]));
            let world = World::new(deployments(&list), settings, scripts).with_roll(roll);
            let start = Instant::now();
            let (reply, tried) = world.ask("m").await;
            assert_eq!(reply.unwrap_err().kind(), Upstream);
            assert!(start.elapsed() <= secs(2), "{:?} for {tried:?}", start.elapsed());
            assert!(tried.len() >= 3, "{tried:?}");
        }
    }
}
