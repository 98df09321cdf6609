//! One budget of all replicas is a wall.

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::poll;
use gatewright_tests::upstream::{Pause, Script};
use serde_json::json;

use crate::scene::{PATIENCE, Scene, body, kind, used};

/// A dollar, and calls that may cost six cents each: of 6,000 tokens of output at $10 a million.
const TOKENS: u64 = 6_000;

/// So many callers at once, every second one streamed: a fifth leaves at once, every tenth attempt fails after it was
/// billed, the others cost all that they may.
fn storm(callers: usize) {
    let scene = Scene::start(3);
    scene.upstream.choose(|seen| {
        let slow = Script { before_head: Pause::millis(30), ..used(60, TOKENS - 60) };
        Some(if seen.number % 10 == 9 { Script { cut_before_head: true, ..slow } } else { slow })
    });
    let key = scene.key(json!({"max_budget": 1.0}));
    let call = |number: usize, client: Client| -> Option<Response> {
        let body = body(number.is_multiple_of(2), TOKENS);
        if number % 5 == 4 {
            drop(client.send("POST", "/v1/chat/completions", body.to_string().as_bytes()));
            return None;
        }
        Some(client.post("/v1/chat/completions", &body))
    };
    let answers: Vec<Response> = scene.at_once(callers, &key, call).into_iter().flatten().collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 422).collect();
    assert!(!refused.is_empty(), "a dollar is not enough for all");
    for answer in refused {
        assert_eq!(kind(answer), "budget_exceeded", "{}", answer.text());
        let words = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(words.contains(" Current cost: 0.9"), "{words}");
    }
    let (settled, held) = scene.settled_in_redis(PATIENCE);
    // An attempt whose client left before it reached the upstream has an entry too, which may come last.
    let asked = scene.upstream.seen().len();
    let _ = poll(PATIENCE, || (scene.ledger(asked) == settled).then_some(()));
    let ledger = scene.ledger(asked);
    assert!(ledger <= 1_000_000_000, "{ledger} nano-dollars of one dollar");
    assert!(ledger > 700_000_000, "{ledger}: what is there can be spent");
    assert_eq!((settled, held), (ledger, 0), "Redis counts what the ledger books");
}

#[test]
fn two_hundred_calls_at_once_over_three_replicas_never_pass_a_dollar() {
    storm(200);
}

#[test]
fn two_thousand_neither() {
    storm(2_000);
}

#[test]
fn answers_beyond_their_caps_pass_it_by_half_at_most() {
    let scene = Scene::start(3);
    // Twice what each call was given.
    scene.upstream.choose(|_| Some(Script { before_head: Pause::millis(30), ..used(60, 2 * TOKENS) }));
    let key = scene.key(json!({"max_budget": 1.0}));
    scene.at_once(200, &key, |_, client| client.post("/v1/chat/completions", &body(false, TOKENS)).status);
    let ledger = scene.ledger(scene.upstream.seen().len());
    assert!((700_000_000..=1_500_000_000).contains(&ledger), "{ledger} nano-dollars of one dollar");
}

#[test]
fn a_budget_whose_calls_cost_little_of_what_they_may_lets_nearly_all_in() {
    let scene = Scene::start(3);
    // Together 27 % of the budget: 200 × $0.00135.
    scene.upstream.choose(|_| Some(Script { before_head: Pause::millis(20), ..used(100, 110) }));
    let key = scene.key(json!({"max_budget": 1.0}));
    let answers = scene.at_once(200, &key, |number, client| {
        client.post("/v1/chat/completions", &body(number.is_multiple_of(2), TOKENS)).status
    });
    let admitted = answers.iter().filter(|status| **status == 200).count();
    assert!(admitted >= 198, "{admitted} of 200");
}
