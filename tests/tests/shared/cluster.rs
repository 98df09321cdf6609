//! Replicas whose Redis is a cluster.

use gatewright_tests::client::Client;
use gatewright_tests::gateway::poll;
use gatewright_tests::upstream::{Pause, Script};
use serde_json::json;

use crate::scene::{PATIENCE, Scene, body, settled_in, used};

/// Something in the slot that the counts are in.
const NAME: &str = "{gatewright}:born";

/// A dollar, and calls that cost six cents each: of 6,000 tokens of output at $10 a million.
const TOKENS: u64 = 6_000;

/// Nano-dollars of such a call.
const COST: i64 = 60_000_000;

#[test]
fn a_cluster_counts_like_one_server_also_when_the_counts_move_to_another_node() {
    let scene = Scene::in_cluster(3);
    scene.upstream.choose(|_| Some(Script { before_head: Pause::millis(30), ..used(0, TOKENS) }));
    let rated = scene.key(json!({"rpm_limit": 60}));
    let admitted = |key: &str| {
        let call = |number: usize, client: Client| {
            client.post("/v1/chat/completions", &body(number.is_multiple_of(2), TOKENS)).status
        };
        scene.at_once(200, key, call).into_iter().filter(|status| *status == 200).count()
    };
    assert_eq!((admitted(&rated), scene.upstream.seen().len()), (60, 60));
    let funded = scene.key(json!({"max_budget": 1.0}));
    let before = admitted(&funded);
    assert!((12..=16).contains(&before), "{before} of sixteen calls that a dollar covers");
    let home = scene.redis.home(NAME);
    let spent = settled_in(&scene.redis.nodes[home], PATIENCE);
    let calls = i64::try_from(before).unwrap();
    assert_eq!(spent, (COST * calls, 0));
    let other = (home + 1) % 3;
    scene.redis.move_to(other, NAME);
    // What was spent at the one is spent at the other: at most the rest of the dollar is spent there.
    let again = || {
        let statuses = scene.at_once(3, &funded, |_, client| {
            client.post("/v1/chat/completions", &body(false, TOKENS)).status
        });
        let settled = settled_in(&scene.redis.nodes[other], PATIENCE).0;
        assert!((spent.0..=1_000_000_000).contains(&settled), "{settled}");
        statuses.iter().all(|status| *status == 422).then_some(())
    };
    assert!(poll(PATIENCE, again).is_some(), "the budget is not counted at the other node");
    let ledger = scene.ledger(scene.upstream.seen().len()) - 60 * COST;
    assert_eq!(ledger, settled_in(&scene.redis.nodes[other], PATIENCE).0);
    assert_eq!(scene.redis.home(NAME), other);
}
