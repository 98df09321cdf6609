//! Streams: an attempt commits at its first content, and whoever watches it settles once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use gatewright_core::ErrorKind::*;
use gatewright_core::{Call, CallService, End, Middleware, Observer, Outcome, Reply, Result, arm, layer};
use tower_layer::Layer;

use super::fixture::{Loaded, Step, World, call, deployments, error, fail, frame};
use crate::{Router, Settings};

fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

fn world(script: Vec<Step>) -> World {
    World::new(deployments(&[("m", "a"), ("m", "b")]), Settings::default(), [("a", script)])
}

/// The ends of the attempts.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<&'static str>>>);

struct Watcher(Ends);

impl Observer for Watcher {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let end = match outcome.end {
            End::Complete => "complete",
            End::Failed(_) => "failed",
            End::Abandoned => "abandoned",
        };
        self.0.0.lock().unwrap().push(end);
    }
}

impl Middleware for Ends {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        arm(Watcher(self.clone())).follow(next.answer(call).await)
    }
}

/// Sends one call with watched attempts and reads up to `frames` frames of the answer.
async fn read(world: &World, ends: &Ends, frames: usize) -> Result<usize> {
    let router = Router::new(world.table.clone()).with_dice(Loaded(0.0));
    let stack = layer(router).layer(layer(ends.clone()).layer(world.upstream.clone()));
    let mut reply = stack.answer(call("m")).await?;
    let mut seen = 0;
    while seen < frames {
        match reply.frames.next().await {
            Some(frame) => drop(frame?),
            None => break,
        }
        seen += 1;
    }
    Ok(seen)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_before_content_is_tried_elsewhere() {
    for stream in [
        vec![Err(error(Unavailable))],
        vec![Ok(frame(0, false)), Err(error(Connection))],
        vec![Ok(frame(0, false)), Ok(frame(0, false)), Err(error(RateLimited))],
    ] {
        let (world, ends) = (world(vec![Step::Stream(stream)]), Ends::default());
        assert_eq!(read(&world, &ends, 9).await.unwrap(), 1);
        assert_eq!(world.upstream.attempts().len(), 2);
        assert_eq!(*ends.0.lock().unwrap(), ["failed", "complete"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_after_content_is_the_clients() {
    let stream = vec![Ok(frame(0, false)), Ok(frame(3, false)), Err(error(Connection))];
    let (world, ends) = (world(vec![Step::Stream(stream)]), Ends::default());
    assert_eq!(read(&world, &ends, 9).await.unwrap_err().kind(), Connection);
    assert_eq!(world.upstream.attempts().len(), 1);
    assert_eq!(*ends.0.lock().unwrap(), ["failed"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_stream_is_lost_while_it_is_held() {
    let stream = vec![Ok(frame(0, false)), Ok(frame(0, false)), Ok(frame(3, false)), Ok(frame(0, true))];
    let (world, ends) = (world(vec![Step::Stream(stream)]), Ends::default());
    assert_eq!(read(&world, &ends, 9).await.unwrap(), 4);
    assert_eq!(*ends.0.lock().unwrap(), ["complete"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_content_is_an_answer() {
    let (world, ends) = (world(vec![Step::Stream(vec![Ok(frame(0, true))])]), Ends::default());
    assert_eq!(read(&world, &ends, 9).await.unwrap(), 1);
    assert_eq!(world.upstream.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_settles_every_attempt_once() {
    let flowing = vec![Ok(frame(1, false)), Ok(frame(1, false)), Ok(frame(1, true))];
    for (script, frames, expected) in [
        (vec![Step::Hang], 9, vec!["abandoned"]),
        (vec![Step::Stream(flowing)], 1, vec!["abandoned"]),
        (vec![fail(Upstream)], 9, vec!["failed", "complete"]),
    ] {
        let (world, ends) = (world(script), Ends::default());
        let _left = read(&world, &ends, frames).now_or_never();
        assert_eq!(*ends.0.lock().unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_during_a_wait_causes_no_further_attempt() {
    let world = World::new(deployments(&[("m", "a")]), Settings::default(), [("a", vec![fail(Upstream)])]);
    let ends = Ends::default();
    let gone = tokio::time::timeout(Duration::from_millis(100), read(&world, &ends, 9)).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(gone.is_err());
    assert_eq!((world.upstream.attempts().len(), ends.0.lock().unwrap().clone()), (1, vec!["failed"]));
}

#[tokio::test(start_paused = true)]
async fn a_deployment_whose_streams_break_off_rests() {
    for (kind, streams, rests) in [
        (Timeout, 1, true),
        (Connection, 1, false),
        (Connection, 5, true),
        (Upstream, 5, true),
        (ContextWindow, 5, false),
    ] {
        let stream = Step::Stream(vec![Ok(frame(3, false)), Err(error(kind))]);
        let world = world(vec![stream]);
        for _ in 0..streams {
            assert_eq!(read(&world, &Ends::default(), 9).await.unwrap_err().kind(), kind);
        }
        let table = world.table.load();
        let health = table.health("a").unwrap();
        assert_eq!((health.is_cooling(now()), health.is_down()), (rests, false), "{kind:?}, {streams}");
    }
}

#[tokio::test(start_paused = true)]
async fn neither_a_client_that_leaves_nor_the_gateway_speaks_for_the_deployment() {
    let ours = gatewright_core::Error::new(Unavailable, "ended by a policy");
    for last in [Ok(frame(3, false)), Err(ours)] {
        let world = world(vec![Step::Stream(vec![Ok(frame(3, false)), last])]);
        for _ in 0..9 {
            let _left = read(&world, &Ends::default(), 2).await;
        }
        assert!(!world.table.load().health("a").unwrap().is_cooling(now()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_flows_until_its_time_is_up_did_nothing_wrong() {
    let world = world(vec![Step::Stream(vec![Ok(frame(3, false)), Err(error(Timeout))])]);
    let mut reply = world.send(call("m")).await.unwrap();
    reply.frames.next().await.unwrap().unwrap();
    tokio::time::advance(Settings::default().total).await;
    assert!(reply.frames.next().await.unwrap().is_err());
    assert!(!world.table.load().health("a").unwrap().is_cooling(now()));
}
