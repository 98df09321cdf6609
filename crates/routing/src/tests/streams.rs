//! Streams: an attempt commits at its first content, and whoever watches it settles once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use gatewright_core::ErrorKind::*;
use gatewright_core::{Call, CallService, End, Middleware, Observer, Outcome, Reply, Result, layer, watch};
use tower_layer::Layer;

use super::fixture::{Loaded, Step, World, call, deployments, error, fail, frame};
use crate::{Router, Settings};

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
        watch(Watcher(self.clone()), next.answer(call)).await
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
