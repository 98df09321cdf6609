//! What holds for every strategy, told once and played with each of them.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::Call;
use gatewright_core::ErrorKind::*;
use tokio::time::{Instant, advance};

use super::fixture::{Seeded, Step, World, call, deployment, deployments, fail};
use crate::{
    Checks, Deployment, LeastBusy, LowestCost, LowestLatency, LowestUsage, Pick, RoundRobin, Settings,
    SimpleShuffle, TagRules, TwoChoices,
};

const SEEDS: [u64; 3] = [1, 2, 3];

/// All strategies, by name.
pub(super) fn all() -> [(&'static str, Arc<dyn Pick>); 7] {
    [
        ("simple shuffle", Arc::new(SimpleShuffle)),
        ("round robin", Arc::new(RoundRobin)),
        ("least busy", Arc::new(LeastBusy)),
        ("lowest latency", Arc::new(LowestLatency::default())),
        ("lowest usage", Arc::new(LowestUsage)),
        ("lowest cost", Arc::new(LowestCost)),
        ("two choices", Arc::new(TwoChoices)),
    ]
}

/// A world for each strategy and seed, with its name.
fn worlds(
    list: &[Deployment],
    settings: &Settings,
    scripts: &[(&'static str, Vec<Step>)],
) -> impl Iterator<Item = (String, World)> {
    all().into_iter().flat_map(move |(name, pick)| {
        SEEDS.into_iter().map(move |seed| {
            let settings = Settings { pick: pick.clone(), ..settings.clone() };
            let world = World::new(list.to_vec(), settings, scripts.to_vec());
            (format!("{name}, seed {seed}"), world.with_dice(Seeded::new(seed)))
        })
    })
}

/// Who was tried in so many calls, each once.
async fn tried_in(world: &World, calls: usize) -> Vec<String> {
    let mut tried = Vec::new();
    for _ in 0..calls {
        let (reply, of_one) = world.ask("m").await;
        reply.unwrap();
        tried.extend(of_one);
    }
    tried.sort();
    tried.dedup();
    tried
}

#[tokio::test(start_paused = true)]
async fn a_single_deployment_gets_every_call() {
    for (name, world) in worlds(&deployments(&[("m", "a")]), &Settings::default(), &[]) {
        assert_eq!(tried_in(&world, 9).await, ["a"], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_deployment_that_is_alike_gets_calls() {
    let list = deployments(&[("m", "a"), ("m", "b"), ("m", "c")]);
    for (name, world) in worlds(&list, &Settings::default(), &[]) {
        assert_eq!(tried_in(&world, 60).await, ["a", "b", "c"], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_rests_is_not_chosen_until_it_has_rested() {
    let list = deployments(&[("m", "a"), ("m", "b"), ("m", "c")]);
    for (name, world) in worlds(&list, &Settings::default(), &[]) {
        world.table.load().health("b").unwrap().rest_for(Duration::from_secs(9), Instant::now());
        assert_eq!(tried_in(&world, 60).await, ["a", "c"], "{name}");
        advance(Duration::from_secs(9)).await;
        assert_eq!(tried_in(&world, 60).await, ["a", "b", "c"], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_higher_tier_is_used_when_the_lower_is_exhausted() {
    let tier = |id: &str, order| Deployment { order, ..deployment("m", id) };
    let list = [tier("c", None), tier("b", Some(2)), tier("a1", Some(1)), tier("a2", Some(1))];
    let scripts = ["a1", "a2"].map(|id| (id, vec![Step::Answer, fail(RateLimited)]));
    for (name, world) in worlds(&list, &Settings::default(), &[]) {
        assert_eq!(tried_in(&world, 60).await, ["a1", "a2"], "{name}");
    }
    for (name, world) in worlds(&list, &Settings::default(), &scripts) {
        let tried = tried_in(&world, 60).await;
        assert_eq!(tried, ["a1", "a2", "b"], "{name}");
        assert_eq!(world.ask("m").await.1, ["b"], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_goes_to_another_one() {
    let list = deployments(&[("m", "a"), ("m", "b"), ("m", "c")]);
    let scripts = ["a", "b", "c"].map(|id| (id, vec![fail(Upstream)]));
    for (name, world) in worlds(&list, &Settings::default(), &scripts) {
        let (reply, mut tried) = world.ask("m").await;
        reply.unwrap_err();
        tried.sort();
        assert_eq!(
            (tried, world.upstream.times()),
            (["a", "b", "c"].map(String::from).to_vec(), vec![0; 3]),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_rest_the_first_to_recover_is_tried() {
    let list = deployments(&[("m", "a"), ("m", "b"), ("m", "c")]);
    for (name, world) in worlds(&list, &Settings::default(), &[]) {
        for (id, rest) in [("a", 9), ("b", 3), ("c", 6)] {
            world.table.load().health(id).unwrap().rest_for(Duration::from_secs(rest), Instant::now());
        }
        assert_eq!(world.ask("m").await.1, ["b"], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_screened_out_never_gets_a_call() {
    let tagged = |id: &str, tag: &str| Deployment { tags: vec![tag.into()], ..deployment("m", id) };
    let list = [tagged("a", "x"), tagged("b", "y"), tagged("c", "x"), tagged("d", "y")];
    let checks = Checks { tags: Some(TagRules::default()), ..Checks::default() };
    let failing = ["b", "d"].map(|id| (id, vec![fail(Upstream)]));
    for (name, world) in worlds(&list, &Settings { checks, ..Settings::default() }, &failing) {
        for _ in 0..20 {
            let (reply, mut tried) = world.ask_with(with_tag(call("m"), "y")).await;
            assert_eq!(reply.unwrap_err().kind(), Upstream, "{name}");
            tried.retain(|id| id != "b" && id != "d");
            assert_eq!(tried, [""; 0], "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_fit_is_found_among_a_thousand() {
    let list: Vec<Deployment> = (0..1000).map(|nth| deployment("m", &nth.to_string())).collect();
    for (name, world) in worlds(&list, &Settings::default(), &[]) {
        let table = world.table.load();
        for (deployment, seen) in table.seen().filter(|(deployment, _)| &*deployment.id != "617") {
            assert_ne!(&*deployment.id, "617");
            seen.health.rest_for(Duration::from_secs(60), Instant::now());
        }
        assert_eq!(tried_in(&world, 5).await, ["617"], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_in_the_middle_forgets_nothing() {
    let list = deployments(&[("m", "a"), ("m", "b")]);
    let scripts = [("a", vec![fail(RateLimited), Step::Answer])];
    for (name, world) in worlds(&list, &Settings::default(), &scripts) {
        assert_eq!(tried_in(&world, 30).await, ["a", "b"], "{name}");
        let table = world.table.load();
        let settings = table.settings.clone();
        let more = [list.clone(), deployments(&[("m", "c")])].concat();
        world.table.swap(table.rebuild(more, settings).unwrap());
        assert_eq!(tried_in(&world, 60).await, ["b", "c"], "{name}");
        // Long enough for the strategy that keeps failures in mind, too.
        advance(Duration::from_secs(300)).await;
        assert_eq!(tried_in(&world, 60).await, ["a", "b", "c"], "{name}");
    }
}

fn with_tag(mut call: Call, tag: &str) -> Call {
    call.controls.tags = vec![tag.into()];
    call
}
