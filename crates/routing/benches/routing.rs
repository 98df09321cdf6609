//! What a choice among a thousand deployments costs, and to load ten thousand models: `make bench`.
#![expect(clippy::print_stdout, reason = "its figures are for people")]
#![expect(clippy::panic, reason = "a codec that nobody may ask")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to tell")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Body, Call, Dialect, Operation, Price};
use gatewright_routing::{
    Deployment, LeastBusy, LowestCost, LowestLatency, LowestUsage, MachineDice, Model, Pick, RoundRobin,
    Settings, Share, SimpleShuffle, Table, Trial, TwoChoices,
};
use rustix::time::{ClockId, clock_gettime};

#[path = "../src/tests/mute.rs"]
mod mute;

use self::mute::Mute;

const DEPLOYMENTS: u64 = 1000;
const MODELS: u64 = 10_000;
/// Microseconds that a choice may take.
const CHOICE: f64 = 2.0;
/// Milliseconds that a table may take.
const TABLE: f64 = 100.0;
/// Rounds of which the middle one counts.
const ROUNDS: usize = 25;

fn main() {
    // `cargo test --all-targets` runs benches too, without saying so.
    if !std::env::args().any(|argument| argument == "--bench") {
        return println!("run with `cargo bench`, or with --bench");
    }
    println!(
        "a choice among {DEPLOYMENTS} deployments, CPU microseconds: median of {ROUNDS} rounds; idle, busy, half of them resting"
    );
    for (name, pick) in strategies() {
        let figures = [State::Idle, State::Busy, State::HalfRest].map(|state| choice(&pick, state));
        let [idle, busy, half] = figures;
        println!(
            "{name:<16} {idle:>7.2} {busy:>7.2} {half:>7.2}  {}",
            goal(idle.max(busy).max(half), CHOICE)
        );
    }
    println!("\n{MODELS} models into a table, CPU milliseconds: median of {ROUNDS} rounds");
    for groups in [MODELS, 100, 1] {
        let millis = loading(groups);
        println!("{groups:>6} groups    {millis:>7.2}  {}", goal(millis, TABLE));
    }
}

/// What is going on at the deployments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Busy,
    HalfRest,
}

fn strategies() -> [(&'static str, Arc<dyn Pick>); 7] {
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

/// Microseconds of one choice.
fn choice(pick: &Arc<dyn Pick>, state: State) -> f64 {
    let settings = Settings { pick: pick.clone(), ..Settings::default() };
    let list = (0..DEPLOYMENTS).map(|nth| deployment(nth, 1)).collect();
    let table = Table::build(list, settings.clone()).unwrap();
    let now = tokio::time::Instant::now();
    for (nth, (_, seen)) in (0u32..).zip(table.seen()) {
        if state != State::Idle {
            let in_flight = 1 + nth * 7 % 90;
            let (requests, tokens) = (u64::from(nth % 50), u64::from(nth * 31 % 1009));
            let share = Share { in_flight, requests, tokens, ..Share::default() };
            seen.put_elsewhere(share, now);
            (0..10).for_each(|more| pick.learn(seen, &trial(u64::from(nth * 17 % 997 + more)), now));
        }
        if state == State::HalfRest && nth * 2_654_435_761 % 7 < 4 {
            seen.health.rest_for(Duration::from_secs(60), now);
        }
    }
    let route = table.resolve("g0").unwrap();
    let call = Call::new(Operation::Chat, &Mute(Dialect::OpenAiChat), "g0", Body::Opaque(Default::default()));
    let choose = || black_box(route.choose(&settings, black_box(&call), &MachineDice, now).is_some());
    median(|| {
        const CHOICES: u32 = 500;
        let start = spent();
        assert!((0..CHOICES).all(|_| choose()));
        (spent() - start).as_secs_f64() * 1e6 / f64::from(CHOICES)
    })
}

/// Milliseconds to arrange all models in so many groups.
fn loading(groups: u64) -> f64 {
    median(|| {
        let list: Vec<Deployment> = (0..MODELS).map(|nth| deployment(nth, groups)).collect();
        let start = spent();
        let table = Table::build(list, Settings::default()).unwrap();
        let millis = (spent() - start).as_secs_f64() * 1e3;
        assert_eq!(table.names().len() as u64, groups);
        millis
    })
}

fn deployment(nth: u64, groups: u64) -> Deployment {
    let price = Some(Price(nth * 7919 % 1000));
    Deployment {
        id: format!("deployment-{nth}").into(),
        group: format!("g{}", nth % groups).into(),
        target: format!("provider/model-{nth}").into(),
        model: Model { input: price, output: price, ..Model::default() },
        weight: Some(1.0 + (nth % 10) as f64),
        rpm: Some(1000),
        tpm: Some(1_000_000),
        ..Deployment::default()
    }
}

fn trial(millis: u64) -> Trial {
    let time = Duration::from_millis(millis + 1);
    Trial {
        first_content: time,
        whole: time,
        stream: false,
        output: Some(10),
        failed: false,
        timed_out: false,
    }
}

/// CPU that this thread has spent, so that a noisy machine disturbs less.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn median(round: impl Fn() -> f64) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    rounds.sort_by(f64::total_cmp);
    rounds.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
}

fn goal(figure: f64, limit: f64) -> String {
    let verdict = if figure <= limit { "met" } else { "not met" };
    format!("at most {limit}: {verdict}")
}
