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

/// How often Redis hangs; `HANGS` sets another number.
const HANGS: usize = 3;

/// How often it dies; `DEATHS` sets another number.
const DEATHS: usize = 2;

/// Dollars that are soon spent.
const SCARCE: f64 = 1.0;

/// The callers that call all the time: without a limit, with rates, with a budget that lasts, and with one that does not.
struct Callers {
    free: String,
    rated: String,
    funded: String,
    scarce: String,
}

/// How often each status came, by caller.
type Told = BTreeMap<(&'static str, u16), usize>;

/// How often, where the environment says so.
fn times(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |times| times.parse().unwrap())
}

// === impl Callers ===

impl Callers {
    fn of(scene: &Scene) -> Self {
        Self {
            free: scene.key(json!({})),
            rated: scene.key(json!({"rpm_limit": 1_000_000, "tpm_limit": 1_000_000_000})),
            funded: scene.key(json!({"max_budget": 1_000.0})),
            scarce: scene.key(json!({"max_budget": SCARCE})),
        }
    }

    /// Calls at each replica while Redis answers, so that it has a reserve of both budgets, if that is not spent.
    fn meet(&self, scene: &Scene) {
        for number in 0..scene.gateways.len() {
            let call =
                |key| scene.client(number, key).post("/v1/chat/completions", &body(false, TOKENS)).status;
            call(&self.scarce);
            assert!(poll(PATIENCE, || (call(&self.funded) == 200).then_some(())).is_some(), "no reserve");
        }
    }

    /// Calls with each of them at each replica, one after the other, until it is told to stop. Answers how often each
    /// status came.
    fn call(&self, scene: &Scene, stop: &AtomicBool) -> Told {
        let mut told = Told::new();
        let callers = [
            ("free", &self.free),
            ("rated", &self.rated),
            ("funded", &self.funded),
            ("scarce", &self.scarce),
        ];
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            for (who, key) in callers {
                let answer = scene.client(number, key).post("/v1/chat/completions", &body(false, TOKENS));
                *told.entry((who, answer.status)).or_default() += 1;
            }
        }
        told
    }
}

/// Lets calls run through outages of a kind, so many times, and counts what became of them.
fn under_load(kind: &str, rounds: usize, outage: impl Fn(&mut Scene, &Callers) -> Told) {
    let mut scene = Scene::with(2, "");
    scene.upstream.choose(|_| Some(used(0, TOKENS)));
    let callers = Callers::of(&scene);
    let unknown = scene.key(json!({"max_budget": 5.0}));
    let mut told = Told::new();
    for _ in 0..rounds {
        callers.meet(&scene);
        for (what, count) in outage(&mut scene, &callers) {
            *told.entry(what).or_default() += count;
        }
        counts_again(&scene, &unknown);
    }
    let asked = scene.upstream.seen().len();
    let ledger = scene.ledger(asked);
    assert_eq!(ledger, COST * i64::try_from(asked).unwrap(), "each call is booked once");
    let spent = |key: &str| {
        let info = Client::of(&scene.gateways[0]).get(&format!("/key/info?key={key}"));
        info.json()["info"]["spend"].as_f64().unwrap()
    };
    let spent = spent(&callers.scarce);
    assert!(spent <= SCARCE, "{spent} of {SCARCE}");
    println!("{rounds} × {kind}: {told:?}; {asked} calls in the ledger; {spent} of {SCARCE} spent");
}

/// Lets calls run while `outage` happens, and holds them to it that all of those were served that may be.
fn served_throughout(scene: &Scene, callers: &Callers, outage: impl FnOnce()) -> Told {
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
    // One whose budget is nearly spent has no reserve at all, and is told to come again.
    let may = |who: &str| if who == "scarce" { &[200, 422, 503][..] } else { &[200] };
    assert!(told.keys().all(|(who, status)| may(who).contains(status)), "{told:?}");
    told
}

/// A caller with a budget that no replica has a reserve of is told to come again, and not let in.
fn nobody_spends_what_is_not_held(scene: &Scene) {
    let unknown = scene.key(json!({"max_budget": 5.0}));
    let refused = scene.client(0, &unknown).post("/v1/chat/completions", &body(false, TOKENS));
    assert_eq!((refused.status, kind(&refused).is_null()), (503, false), "{}", refused.text());
    assert!(!refused.header("retry-after").is_empty());
}

#[test]
fn a_redis_that_hangs_fails_nobody_who_has_a_reserve_or_no_budget() {
    under_load("hung", times("HANGS", HANGS), |scene, callers| {
        let told = served_throughout(scene, callers, || scene.redis.hang());
        nobody_spends_what_is_not_held(scene);
        scene.redis.go_on();
        told
    });
}

#[test]
fn a_redis_that_dies_with_all_it_knew_fails_nobody_who_has_a_reserve_or_no_budget() {
    under_load("dead", times("DEATHS", DEATHS), |scene, callers| {
        scene.redis.crash();
        let told = served_throughout(scene, callers, || {});
        nobody_spends_what_is_not_held(scene);
        scene.redis.resume();
        told
    });
}

/// With Redis back, calls that nobody has a reserve for are let in again.
fn counts_again(scene: &Scene, key: &str) {
    let call = |client: Client| client.post("/v1/chat/completions", &body(false, TOKENS)).status;
    let back = poll(PATIENCE, || (call(scene.client(1, key)) == 200).then_some(()));
    assert!(back.is_some(), "budgets are not counted again");
}
