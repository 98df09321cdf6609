//! What is special to each strategy.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::ErrorKind::*;
use gatewright_core::{Call, Price, Reply};
use tokio::time::{Instant, advance};

use super::fixture::{Seeded, Step, World, call, deployment, deployments, error, fail, frame};
use crate::{
    Deployment, Know, LatencySettings, LeastBusy, LowestCost, LowestLatency, LowestUsage, Model, Pace, Pick,
    RoundRobin, Settings, Share, TwoChoices,
};

const TRIO: [(&str, &str); 3] = [("m", "a"), ("m", "b"), ("m", "c")];

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn picked_by(pick: impl Pick) -> Settings {
    Settings { pick: Arc::new(pick), ..Settings::default() }
}

fn stream(model: &str) -> Call {
    let mut call = call(model);
    call.stream = true;
    call
}

/// A stream whose first content comes after `first`, and its end so much later.
fn flow(first: Duration, rest: Duration) -> Step {
    Step::Flow(vec![
        (Duration::ZERO, Ok(frame(0, false))),
        (first, Ok(frame(1, false))),
        (rest, Ok(frame(1, true))),
    ])
}

/// Reads an answer to its end.
async fn read(mut reply: Reply) {
    while let Some(frame) = reply.frames.next().await {
        frame.unwrap();
    }
}

/// Who answered so many calls, one after the other.
async fn answers(world: &World, make: impl Fn() -> Call, calls: usize) -> Vec<String> {
    let before = world.upstream.attempts().len();
    for _ in 0..calls {
        read(world.send(make()).await.unwrap()).await;
    }
    world
        .upstream
        .attempts()
        .iter()
        .skip(before)
        .map(|attempt| attempt.target.deployment.to_string())
        .collect()
}

fn counted(answers: &[String]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    answers.iter().for_each(|id| *counts.entry(id.as_str()).or_default() += 1);
    counts
}

#[tokio::test(start_paused = true)]
async fn round_robin_takes_exact_turns() {
    let world = World::new(deployments(&TRIO), picked_by(RoundRobin), []);
    assert_eq!(answers(&world, || call("m"), 7).await, ["a", "b", "c", "a", "b", "c", "a"]);
    world.table.load().health("c").unwrap().rest_for(secs(60), Instant::now());
    assert_eq!(answers(&world, || call("m"), 5).await, ["b", "a", "b", "a", "b"]);
}

#[test]
fn round_robin_finds_the_one_that_is_fit_whoever_else_asks() {
    let table = crate::Table::build(deployments(&TRIO), picked_by(RoundRobin)).unwrap();
    let now = Instant::now();
    for id in ["a", "b"] {
        table.health(id).unwrap().rest_for(secs(60), now);
    }
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                super::fixture::with_pool_of(&table, |pool| {
                    let picked = || RoundRobin.pick(&call("m"), pool, &Seeded::new(1));
                    assert!((0..20_000).all(|_| picked() == Some(2)));
                });
            });
        }
    });
}

#[tokio::test(start_paused = true)]
async fn least_busy_counts_streams_until_they_end() {
    let script = || vec![flow(millis(1), secs(60))];
    let scripts = ["a", "b", "c"].map(|id| (id, script()));
    let world = World::new(deployments(&TRIO), picked_by(LeastBusy), scripts).with_dice(Seeded::new(1));
    let mut open = Vec::new();
    for _ in 0..30 {
        open.push(world.send(stream("m")).await.unwrap());
    }
    let table = world.table.load();
    assert_eq!(table.seen().map(|(_, seen)| seen.in_flight()).collect::<Vec<_>>(), [10, 10, 10]);
    // Half of them leave, and one deployment gets more from another replica.
    open.truncate(15);
    let left: Vec<u32> = table.seen().map(|(_, seen)| seen.in_flight()).collect();
    table.seen().for_each(|(deployment, seen)| {
        if &*deployment.id == "b" {
            seen.put_elsewhere(Share { in_flight: 100, ..Share::default() }, Instant::now());
        }
    });
    for _ in 0..15 {
        open.push(world.send(stream("m")).await.unwrap());
    }
    let now: Vec<u32> = table.seen().map(|(_, seen)| seen.in_flight()).collect();
    assert_eq!((now[1], now[0] + now[2]), (100 + left[1], 30 - left[1]));
    assert!(now[0].abs_diff(now[2]) <= 1, "{now:?}");
    drop(open);
    assert_eq!(table.seen().map(|(_, seen)| seen.in_flight()).collect::<Vec<_>>(), [0, 100, 0]);
}

#[tokio::test(start_paused = true)]
async fn lowest_latency_measures_each_and_keeps_to_the_fastest() {
    let scripts = [("a", 3), ("b", 1), ("c", 2)].map(|(id, time)| (id, vec![Step::Slow(secs(time))]));
    for (buffer, expected) in [(0.0, vec!["b"]), (1.0, vec!["b", "c"]), (2.0, vec!["a", "b", "c"])] {
        let settings = picked_by(LowestLatency(LatencySettings { buffer, ..LatencySettings::default() }));
        let world = World::new(deployments(&TRIO), settings, scripts.clone()).with_dice(Seeded::new(1));
        let mut first = answers(&world, || call("m"), 3).await;
        first.sort();
        assert_eq!(first, ["a", "b", "c"]);
        let mut later = answers(&world, || call("m"), 60).await;
        later.sort();
        later.dedup();
        assert_eq!(later, expected, "{buffer}");
    }
}

#[tokio::test(start_paused = true)]
async fn lowest_latency_measures_again_what_is_stale() {
    let fresh = LatencySettings { fresh: secs(600), ..LatencySettings::default() };
    let scripts = [("a", 1), ("b", 2), ("c", 3)].map(|(id, time)| (id, vec![Step::Slow(secs(time))]));
    let world = World::new(deployments(&TRIO), picked_by(LowestLatency(fresh)), scripts);
    let mut first = answers(&world, || call("m"), 3).await;
    first.sort();
    assert_eq!(
        (first.as_slice(), answers(&world, || call("m"), 1).await),
        (["a", "b", "c"].map(String::from).as_slice(), vec!["a".to_owned()])
    );
    advance(secs(600)).await;
    let mut again = answers(&world, || call("m"), 3).await;
    again.sort();
    assert_eq!(again, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn lowest_latency_forgets_all_but_the_last_answers() {
    // Slow once, then fast: ten fast answers later nothing is left of the slow one.
    let slow_once = [vec![Step::Slow(secs(100))], vec![Step::Slow(secs(1))]].concat();
    let scripts = [("a", slow_once), ("b", vec![Step::Slow(secs(2))])];
    let world = World::new(deployments(&TRIO[..2]), picked_by(LowestLatency::default()), scripts);
    for _ in 0..11 {
        world.ask("a").await.0.unwrap();
    }
    world.ask("b").await.0.unwrap();
    assert_eq!(answers(&world, || call("m"), 9).await, ["a"; 9]);
}

#[tokio::test(start_paused = true)]
async fn lowest_latency_looks_at_streams_and_whole_answers_apart() {
    // The one is soon there and slow, the other one late and fast.
    let early = vec![flow(millis(100), secs(60))];
    let late = vec![flow(secs(2), millis(1))];
    let world =
        World::new(deployments(&TRIO[..2]), picked_by(LowestLatency::default()), [("a", late), ("b", early)]);
    answers(&world, || stream("m"), 2).await;
    assert_eq!(answers(&world, || stream("m"), 9).await, ["b"; 9]);
    let mut whole = answers(&world, || call("m"), 2).await;
    whole.sort();
    assert_eq!(whole, ["a", "b"], "nothing is known of whole answers yet");
    assert_eq!(answers(&world, || call("m"), 9).await, ["a"; 9]);
}

#[tokio::test(start_paused = true)]
async fn lowest_latency_counts_whole_answers_by_the_token() {
    let long = vec![Step::Whole(secs(10), 1000)];
    let short = vec![Step::Whole(secs(1), 10)];
    let world =
        World::new(deployments(&TRIO[..2]), picked_by(LowestLatency::default()), [("a", short), ("b", long)]);
    answers(&world, || call("m"), 2).await;
    assert_eq!(answers(&world, || call("m"), 9).await, ["b"; 9]);
}

#[tokio::test(start_paused = true)]
async fn lowest_latency_leaves_one_that_timed_out_alone() {
    let hung_once = vec![fail(Timeout), Step::Slow(millis(1))];
    let scripts = [("a", hung_once), ("b", vec![Step::Slow(secs(99))])];
    let world = World::new(deployments(&TRIO[..2]), picked_by(LowestLatency::default()), scripts);
    assert_eq!(answers(&world, || call("m"), 1).await, ["a", "b"]);
    advance(secs(60)).await;
    assert_eq!(answers(&world, || call("m"), 9).await, ["b"; 9]);
    // After nine more good answers of ten the average is still a hundred seconds; after ten it is gone.
    for (asked, expected) in [(9, "b"), (1, "a")] {
        for _ in 0..asked {
            world.ask("a").await.0.unwrap();
        }
        assert_eq!(answers(&world, || call("m"), 1).await, [expected]);
    }
}

/// Two of which nothing was seen here, and what others tell of them. Each takes a second.
fn unseen(told: [Share; 2]) -> World {
    let scripts = ["a", "b"].map(|id| (id, vec![Step::Slow(secs(1))]));
    let world = World::new(deployments(&TRIO[..2]), picked_by(LowestLatency::default()), scripts);
    tell(&world, told);
    world
}

fn tell(world: &World, told: [Share; 2]) {
    for ((_, seen), share) in world.table.load().seen().zip(told) {
        seen.put_elsewhere(share, Instant::now());
    }
}

fn pace(time: Duration, answers: u32) -> Pace {
    Pace { nanos: u64::try_from(time.as_nanos()).unwrap(), answers }
}

#[tokio::test(start_paused = true)]
async fn lowest_latency_knows_what_other_replicas_measured() {
    let whole = |time, answers| Share { whole: pace(time, answers), ..Share::default() };
    let streams = |time, answers| Share { streams: pace(time, answers), ..Share::default() };
    for (told, streamed, expected) in [
        // Who was measured nowhere comes first.
        ([whole(secs(1), 1), Share::default()], false, "b"),
        ([whole(secs(2), 1), whole(secs(1), 1)], false, "b"),
        ([whole(secs(1), 1), whole(secs(2), 1)], false, "a"),
        ([streams(secs(2), 1), streams(secs(1), 1)], true, "b"),
        // Streams say nothing of whole answers.
        ([streams(secs(2), 1), Share::default()], false, "a"),
    ] {
        let one = || if streamed { stream("m") } else { call("m") };
        assert_eq!(answers(&unseen(told), one, 1).await, [expected], "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn latencies_of_here_and_of_elsewhere_count_by_how_many_they_are() {
    // One second here, and so much at others.
    for (elsewhere, many, expected) in
        [(secs(4), 1, "b"), (secs(2), 1, "a"), (secs(2), 9, "b"), (secs(4), 0, "a")]
    {
        let other = Share { whole: pace(millis(1_700), 1), ..Share::default() };
        let world = unseen([Share::default(), other]);
        world.ask("a").await.0.unwrap();
        tell(&world, [Share { whole: pace(elsewhere, many), ..Share::default() }, other]);
        assert_eq!(answers(&world, || call("m"), 1).await, [expected], "{elsewhere:?} of {many}");
        // Others that are heard of no more are forgotten, and what was seen here stays.
        tell(&world, [Share::default(), other]);
        assert_eq!(answers(&world, || call("m"), 1).await, ["a"], "{elsewhere:?} of {many}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_latencies_is_what_was_seen_here_lately() {
    let fresh = LatencySettings { fresh: secs(600), ..LatencySettings::default() };
    let slow = [("a", vec![Step::Slow(secs(3)), Step::Slow(secs(1))])];
    let world = World::new(deployments(&TRIO[..1]), picked_by(LowestLatency(fresh)), slow);
    let own = || world.table.load().seen().map(|(_, seen)| seen.share(Instant::now()).whole).next().unwrap();
    tell(&world, [Share { whole: pace(secs(9), 9), ..Share::default() }, Share::default()]);
    assert_eq!(own().answers, 0);
    answers(&world, || call("m"), 2).await;
    assert_eq!(own(), pace(secs(2), 2));
    advance(secs(599)).await;
    assert_eq!(own(), pace(secs(1), 1));
    advance(secs(1)).await;
    assert_eq!(own().answers, 0);
}

#[tokio::test(start_paused = true)]
async fn lowest_usage_takes_the_fewest_tokens_of_this_minute() {
    let scripts =
        [("a", 50), ("b", 20), ("c", 30)].map(|(id, tokens)| (id, vec![Step::Whole(Duration::ZERO, tokens)]));
    let world = World::new(deployments(&TRIO), picked_by(LowestUsage), scripts);
    assert_eq!(answers(&world, || call("m"), 6).await, ["a", "b", "c", "b", "c", "b"]);
    // 50, 60, 60: what another replica used counts too.
    let table = world.table.load();
    for (_, seen) in table.seen().take(1) {
        seen.put_elsewhere(Share { tokens: 100, ..Share::default() }, Instant::now());
    }
    assert_eq!(answers(&world, || call("m"), 1).await, ["b"]);
    advance(secs(60)).await;
    assert_eq!(answers(&world, || call("m"), 3).await, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn lowest_usage_takes_what_is_used_up_last() {
    let limited = |id: &str, rpm, tpm| Deployment { rpm, tpm, ..deployment("m", id) };
    let list = vec![limited("a", Some(2), None), limited("b", None, Some(100)), limited("c", None, None)];
    let scripts =
        [("a", 1), ("b", 60), ("c", 70)].map(|(id, tokens)| (id, vec![Step::Whole(Duration::ZERO, tokens)]));
    let world = World::new(list[..2].to_vec(), picked_by(LowestUsage), scripts.clone());
    // After two requests the one is used up, and after 120 tokens the other one; then the tokens decide.
    assert_eq!(answers(&world, || call("m"), 5).await, ["a", "b", "a", "b", "a"]);
    let world = World::new(list, picked_by(LowestUsage), scripts);
    assert_eq!(answers(&world, || call("m"), 7).await, ["a", "b", "c", "a", "b", "c", "c"]);
}

fn priced(id: &str, input: Option<u64>, output: Option<u64>) -> Deployment {
    let model = Model { input: input.map(Price), output: output.map(Price), ..Model::default() };
    Deployment { model, ..deployment("m", id) }
}

#[tokio::test(start_paused = true)]
async fn lowest_cost_takes_the_cheapest_and_the_unknown_last() {
    let list = vec![
        priced("unknown", None, None),
        priced("dear", Some(30), Some(30)),
        priced("half known", Some(1), None),
        priced("cheap", Some(1), Some(40)),
    ];
    let world = World::new(list, picked_by(LowestCost), []).with_dice(Seeded::new(1));
    let table = world.table.load();
    for expected in [vec!["cheap"], vec!["dear"], vec!["half known", "unknown"]] {
        let mut answered = answers(&world, || call("m"), 30).await;
        answered.sort();
        answered.dedup();
        assert_eq!(answered, expected);
        for id in expected {
            table.health(id).unwrap().rest_for(secs(60), Instant::now());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lowest_cost_shares_among_those_that_cost_the_same() {
    let list =
        vec![priced("a", Some(1), Some(1)), priced("b", Some(2), Some(0)), priced("c", Some(2), Some(2))];
    let world = World::new(list, picked_by(LowestCost), []).with_dice(Seeded::new(1));
    let answered = answers(&world, || call("m"), 200).await;
    let counts = counted(&answered);
    assert!(!counts.contains_key("c") && counts["a"] > 70 && counts["b"] > 70, "{counts:?}");
}

/// Knows the price of a model by the digit at its end.
struct ByDigit;

impl Know for ByDigit {
    fn model(&self, deployment: &Deployment, model: &str) -> Model {
        let digit = model.bytes().last().map(|digit| u64::from(digit - b'0'));
        let price = digit.map(|digit| if &*deployment.provider == "x" { digit } else { 9 - digit });
        Model { input: price.map(Price), output: Some(Price(0)), ..Model::default() }
    }
}

#[tokio::test(start_paused = true)]
async fn lowest_cost_asks_what_a_wildcards_model_costs() {
    let wild = |id: &str| Deployment {
        target: format!("{id}/*").into(),
        provider: id.into(),
        ..deployment("m*", id)
    };
    let settings = Settings { know: Arc::new(ByDigit), ..picked_by(LowestCost) };
    let world = World::new(vec![wild("x"), wild("y")], settings, []).with_dice(Seeded::new(1));
    for (model, expected) in [("m1", "x"), ("m8", "y")] {
        assert_eq!(answers(&world, || call(model), 9).await, [expected; 9], "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_choices_prefers_the_faster_one_and_comes_back_to_one_that_was_slow() {
    let slow_for_long = [vec![Step::Slow(secs(2)); 3], vec![Step::Slow(millis(100))]].concat();
    let scripts = [("a", slow_for_long), ("b", vec![Step::Slow(millis(200))])];
    let world = World::new(deployments(&TRIO[..2]), picked_by(TwoChoices), scripts).with_dice(Seeded::new(1));
    let before = answers(&world, || call("m"), 100).await;
    assert!(counted(&before)["a"] <= 3, "{:?}", counted(&before));
    answers(&world, || call("m"), 400).await;
    let after = answers(&world, || call("m"), 100).await;
    assert!(counted(&after)["a"] >= 90, "{:?}", counted(&after));
}

#[tokio::test(start_paused = true)]
async fn two_choices_prefers_the_less_busy_of_two_that_are_as_fast() {
    let scripts = ["a", "b"].map(|id| (id, vec![Step::Stream(vec![Ok(frame(1, false)); 9])]));
    let world = World::new(deployments(&TRIO[..2]), picked_by(TwoChoices), scripts).with_dice(Seeded::new(1));
    let mut open = Vec::new();
    for _ in 0..40 {
        open.push(world.send(stream("m")).await.unwrap());
    }
    let busy: Vec<u32> = world.table.load().seen().map(|(_, seen)| seen.in_flight()).collect();
    assert_eq!(busy, [20, 20]);
}

#[tokio::test(start_paused = true)]
async fn two_choices_does_not_run_to_one_that_is_new() {
    let scripts = [("a", vec![Step::Slow(millis(100))]), ("b", vec![Step::Slow(secs(30))])];
    let world = World::new(deployments(&TRIO[..1]), picked_by(TwoChoices), scripts).with_dice(Seeded::new(1));
    answers(&world, || call("m"), 5).await;
    let table = world.table.load();
    world.table.swap(table.rebuild(deployments(&TRIO[..2]), table.settings.clone()).unwrap());
    let mut sent = tokio::task::JoinSet::new();
    (0..20).for_each(|_| drop(sent.spawn(world.send(call("m")))));
    advance(secs(1)).await;
    let b = world.upstream.attempts().iter().filter(|attempt| &*attempt.target.deployment == "b").count();
    assert!((1..=4).contains(&b), "{b} of 20 calls went to the one that nobody has measured");
}

#[tokio::test(start_paused = true)]
async fn two_choices_takes_one_that_fails_at_once_for_a_slow_one() {
    let failing = vec![Step::Fail(error(Upstream)); 2];
    let scripts =
        [("a", [failing, vec![Step::Slow(millis(100))]].concat()), ("b", vec![Step::Slow(millis(300))])];
    let world = World::new(deployments(&TRIO[..2]), picked_by(TwoChoices), scripts).with_dice(Seeded::new(1));
    let answered = answers(&world, || call("m"), 10).await;
    assert!(counted(&answered)["b"] >= 9, "{answered:?}");
}
