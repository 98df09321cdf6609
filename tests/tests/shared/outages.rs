//! A Redis that dies or hangs under load: whoever needs nothing of it is served, and no budget is passed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use gatewright_tests::client::Client;
use gatewright_tests::gateway::poll;
use serde_json::json;

use crate::scene::{PATIENCE, Scene, body, kind, used};

/// Of output at $10 a million: a call may cost a cent.
const TOKENS: u64 = 1_000;

/// Nano-dollars that a call really costs.
const COST: i64 = 10_000_000;

/// The callers that call all the time: without a limit, with rates, and with a budget.
struct Callers {
    free: String,
    rated: String,
    funded: String,
}

// === impl Callers ===

impl Callers {
    fn of(scene: &Scene) -> Self {
        Self {
            free: scene.key(json!({})),
            rated: scene.key(json!({"rpm_limit": 1_000_000, "tpm_limit": 1_000_000_000})),
            funded: scene.key(json!({"max_budget": 1_000.0})),
        }
    }

    /// Calls with each of them at each replica, one after the other, until it is told to stop. Answers how often each
    /// status came.
    fn call(&self, scene: &Scene, stop: &AtomicBool) -> BTreeMap<(&'static str, u16), usize> {
        let mut told = BTreeMap::new();
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            for (who, key) in [("free", &self.free), ("rated", &self.rated), ("funded", &self.funded)] {
                let answer = scene.client(number, key).post("/v1/chat/completions", &body(false, TOKENS));
                *told.entry((who, answer.status)).or_default() += 1;
            }
        }
        told
    }
}

fn under_load(scene: &mut Scene, disturb: impl FnOnce(&mut Scene, &Callers)) {
    scene.upstream.choose(|_| Some(used(0, TOKENS)));
    let callers = Callers::of(scene);
    for number in 0..scene.gateways.len() {
        let met = scene.client(number, &callers.funded).post("/v1/chat/completions", &body(false, TOKENS));
        assert_eq!(met.status, 200, "each replica has a reserve: {}", met.text());
    }
    disturb(scene, &callers);
    let asked = scene.upstream.seen().len();
    let ledger = scene.ledger(asked);
    assert_eq!(ledger, COST * i64::try_from(asked).unwrap(), "each call is booked once");
}

/// Lets calls run while `outage` happens, and holds them to it that all of them were served.
fn served_throughout(scene: &Scene, callers: &Callers, outage: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    let told = thread::scope(|scope| {
        let calls = scope.spawn(|| callers.call(scene, &stop));
        let before = scene.upstream.seen().len();
        outage();
        let went_on = poll(PATIENCE, || (scene.upstream.seen().len() > before + 30).then_some(()));
        stop.store(true, Ordering::Relaxed);
        assert!(went_on.is_some(), "calls do not go on");
        calls.join().unwrap()
    });
    assert!(told.keys().all(|(_, status)| *status == 200), "{told:?}");
}

/// A caller with a budget that no replica has a reserve of is told to come again, and not let in.
fn nobody_spends_what_is_not_held(scene: &Scene, unknown: &str) {
    let refused = scene.client(0, unknown).post("/v1/chat/completions", &body(false, TOKENS));
    assert_eq!((refused.status, kind(&refused).is_null()), (503, false), "{}", refused.text());
    assert!(!refused.header("retry-after").is_empty());
}

#[test]
fn a_redis_that_hangs_fails_nobody_who_has_a_reserve_or_no_budget() {
    let mut scene = Scene::with(2, "");
    under_load(&mut scene, |scene, callers| {
        let unknown = scene.key(json!({"max_budget": 5.0}));
        for _ in 0..3 {
            served_throughout(scene, callers, || scene.redis.hang());
            nobody_spends_what_is_not_held(scene, &unknown);
            scene.redis.go_on();
            counts_again(scene, &unknown);
        }
    });
}

#[test]
fn a_redis_that_dies_with_all_it_knew_fails_nobody_who_has_a_reserve_or_no_budget() {
    let mut scene = Scene::with(2, "");
    under_load(&mut scene, |scene, callers| {
        let unknown = scene.key(json!({"max_budget": 5.0}));
        for _ in 0..2 {
            scene.redis.crash();
            served_throughout(scene, callers, || {});
            nobody_spends_what_is_not_held(scene, &unknown);
            scene.redis.resume();
            counts_again(scene, &unknown);
        }
    });
}

/// With Redis back, calls that nobody has a reserve for are let in again.
fn counts_again(scene: &Scene, key: &str) {
    let call = |client: Client| client.post("/v1/chat/completions", &body(false, TOKENS)).status;
    let back = poll(PATIENCE, || (call(scene.client(1, key)) == 200).then_some(()));
    assert!(back.is_some(), "budgets are not counted again");
}
