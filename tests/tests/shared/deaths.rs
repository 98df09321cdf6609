//! A replica that is killed: what it held of limits and budgets comes back to the others.

use std::thread;
use std::time::Duration;

use gatewright_tests::gateway::poll;
use gatewright_tests::upstream::{Gate, Pause, Script};
use serde_json::{Value, json};

use crate::scene::{PATIENCE, Scene, body, used};

/// Of output at $10 a million: a call may cost a cent.
const TOKENS: u64 = 1_000;

/// Nano-dollars of such a call.
const COST: i64 = 10_000_000;

/// A call of the first replica holds all that there is of `grant`; the second one gets it when the first one was
/// killed.
fn comes_back(grant: Value, refused: u16) {
    // The wait is longer than a new Redis lets budgets wait.
    let mut scene = Scene::with(2, ", redis_deadline: 10, redis_lease: 10, budget_wait: 3");
    let gate = Gate::default();
    let waits = gate.clone();
    scene.upstream.choose(move |seen| {
        let answer = used(0, TOKENS);
        let before_head = if seen.number == 0 { Pause::Gate(waits.clone()) } else { Pause::None };
        Some(Script { before_head, ..answer })
    });
    let key = scene.key(grant);
    let (holder, other) = (scene.client(0, &key), scene.client(1, &key));
    let request = body(false, TOKENS).to_string();
    let _waits = holder.send("POST", "/v1/chat/completions", request.as_bytes()).unwrap();
    scene.upstream.wait_for_requests(1);
    let call = || other.post("/v1/chat/completions", &body(false, TOKENS)).status;
    assert_eq!(call(), refused, "what is held is held at every replica");
    scene.gateways[0].kill();
    gate.open();
    assert!(poll(PATIENCE, || (call() == 200).then_some(())).is_some(), "it does not come back");
}

#[test]
fn the_permits_of_a_killed_replica_come_back() {
    comes_back(json!({"max_parallel_requests": 1}), 429);
}

#[test]
fn the_money_that_a_killed_replica_held_comes_back() {
    comes_back(json!({"max_budget": 0.015}), 422);
}

#[test]
fn what_a_killed_replica_had_not_told_is_counted_once_the_ledger_has_it() {
    let mut scene = Scene::with(2, ", redis_lease: 10, user_api_key_cache_ttl: 1");
    let gate = Gate::default();
    let waits = gate.clone();
    // Seven calls end, two run on, and further ones cost nothing.
    scene.upstream.choose(move |seen| {
        Some(match seen.number {
            0..7 => used(0, TOKENS),
            7..9 => Script { before_head: Pause::Gate(waits.clone()), ..used(0, TOKENS) },
            _ => Script::fails(400, "no"),
        })
    });
    let key = scene.key(json!({"max_budget": 100.0}));
    let (killed, other) = (scene.client(0, &key), scene.client(1, &key));
    let call = || killed.post("/v1/chat/completions", &body(false, TOKENS)).status;
    assert_eq!(call(), 200, "so it has a reserve");
    let told = scene.settled_in_redis(PATIENCE);
    scene.redis.hang();
    assert!((1..7).all(|_| call() == 200));
    let request = body(false, TOKENS).to_string();
    let running = [(); 2].map(|()| killed.send("POST", "/v1/chat/completions", request.as_bytes()).unwrap());
    scene.upstream.wait_for_requests(9);
    scene.gateways[0].kill();
    drop(running);
    scene.redis.go_on();
    scene.gateways[0].restart();
    let lost = scene.ledger(9) - told.0;
    assert!(lost >= 6 * COST, "{lost}");
    // A budget is put right as it is called.
    let agree = || {
        assert_eq!(other.post("/v1/chat/completions", &body(false, TOKENS)).status, 400);
        // Longer than a key is known without a look at the database.
        thread::sleep(Duration::from_millis(1_500));
        // What the killed one held comes back as others call.
        let settled = scene.figures_in_redis().expect("the budget is in Redis")[0];
        let ledger = scene.ledger(scene.upstream.seen().len());
        assert!(settled <= ledger, "{settled} in Redis, {ledger} in the ledger");
        (settled == ledger).then_some(())
    };
    let agreed = poll(2 * PATIENCE, agree);
    assert!(agreed.is_some(), "{:?} in Redis, {lost} was lost", scene.figures_in_redis());
}
