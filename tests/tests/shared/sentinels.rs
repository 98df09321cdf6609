//! Replicas whose Redis is behind a sentinel.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::poll;
use serde_json::json;

use crate::scene::{PATIENCE, Scene};

/// Calls a minute that one key may make.
const LIMIT: usize = 60;

/// How many of a burst over all replicas a new key with the limit lets in.
fn admitted(scene: &Scene<impl Sync>) -> usize {
    let key = scene.key(json!({"rpm_limit": LIMIT}));
    let answers = scene.at_once(150, &key, |_, client| client.chat("m", "hi").status);
    assert!(answers.iter().all(|status| [200, 429].contains(status)), "{answers:?}");
    answers.into_iter().filter(|status| *status == 200).count()
}

#[test]
fn a_limit_is_shared_again_after_a_failover_and_no_call_fails_meanwhile() {
    let mut scene = Scene::behind_sentinels(2);
    assert_eq!(admitted(&scene), LIMIT);
    let keys = [json!({}), json!({"rpm_limit": 1_000_000})].map(|grant| scene.key(grant));
    let connected = |scene: &Scene<_>| {
        let says =
            |gateway| Client::of(gateway).get("/metrics").text().contains("\ngatewright_redis_connected 1\n");
        poll(PATIENCE, || scene.gateways.iter().all(says).then_some(())).expect("a replica finds no master")
    };
    connected(&scene);
    let over = AtomicBool::new(false);
    scene.redis.master.crash();
    let told: Vec<u16> = thread::scope(|scope| {
        let calls = scope.spawn(|| {
            let (mut told, mut last) = (Vec::new(), false);
            while !last {
                last = over.load(Ordering::Relaxed);
                for (number, key) in keys.iter().chain(&keys).enumerate() {
                    let client = scene.client(number / keys.len(), key);
                    told.push(client.post("/v1/chat/completions", &chat("m", "hi", json!({}))).status);
                }
            }
            told
        });
        scene.redis.wait_for_failover();
        connected(&scene);
        over.store(true, Ordering::Relaxed);
        calls.join().unwrap()
    });
    assert!(told.iter().all(|status| *status == 200), "{told:?}");
    assert_eq!(admitted(&scene), LIMIT, "each replica counts alone");
    assert_ne!(scene.redis.copy.ask(&["KEYS", "*gatewright*"]), "", "the counts are elsewhere");
}
