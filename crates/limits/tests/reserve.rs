//! What a replica has in reserve for the time when Redis is away.
#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Money, Price, SystemClock};
use gatewright_limits::{Counters, Need, Rule, Shared, SharedSettings, Used, Window};
use gatewright_tests::gateway::poll;
use gatewright_tests::redis::Redis;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A call that holds a hundred nano-dollars.
fn need() -> Need {
    Need { output: Price(1_000_000), output_cap: 100, least_output: 100, known_cap: true, ..Need::default() }
}

/// Waits until Redis says that so much is settled and held, and so many run.
fn counts(redis: &Redis, want: &str) {
    let told = || redis.ask(&["HMGET", "{gatewright}:{team:t}:budget", "s", "h", "n"]).replace('\n', " ");
    assert!(poll(PATIENCE, || (told() == want).then_some(())).is_some(), "{} is not {want}", told());
}

#[test]
fn a_reserve_is_held_changes_with_the_room_and_goes_back() {
    let redis = Redis::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let settings = SharedSettings { replica: "one".into(), deadline: PATIENCE, ..SharedSettings::default() };
    let client = redis::Client::open(redis.url()).unwrap();
    let _inside = runtime.enter();
    let shared = Shared::start(vec![client], settings, Arc::new(SystemClock));
    assert!(poll(PATIENCE, || shared.sharing().connected.then_some(())).is_some());
    let rules = [Rule::money("team", "t".into(), Money(1_000_000), Window::Forever)];
    let hold = || runtime.block_on(shared.hold(&rules, &need(), PATIENCE)).unwrap();
    let (first, grant) = hold();
    // A thirty-second of what is left beside the call.
    let reserve = (1_000_000 - 100) / 32;
    assert_eq!(grant.remaining[..], [1_000_000 - 100 - reserve]);
    counts(&redis, &format!("0 {} 1", 100 + reserve));
    shared.settle(&first, Used { cost: Money(60), ..Used::default() });
    counts(&redis, &format!("60 {reserve} 0"));
    // In exchange for the one before it.
    let (second, _) = hold();
    counts(&redis, &format!("60 {} 1", 100 + (1_000_000 - 60 - 100) / 32));
    shared.settle(&second, Used { cost: Money(500_000), ..Used::default() });
    let (third, _) = hold();
    counts(&redis, &format!("500060 {} 1", 100 + (500_000 - 60 - 100) / 32));
    shared.settle(&third, Used::default());
    runtime.block_on(shared.stop());
    counts(&redis, "500060 0 0");
}
