//! A replica that is killed: what it held of limits and budgets comes back to the others.

use gatewright_tests::gateway::poll;
use gatewright_tests::upstream::{Gate, Pause, Script};
use serde_json::{Value, json};

use crate::scene::{PATIENCE, Scene, body, used};

/// Of output at $10 a million: a call may cost a cent.
const TOKENS: u64 = 1_000;

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
