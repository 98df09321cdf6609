//! Outages: a failing upstream is not multiplied by retries and fallbacks.

use std::time::Duration;

use futures_util::future::join_all;
use gatewright_core::ErrorKind::*;
use tokio::time::{Instant, sleep};

use super::fixture::{Step, World, call, deployments, fail};
use crate::{Rule, Settings};

fn rule(group: &str, fallback: &str) -> Rule {
    Rule { group: group.into(), fallbacks: vec![fallback.into()] }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_failures_stays_small() {
    let settings = Settings {
        num_retries: 3,
        fallbacks: vec![rule("a", "b"), rule("b", "c"), rule("c", "a")],
        ..Settings::default()
    };
    let failing = vec![fail(Upstream)];
    let scripts = ["a", "b", "c"].map(|id| (id, failing.clone()));
    let world =
        World::new(deployments(&[("a", "a"), ("b", "b"), ("c", "c")]), settings, scripts).with_roll(0.99);
    let world = &world;
    let sent = (0..200).map(|nth| async move {
        sleep(Duration::from_millis(50) * nth).await;
        let start = Instant::now();
        world.send(call("a")).await.err().unwrap();
        start.elapsed()
    });
    let slowest = join_all(sent).await.into_iter().max().unwrap();
    let attempts = world.upstream.attempts().len();
    assert!(attempts <= 260, "{attempts} attempts for 200 calls");
    assert!(slowest <= Duration::from_millis(2500), "{slowest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_goes_to_its_fallback_when_the_outage_is_known() {
    let settings = Settings { fallbacks: vec![rule("a", "b")], ..Settings::default() };
    let list = deployments(&[("a", "a"), ("b", "b")]);
    let world = World::new(list, settings, [("a", vec![fail(Upstream)])]);
    let start = Instant::now();
    let (world, sent) = (&world, 0..5);
    let answered = join_all(sent.map(|nth| async move {
        sleep(Duration::from_millis(50) * nth).await;
        world.send(call("a")).await.unwrap();
        start.elapsed().as_millis()
    }));
    assert_eq!(answered.await, [200; 5]);
}

#[tokio::test(start_paused = true)]
async fn a_group_in_an_outage_is_still_tried_first_and_comes_back() {
    let script = [vec![fail(Upstream); 9], vec![Step::Answer]].concat();
    let settings = Settings { num_retries: 0, fallbacks: vec![rule("a", "b")], ..Settings::default() };
    let world = World::new(deployments(&[("a", "a"), ("b", "b")]), settings, [("a", script)]);
    for _ in 0..9 {
        assert_eq!(world.ask("a").await.1, ["a", "b"]);
    }
    assert_eq!(world.ask("a").await.1, ["a"]);
    assert!(!world.table.load().health("a").unwrap().is_down());
}

#[tokio::test(start_paused = true)]
async fn a_fallback_in_an_outage_is_passed_over_but_for_a_probe() {
    let settings = Settings {
        num_retries: 0,
        fallbacks: vec![Rule { group: "a".into(), fallbacks: vec!["b".into(), "c".into()] }],
        ..Settings::default()
    };
    let failing = vec![fail(Upstream)];
    let world = World::new(
        deployments(&[("a", "a"), ("b", "b"), ("c", "c")]),
        settings,
        [("a", failing.clone()), ("b", failing)],
    );
    for _ in 0..5 {
        assert_eq!(world.ask("a").await.1, ["a", "b", "c"]);
    }
    assert_eq!(world.ask("a").await.1, ["a", "c"]);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(world.ask("a").await.1, ["a", "b", "c"]);
    assert_eq!(world.ask("a").await.1, ["a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn calls_with_nowhere_else_to_go_wait_out_a_short_outage() {
    let script = [vec![fail(Upstream); 20], vec![Step::Answer]].concat();
    let world = World::new(deployments(&[("a", "a")]), Settings::default(), [("a", script)]);
    let waiting = join_all((0..20).map(|_| world.send(call("a"))));
    let probe = async {
        sleep(Duration::from_millis(400)).await;
        world.send(call("a")).await
    };
    let (replies, probe) = tokio::join!(waiting, probe);
    assert!(probe.is_ok() && replies.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn calls_with_nowhere_else_to_go_give_up_after_one_wait_in_an_outage() {
    let world = World::new(deployments(&[("a", "a")]), Settings::default(), [("a", vec![fail(Upstream)])]);
    let start = Instant::now();
    let replies = join_all((0..100).map(|_| world.send(call("a")))).await;
    assert!(replies.iter().all(Result::is_err));
    assert!(world.upstream.attempts().len() <= 101, "{}", world.upstream.attempts().len());
    assert_eq!(start.elapsed(), Duration::from_millis(500));
}
