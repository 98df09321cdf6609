//! Times: how long attempts and calls may take.

use std::time::Duration;

use gatewright_core::Call;
use gatewright_core::ErrorKind::*;
use tokio::time::Instant;

use super::fixture::{Step, World, call, deployment, deployments, error, fail};
use crate::{Deployment, Settings};

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn timed(timeout: Option<u64>, stream_timeout: Option<u64>) -> Call {
    let mut call = call("m");
    call.controls.timeout = timeout.map(secs);
    call.controls.stream_timeout = stream_timeout.map(secs);
    call
}

/// First content, idle and deadline of the first attempt, in seconds.
async fn check(deployment: Deployment, settings: Settings, mut call: Call, stream: bool, expected: [u64; 3]) {
    let world = World::new(vec![deployment], settings, []);
    let start = Instant::from_std(call.received);
    call.stream = stream;
    world.send(call).await.unwrap();
    let target = world.upstream.attempts().remove(0).target;
    let deadline = Instant::from_std(target.deadline) - start;
    assert_eq!([target.first_content, target.idle, deadline].map(|time| time.as_secs()), expected);
}

fn own(timeout: Option<u64>, stream_timeout: Option<u64>) -> Deployment {
    Deployment {
        timeout: timeout.map(secs),
        stream_timeout: stream_timeout.map(secs),
        ..deployment("m", "a")
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_is_limited_by_the_timeout() {
    let router = || Settings { timeout: Some(secs(50)), ..Settings::default() };
    check(own(None, None), Settings::default(), timed(None, None), false, [600, 600, 600]).await;
    check(own(None, None), router(), timed(None, None), false, [50, 50, 50]).await;
    check(own(Some(30), Some(9)), router(), timed(None, None), false, [30, 30, 30]).await;
    check(own(Some(30), None), router(), timed(Some(5), Some(1)), false, [5, 5, 5]).await;
    check(own(Some(1200), None), Settings::default(), timed(None, None), false, [1200, 1200, 1200]).await;
    check(own(None, None), Settings::default(), timed(Some(900), None), false, [900, 900, 900]).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_limited_by_the_wait_for_its_first_content() {
    let router =
        || Settings { timeout: Some(secs(50)), stream_timeout: Some(secs(40)), ..Settings::default() };
    check(own(None, None), Settings::default(), timed(None, None), true, [300, 120, 600]).await;
    check(own(None, None), router(), timed(None, None), true, [40, 120, 600]).await;
    check(own(Some(30), Some(9)), router(), timed(None, None), true, [9, 120, 600]).await;
    let idle = Deployment { idle: Some(secs(7)), ..own(None, None) };
    check(idle, router(), timed(None, None), true, [40, 7, 600]).await;
    check(own(Some(30), None), router(), timed(None, None), true, [30, 120, 600]).await;
    check(own(Some(30), None), router(), timed(Some(5), None), true, [5, 120, 600]).await;
    check(own(Some(30), None), router(), timed(Some(5), Some(3)), true, [3, 120, 600]).await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_any_size_is_no_problem() {
    let world = World::new(deployments(&[("m", "a")]), Settings::default(), []);
    let mut call = call("m");
    call.controls.timeout = Some(Duration::MAX);
    world.send(call).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_at_its_deadline() {
    let world = World::new(deployments(&[("m", "a")]), Settings::default(), [("a", vec![Step::Hang])]);
    let start = Instant::now();
    let (reply, tried) = world.ask_with(timed(Some(5), None)).await;
    assert_eq!((reply.unwrap_err().kind(), tried.len()), (Timeout, 1));
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn no_wait_goes_past_the_deadline() {
    let err = error(RateLimited).with_retry_after(secs(10));
    let world = World::new(deployments(&[("m", "a")]), Settings::default(), [("a", vec![Step::Fail(err)])]);
    let start = Instant::now();
    let (reply, tried) = world.ask_with(timed(Some(5), None)).await;
    assert_eq!((reply.unwrap_err().kind(), tried.len()), (RateLimited, 1));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn later_attempts_have_what_the_client_left_them() {
    for stream in [false, true] {
        let script = vec![fail(Upstream), Step::Slow(secs(1))];
        let world = World::new(deployments(&[("m", "a")]), Settings::default(), [("a", script)]);
        let mut call = timed(Some(5), None);
        call.stream = stream;
        world.ask_with(call).await.0.unwrap();
        assert_eq!(
            world.upstream.attempts()[1].target.first_content,
            Duration::from_millis(4500),
            "{stream}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_in_a_hurry_does_not_make_a_deployment_rest() {
    let world =
        World::new(deployments(&[("m", "a"), ("m", "b")]), Settings::default(), [("a", vec![fail(Timeout)])]);
    for (call, rests) in [(timed(Some(5), None), false), (timed(None, None), true)] {
        world.ask_with(call).await.0.unwrap();
        assert_eq!(world.table.load().health("a").unwrap().is_cooling(Instant::now()), rests);
    }
}
