//! Streams that break off after their first content: what goes on, where, and what does not.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use gatewright_core::ErrorKind::*;
use gatewright_core::{Call, Error, ErrorKind, Frame, Operation, Result, Usage};

use super::fixture::{Step, World, call, deployment, deployments, error, fail, frame};
use crate::{Deployment, Rule, Settings};

fn on() -> Settings {
    Settings { go_on: true, ..Settings::default() }
}

/// Says something and breaks off.
fn cut(err: Error) -> Step {
    Step::Stream(vec![Ok(frame(0, false)), Ok(frame(3, false)), Err(err)])
}

fn well() -> Step {
    Step::Stream(vec![Ok(frame(0, false)), Ok(frame(2, false)), Ok(frame(0, true))])
}

fn asked() -> Call {
    let mut call = call("m");
    call.stream = true;
    call
}

/// What a client got, and the deployments that were tried, each with whether it was to go on.
struct Heard {
    frames: Vec<Frame>,
    end: Result<(), ErrorKind>,
    tried: Vec<(String, bool)>,
}

async fn hear(world: &World, call: Call) -> Heard {
    let (mut frames, mut end) = (Vec::new(), Ok(()));
    match world.send(call).await {
        Ok(mut reply) => {
            while let Some(next) = reply.frames.next().await {
                match next {
                    Ok(frame) => frames.push(frame),
                    Err(err) => end = Err(err.kind()),
                }
            }
        }
        Err(err) => end = Err(err.kind()),
    }
    let tried = world.upstream.attempts();
    let tried = tried.into_iter().map(|attempt| (attempt.target.deployment.to_string(), attempt.goes_on));
    Heard { frames, end, tried: tried.collect() }
}

fn tried(list: &[(&str, bool)]) -> Vec<(String, bool)> {
    list.iter().map(|(id, goes_on)| ((*id).to_owned(), *goes_on)).collect()
}

fn two(settings: Settings, a: Vec<Step>, b: Vec<Step>) -> World {
    World::new(deployments(&[("m", "a"), ("m", "b")]), settings, [("a", a), ("b", b)])
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_goes_on_at_another_deployment_of_its_group() {
    for kind in [Connection, Upstream, Timeout, RateLimited, BadGateway, Unavailable, ContentPolicy] {
        let world = two(on(), vec![cut(error(kind))], vec![well()]);
        let heard = hear(&world, asked()).await;
        assert_eq!(heard.end, Ok(()), "{kind:?}");
        assert_eq!(heard.tried, tried(&[("a", false), ("b", true)]), "{kind:?}");
        let content: Vec<u32> = heard.frames.iter().map(|frame| frame.content).collect();
        assert_eq!(content, [0, 3, 0, 2, 0], "{kind:?}");
        assert_eq!(heard.frames.iter().filter(|frame| frame.last).count(), 1, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_where_it_is_off_or_not_a_streamed_conversation() {
    let mut speech = asked();
    speech.operation = Operation::Speech;
    for (settings, call) in [(Settings::default(), asked()), (on(), call("m")), (on(), speech)] {
        let world = two(settings, vec![cut(error(Connection))], vec![well()]);
        let heard = hear(&world, call).await;
        assert_eq!((heard.end, heard.tried.len()), (Err(Connection), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_other_attempt_can_help_is_told() {
    let ours = Error::new(BudgetExceeded, "ended by a policy");
    let policy = Error::new(Unavailable, "ended by a policy");
    let billed = error(Connection).with_bill();
    let final_ones = [error(InvalidRequest), error(Unprocessable), error(LimitReached), ours, policy, billed];
    for err in final_ones {
        let world = two(on(), vec![cut(err.clone())], vec![well()]);
        let heard = hear(&world, asked()).await;
        assert_eq!((heard.end, heard.tried.len()), (Err(err.kind()), 1), "{err}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_left_is_not_gone_on_for() {
    let world = two(on(), vec![cut(error(Connection))], vec![well()]);
    let mut left = asked();
    left.left = Some(Arc::new(AtomicBool::new(true)));
    let heard = hear(&world, left).await;
    assert_eq!((heard.end, heard.tried.len()), (Err(Connection), 1));

    let world = two(on(), vec![cut(error(Connection))], vec![well()]);
    let mut reply = world.send(asked()).await.unwrap();
    for _ in 0..2 {
        reply.frames.next().await.unwrap().unwrap();
    }
    drop(reply);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(world.upstream.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_group_of_one_goes_on_with_itself_after_a_wait_and_within_its_retries() {
    let one = |settings, script| World::new(deployments(&[("m", "a")]), settings, [("a", script)]);
    let world = one(on(), vec![cut(error(Connection)), well()]);
    let heard = hear(&world, asked()).await;
    assert_eq!((heard.end, heard.tried), (Ok(()), tried(&[("a", false), ("a", true)])));
    assert_eq!(world.upstream.times(), [0, 500]);

    // Every cut counts, as every failure does.
    let world = one(on(), vec![cut(error(Connection))]);
    let heard = hear(&world, asked()).await;
    assert_eq!((heard.end, heard.tried.len()), (Err(Connection), 3));
    let none = Settings { num_retries: 0, ..on() };
    assert_eq!(hear(&one(none, vec![cut(error(Connection))]), asked()).await.tried.len(), 1);
    let few = Settings { max_attempts: 2, ..on() };
    assert_eq!(hear(&one(few, vec![cut(error(Connection))]), asked()).await.tried.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn it_falls_back_as_any_failure_does_and_a_cycle_of_rules_ends() {
    let rule = |from: &str, to: &str| Rule { group: from.into(), fallbacks: vec![to.into()] };
    let settings = Settings { num_retries: 0, fallbacks: vec![rule("m", "n"), rule("n", "m")], ..on() };
    let list = || deployments(&[("m", "a"), ("n", "b")]);
    let world =
        World::new(list(), settings.clone(), [("a", vec![cut(error(Connection))]), ("b", vec![well()])]);
    let heard = hear(&world, asked()).await;
    assert_eq!((heard.end, heard.tried), (Ok(()), tried(&[("a", false), ("b", true)])));

    let both = |kind| vec![cut(error(kind))];
    let world = World::new(list(), settings, [("a", both(Connection)), ("b", both(Upstream))]);
    let heard = hear(&world, asked()).await;
    assert_eq!(heard.tried, tried(&[("a", false), ("b", true)]));
    assert_eq!(heard.end, Err(Upstream), "the one that broke off last is told");
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_it_goes_on_is_tried_again_and_the_client_is_told_of_the_cut() {
    let world = two(on(), vec![cut(error(Connection)), well()], vec![fail(Upstream)]);
    let heard = hear(&world, asked()).await;
    assert_eq!((heard.end, heard.tried), (Ok(()), tried(&[("a", false), ("b", true), ("a", true)])));

    let world = two(on(), vec![cut(error(Connection)), fail(RateLimited)], vec![fail(Upstream)]);
    let heard = hear(&world, asked()).await;
    assert_eq!(heard.end, Err(Connection));
    assert!(heard.tried.iter().skip(1).all(|(_, goes_on)| *goes_on), "{:?}", heard.tried);
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_until_the_calls_end_and_no_longer() {
    let total = Duration::from_secs(100);
    let late = |after: u64| {
        let say = (Duration::ZERO, Ok(frame(1, false)));
        Step::Flow(vec![say, (Duration::from_secs(after), Err(error(Connection)))])
    };
    // The client's patience is for the first content alone.
    let settings = Settings { total, ..on() };
    let patient = || {
        let mut call = asked();
        call.controls.stream_timeout = Some(Duration::from_secs(1));
        call
    };
    for (after, end) in [(50, Ok(())), (101, Err(Connection))] {
        let world = two(settings.clone(), vec![late(after)], vec![well()]);
        let heard = hear(&world, patient()).await;
        assert_eq!(heard.end, end, "{after}");
    }
    let world = two(settings, vec![late(50)], vec![well()]);
    hear(&world, patient()).await;
    let attempts = world.upstream.attempts();
    assert_eq!(attempts[0].target.deadline, attempts[1].target.deadline);
    assert_eq!(attempts[1].target.first_content, Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn those_above_see_one_answer_with_the_use_of_all_attempts() {
    let used = |output| Some(Usage { input: 10, output, ..Usage::default() });
    let last = Frame { usage: used(2), ..frame(2, true) };
    let world = two(on(), vec![cut(error(Connection))], vec![Step::Stream(vec![Ok(last)])]);
    let heard = hear(&world, asked()).await;
    assert_eq!(heard.frames.last().unwrap().usage, Some(Usage { input: 10, output: 5, ..Usage::default() }));
}

#[tokio::test(start_paused = true)]
async fn cuts_of_many_calls_are_held_to_the_retry_budget() {
    let list: Vec<Deployment> = vec![deployment("m", "a")];
    let world = World::new(
        list,
        Settings { cooldown_time: Duration::ZERO, ..on() },
        [("a", vec![cut(error(Connection))])],
    );
    let calls = 40;
    futures_util::future::join_all((0..calls).map(|_| hear(&world, asked()))).await;
    let further = world.upstream.attempts().len() - calls;
    assert!((1..=calls).contains(&further), "{further} further attempts for {calls} calls");
}
