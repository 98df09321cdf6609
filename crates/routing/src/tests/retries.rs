//! Retries: what follows from a failure inside one group.

use std::time::Duration;

use gatewright_core::ErrorKind::{self, *};
use gatewright_core::{Error, Retry};
use tokio::time::Instant;

use super::fixture::{Step, World, call, deployment, deployments, error, fail};
use crate::{Deployment, Settings};

const PAIR: [(&str, &str); 2] = [("m", "a"), ("m", "b")];

#[tokio::test(start_paused = true)]
async fn what_follows_depends_on_the_kind() {
    for &kind in ErrorKind::ALL {
        let world = World::new(deployments(&PAIR), Settings::default(), [("a", vec![fail(kind)])]);
        let (reply, tried) = world.ask("m").await;
        let moves_on = kind.retry() != Retry::Never || kind == LimitReached;
        let expected = if moves_on { vec!["a", "b"] } else { vec!["a"] };
        assert_eq!(
            (reply.is_ok(), tried),
            (moves_on, expected.into_iter().map(String::from).collect()),
            "{kind:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn only_some_kinds_come_back_to_the_same_deployment() {
    for &kind in ErrorKind::ALL {
        let world = World::new(deployments(&[("m", "a")]), Settings::default(), [("a", vec![fail(kind)])]);
        let (reply, tried) = world.ask("m").await;
        assert_eq!(reply.unwrap_err().kind(), kind);
        assert_eq!(tried.len(), if kind.retry() == Retry::Anywhere { 3 } else { 1 }, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_tells_how_many_attempts_failed() {
    let script = vec![fail(Upstream), fail(Upstream), Step::Answer];
    let world = World::new(deployments(&[("m", "a")]), Settings::default(), [("a", script)]);
    let head = world.ask("m").await.0.unwrap();
    assert_eq!((head.retries, head.fallbacks), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn waits_double_up_to_eight_seconds_with_a_spread() {
    for (roll, expected) in [
        (0.0, [0, 500, 1500, 3500, 7500, 15_500, 23_500]),
        (1.0, [0, 1250, 3000, 5750, 10_500, 19_250, 28_000]),
    ] {
        let settings = Settings { num_retries: 6, ..Settings::default() };
        let world =
            World::new(deployments(&[("m", "a")]), settings, [("a", vec![fail(Upstream)])]).with_roll(roll);
        world.ask("m").await.0.unwrap_err();
        assert_eq!(world.upstream.times(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_may_ask_for_up_to_a_minute() {
    for (asked, least, waited) in
        [(7, 0, 7000), (60, 0, 60_000), (61, 0, 500), (0, 0, 500), (61, 3, 3000), (1, 3, 1000)]
    {
        let err = error(RateLimited).with_retry_after(Duration::from_secs(asked));
        let settings = Settings { retry_after: Duration::from_secs(least), ..Settings::default() };
        let world =
            World::new(deployments(&[("m", "a")]), settings, [("a", vec![Step::Fail(err), Step::Answer])]);
        world.ask("m").await.0.unwrap();
        assert_eq!(world.upstream.times(), [0, waited], "{asked} {least}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_deployment_that_was_not_tried_yet() {
    let err = error(RateLimited).with_retry_after(Duration::from_secs(30));
    let world = World::new(deployments(&PAIR), Settings::default(), [("a", vec![Step::Fail(err)])]);
    world.ask("m").await.0.unwrap();
    assert_eq!(world.upstream.times(), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn where_all_were_tried_the_call_waits() {
    let failing = vec![fail(Upstream)];
    let world = World::new(deployments(&PAIR), Settings::default(), [("a", failing.clone()), ("b", failing)]);
    let (_, tried) = world.ask("m").await;
    assert_eq!((tried.len(), world.upstream.times()), (3, vec![0, 0, 500]));
}

#[tokio::test(start_paused = true)]
async fn retries_are_the_clients_else_the_deployments_else_the_routers() {
    for (client, own, attempts) in
        [(None, None, 3), (None, Some(1), 2), (Some(0), Some(1), 1), (Some(4), None, 5), (None, Some(0), 1)]
    {
        let deployment = Deployment { num_retries: own, ..deployment("m", "a") };
        let world = World::new(vec![deployment], Settings::default(), [("a", vec![fail(Upstream)])]);
        let mut call = call("m");
        call.controls.num_retries = client;
        assert_eq!(world.ask_with(call).await.1.len(), attempts, "{client:?} {own:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_setting_exceeds_the_bound_of_attempts() {
    let settings = Settings { num_retries: 1000, max_attempts: 4, ..Settings::default() };
    let world = World::new(deployments(&[("m", "a")]), settings, [("a", vec![fail(RateLimited)])]);
    assert_eq!(world.ask("m").await.1.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_higher_tier_waits_for_the_lower_to_fail() {
    let tier = |id: &str, order| Deployment { order, ..deployment("m", id) };
    let list = || vec![tier("last", None), tier("second", Some(2)), tier("first", Some(1))];
    for (failing, retries, expected) in [
        (vec![], 0, vec!["first"]),
        (vec!["first"], 0, vec!["first", "second"]),
        (vec!["first", "second"], 0, vec!["first", "second", "last"]),
        (vec!["first", "second", "last"], 0, vec!["first", "second", "last"]),
        (vec!["first", "second", "last"], 1, vec!["first", "second", "last", "first"]),
    ] {
        let settings = Settings { num_retries: retries, ..Settings::default() };
        let scripts = failing.iter().map(|id| (*id, vec![fail(Upstream)])).collect::<Vec<_>>();
        assert_eq!(World::new(list(), settings, scripts).ask("m").await.1, expected, "{failing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resting_deployment_is_left_alone_until_it_has_rested() {
    let script = vec![fail(RateLimited), Step::Answer];
    let world = World::new(deployments(&PAIR), Settings::default(), [("a", script)]);
    assert_eq!(world.ask("m").await.1, ["a", "b"]);
    assert_eq!(world.ask("m").await.1, ["b"]);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(world.ask("m").await.1, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_deployment_is_tried_whatever_it_did() {
    let failing = vec![fail(RateLimited)];
    let world = World::new(
        deployments(&PAIR),
        Settings { num_retries: 0, ..Settings::default() },
        [("a", failing.clone()), ("b", failing)],
    );
    assert_eq!(world.ask("m").await.1, ["a"]);
    for _ in 0..3 {
        let (reply, tried) = world.ask("m").await;
        assert_eq!((reply.unwrap_err().kind(), tried), (RateLimited, vec!["b".to_owned()]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_called_by_its_id_is_called_though_it_rests() {
    let script = vec![fail(RateLimited), Step::Answer];
    let world = World::new(deployments(&PAIR), Settings::default(), [("a", script)]);
    world.ask("m").await.0.unwrap();
    assert_eq!(world.ask("a").await.1, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn where_one_refuses_the_call_a_resting_one_is_better_than_none() {
    let world = World::new(
        deployments(&PAIR),
        Settings::default(),
        [("a", vec![fail(RateLimited), Step::Answer]), ("b", vec![Step::Answer, fail(ContextWindow)])],
    );
    assert_eq!(world.ask("m").await.1, ["a", "b"]);
    assert_eq!(world.ask("m").await.1, ["b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_possible_attempt_takes_the_call_without_a_copy() {
    for (retries, holders) in [(0, vec![1]), (2, vec![2, 2, 1])] {
        let settings = Settings { num_retries: retries, ..Settings::default() };
        let world = World::new(deployments(&[("m", "a")]), settings, [("a", vec![fail(Upstream)])]);
        world.ask_with(call("m")).await.0.unwrap_err();
        assert_eq!(world.upstream.attempts().iter().map(|a| a.holders).collect::<Vec<_>>(), holders);
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_a_client_made_up_makes_no_wildcard_rest() {
    for (group, asked, rests) in [("up/*", "up/typo", false), ("m", "m", true)] {
        let list = deployments(&[(group, "a"), (group, "b")]);
        let world = World::new(list, Settings::default(), [("a", vec![fail(NotFound)])]);
        world.ask(asked).await.0.unwrap();
        assert_eq!(world.table.load().health("a").unwrap().is_cooling(Instant::now()), rests, "{group}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_gateway_itself() {
    let refusal = Step::Fail(Error::new(Unavailable, "the journal takes no entries"));
    let scripts = ["a", "b"].map(|id| (id, vec![refusal.clone()]));
    let world = World::new(deployments(&PAIR), Settings::default(), scripts);
    let (reply, tried) = world.ask("m").await;
    assert_eq!((reply.unwrap_err().kind(), tried), (Unavailable, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(world.upstream.times(), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_gateways_own_says_nothing_about_the_deployment() {
    for (provider, rests) in [(None, false), (Some("up"), true)] {
        let refusal = Error::new(Unavailable, "the journal takes no entries");
        let refusal = provider.map_or(refusal.clone(), |name| refusal.with_provider(name));
        let world = World::new(deployments(&PAIR), Settings::default(), [("a", vec![Step::Fail(refusal)])]);
        for _ in 0..9 {
            world.ask("m").await.0.unwrap();
        }
        let table = world.table.load();
        assert_eq!(table.health("a").unwrap().is_cooling(Instant::now()), rests, "{provider:?}");
    }
}
