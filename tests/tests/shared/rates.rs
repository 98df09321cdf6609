//! Rates and permits of a key are counted once for all replicas.

use std::collections::BTreeSet;
use std::time::Duration;

use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, MASTER, Setup, deployment, poll};
use gatewright_tests::upstream::{Gate, Pause, Script};
use serde_json::json;

use crate::scene::{PATIENCE, Scene, kind, used};

#[test]
fn a_burst_over_all_replicas_gets_exactly_what_the_limit_says() {
    let scene = Scene::with(3, "");
    let key = scene.key(json!({"rpm_limit": 60}));
    let answers = scene.at_once(200, &key, |_, client| client.chat("m", "hi"));
    let admitted = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((admitted, scene.upstream.seen().len()), (60, 60));
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    for answer in &refused {
        assert_eq!((answer.status, kind(answer)), (429, json!("throttling_error")), "{}", answer.text());
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(answer.header("rate_limit_type"), "requests");
    }
    let left: BTreeSet<u64> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .map(|answer| answer.header("x-ratelimit-api_key-remaining-requests").parse().unwrap())
        .collect();
    assert_eq!(left, (0..60).collect(), "each is told what is left after it");
}

#[test]
fn one_slow_answer_lets_nobody_in_beyond_the_limit() {
    let scene = Scene::with(3, "");
    let key = scene.key(json!({"rpm_limit": 60}));
    let answers = std::thread::scope(|scope| {
        // The server stands still in the middle of the burst, and for less than it may.
        scope.spawn(|| {
            scene.upstream.wait_for_requests(10);
            scene.redis.hang();
            std::thread::sleep(Duration::from_millis(500));
            scene.redis.go_on();
        });
        scene.at_once(200, &key, |_, client| client.chat("m", "hi").status)
    });
    let admitted = answers.iter().filter(|status| **status == 200).count();
    assert_eq!((admitted, scene.upstream.seen().len()), (60, 60));
}

#[test]
fn without_redis_each_replica_lets_in_its_share() {
    let scene = Scene::with(3, "");
    let key = scene.key(json!({"rpm_limit": 60}));
    for gateway in &scene.gateways {
        let knows = || gateway_says(gateway, "gatewright_redis_replicas 3");
        assert!(poll(PATIENCE, || knows().then_some(())).is_some(), "it does not know how many there are");
    }
    scene.redis.hang();
    let answers = scene.at_once(200, &key, |_, client| client.chat("m", "hi"));
    let admitted = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((admitted, scene.upstream.seen().len()), (60, 60));
    let refused = answers.iter().find(|answer| answer.status != 200).unwrap();
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.text().contains("Current limit: 60, Remaining: 0"), "{}", refused.text());
    assert!(gateway_says(&scene.gateways[0], "gatewright_redis_connected 0"));
    scene.redis.go_on();
}

fn gateway_says(gateway: &Gateway, line: &str) -> bool {
    Client::of(gateway).get("/metrics").text().lines().any(|other| other == line)
}

#[test]
fn permits_are_shared_and_come_back() {
    let scene = Scene::start(3);
    let gate = Gate::default();
    let waits = gate.clone();
    scene.upstream.choose(move |_| Some(Script { before_head: Pause::Gate(waits.clone()), ..used(5, 5) }));
    let key = scene.key(json!({"max_parallel_requests": 3}));
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..3)
            .map(|number| {
                let client = scene.client(number, &key);
                scope.spawn(move || client.chat("m", "hi").status)
            })
            .collect();
        scene.upstream.wait_for_requests(3);
        for number in 0..3 {
            let refused = scene.client(number, &key).chat("m", "hi");
            assert_eq!((refused.status, refused.header("rate_limit_type")), (429, "max_parallel_requests"));
        }
        gate.open();
        assert!(running.into_iter().all(|call| call.join().unwrap() == 200));
    });
    let back = poll(PATIENCE, || (scene.client(0, &key).chat("m", "hi").status == 200).then_some(()));
    assert!(back.is_some(), "the permits did not come back");
}

#[test]
fn clients_read_the_same_with_and_without_redis() {
    let scene = Scene::start(1);
    let config = format!("model_list:\n{}{MASTER}", deployment("m", "openai/gpt-4o", &scene.upstream, ""));
    let alone = Setup::new(config).start();
    let read = |gateway: &Gateway| -> Vec<Vec<String>> {
        let admin = Client::of(gateway);
        let grant = json!({"rpm_limit": 2, "tpm_limit": 100_000, "max_budget": 5.0, "key_alias": "ci"});
        let key = admin.post("/key/generate", &grant).json()["key"].as_str().unwrap().to_owned();
        let client = Client::with_key(gateway, &key);
        let calls =
            (0..3).map(|_| client.post("/v1/chat/completions", &chat("m", "hi", json!({"max_tokens": 9}))));
        calls.map(|answer| told(&answer)).collect()
    };
    let (shared, local) = (read(&scene.gateways[0]), read(&alone));
    assert_eq!(shared, local);
    assert!(local[2].iter().any(|line| line.starts_with("429")), "{local:?}");
    assert!(local[0].iter().any(|line| line.contains("limit-tokens")), "{local:?}");
}

/// Status, body of a refusal, and headers about limits, without what differs by time or key.
fn told(answer: &Response) -> Vec<String> {
    let digits = |text: &str| text.replace(|c: char| c.is_ascii_hexdigit(), "0");
    let mut lines = vec![format!(
        "{} {}",
        answer.status,
        if answer.status == 200 { String::new() } else { digits(&answer.text()) }
    )];
    // Tokens are put right a moment after a call has ended, so what is left of them differs by time.
    let limits = |name: &str| {
        let words = ["ratelimit", "rate_limit", "retry-after", "reset_at"];
        !name.ends_with("remaining-tokens") && words.iter().any(|word| name.contains(word))
    };
    for (name, value) in answer.headers.iter().filter(|(name, _)| limits(name)) {
        lines.push(match name.contains("remaining") || name.contains("limit-") {
            true => format!("{name}: {value}"),
            false => format!("{name}: {}", digits(value)),
        });
    }
    lines.sort();
    lines
}
