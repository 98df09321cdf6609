//! Calls that are asked once more elsewhere, in the background.

use gatewright_core::{ErrorKind, Tab};

use super::fixture::{Step, World, call, deployment, error, fail, frame};
use crate::{Deployment, MirrorCounts, Rule, Settings, Table};

fn mirrored(group: &str, id: &str, silent: &[&str]) -> Deployment {
    Deployment { silent: silent.iter().map(|name| (*name).into()).collect(), ..deployment(group, id) }
}

/// A group whose calls are mirrored to another, whose calls are mirrored back.
fn pair() -> Vec<Deployment> {
    vec![mirrored("m", "a", &["m2"]), mirrored("m2", "b", &["m"])]
}

/// Waits until no mirror is on its way, and answers who was asked, the mirrors by a star.
async fn asked(world: &World) -> Vec<String> {
    while world.mirrors.counts().running > 0 {
        tokio::task::yield_now().await;
    }
    let told = |attempt: super::fixture::Attempt| {
        format!("{}{}", attempt.target.deployment, if attempt.mirror_of.is_some() { "*" } else { "" })
    };
    world.upstream.attempts().into_iter().map(told).collect()
}

#[tokio::test(start_paused = true)]
async fn an_answered_call_is_mirrored_once_and_its_mirror_is_not() {
    let world = World::new(pair(), Settings::default(), []);
    world.ask("m").await.0.unwrap();
    assert_eq!(asked(&world).await, ["a", "b*"]);
    assert_eq!(world.mirrors.counts(), MirrorCounts { answered: 1, ..Default::default() });
}

#[tokio::test(start_paused = true)]
async fn only_the_deployment_that_answers_has_mirrors() {
    let steps = vec![fail(ErrorKind::Upstream), Step::Answer];
    let world = World::new(pair(), Settings::default(), [("a", steps)]);
    world.ask("m").await.0.unwrap();
    assert_eq!(asked(&world).await, ["a", "a", "b*"]);
    let world = World::new(pair(), Settings::default(), [("a", vec![fail(ErrorKind::InvalidRequest)])]);
    world.ask("m").await.0.unwrap_err();
    assert_eq!(asked(&world).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_mirror_is_nobodys_and_goes_nowhere_else() {
    let fallbacks = vec![Rule { group: "m2".into(), fallbacks: vec!["m".into()] }];
    let settings = Settings { fallbacks, num_retries: 0, ..Settings::default() };
    let world = World::new(pair(), settings, [("b", vec![fail(ErrorKind::Upstream)])]);
    let mut call = call("m");
    (call.tab, call.output_cap) = (Some(Tab::under(None)), Some(5));
    let id = call.id;
    world.ask_with(call).await.0.unwrap();
    assert_eq!(asked(&world).await, ["a", "b*"]);
    let attempts = world.upstream.attempts();
    assert_eq!((attempts[0].held, attempts[0].mirror_of), (true, None));
    assert_eq!((attempts[1].held, attempts[1].mirror_of), (false, Some(id)));
    assert_eq!(&*attempts[1].target.shown, "m2");
    assert_eq!(world.mirrors.counts(), MirrorCounts { failed: 1, ..Default::default() });
}

#[tokio::test(start_paused = true)]
async fn a_mirrors_stream_is_read_to_its_end() {
    let frames = vec![Ok(frame(1, false)), Ok(frame(1, false)), Err(error(ErrorKind::Connection))];
    let world = World::new(pair(), Settings::default(), [("b", vec![Step::Stream(frames)])]);
    world.ask("m").await.0.unwrap();
    assert_eq!(asked(&world).await, ["a", "b*"]);
    assert_eq!(world.mirrors.counts().failed, 1);
}

#[tokio::test(start_paused = true)]
async fn too_many_mirrors_are_dropped_and_a_stop_ends_those_that_run() {
    let settings = Settings { max_mirrors: 2, ..Settings::default() };
    let world = World::new(pair(), settings, [("b", vec![Step::Hang])]);
    for _ in 0..5 {
        world.ask("m").await.0.unwrap();
    }
    assert_eq!(world.mirrors.counts(), MirrorCounts { running: 2, dropped: 3, ..Default::default() });
    world.mirrors.stop().await;
    assert_eq!(world.mirrors.counts().running, 0);
    world.ask("m").await.0.unwrap();
    assert_eq!(world.mirrors.counts(), MirrorCounts { dropped: 4, ..Default::default() });
}

#[tokio::test(start_paused = true)]
async fn what_only_its_deployment_can_serve_is_not_mirrored() {
    let world = World::new(pair(), Settings::default(), []);
    let mut call = call("m");
    call.controls.deployment = Some("a".into());
    world.ask_with(call).await.0.unwrap();
    assert_eq!(asked(&world).await, ["a"]);
    assert_eq!(world.mirrors.counts(), MirrorCounts::default());
}

#[tokio::test]
async fn a_mirror_that_leads_nowhere_is_told_of() {
    let list = vec![mirrored("m", "a", &["m2"])];
    let table = Table::build(list, Settings::default()).unwrap();
    let told: Vec<String> = table.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["a: is mirrored to the unknown model m2"]);
}
