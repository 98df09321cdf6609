//! Replicas share what is kept in Redis, and go on without it.

use std::time::{Duration, Instant};

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, Setup, poll};
use gatewright_tests::redis::Redis;
use gatewright_tests::upstream::Upstream;
use serde_json::json;

use crate::{PATIENCE, config, is_hit};

fn replica(upstream: &Upstream, redis: &Redis, more: &str) -> Gateway {
    let params = format!("{{type: redis, host: 127.0.0.1, port: {}{more}}}", redis.port());
    Setup::new(config(upstream, &params)).start()
}

/// Asks until what is kept answers.
fn until_hit(client: &Client, text: &str) -> Response {
    let found = poll(PATIENCE, || Some(client.chat("fast", text)).filter(is_hit));
    found.expect("it is never answered from what is kept")
}

#[test]
fn what_one_replica_keeps_the_other_gives() {
    let (upstream, redis) = (Upstream::start(), Redis::start());
    let (one, other) = (replica(&upstream, &redis, ""), replica(&upstream, &redis, ""));
    let first = Client::of(&one).chat("fast", "hi");
    until_hit(&Client::of(&other), "hi");
    let before = upstream.count();
    let again = until_hit(&Client::of(&other), "hi");
    assert_eq!(
        (again.header("x-litellm-cache-key"), upstream.count()),
        (first.header("x-litellm-cache-key"), before)
    );
    let admin = Client::of(&other);
    let info = admin.get("/cache/redis/info").json();
    assert!(info["num_clients"].as_u64() > Some(0) && info["info"]["redis_version"].is_string(), "{info}");
    assert_eq!(admin.get("/cache/ping").json()["cache_type"], "redis");
    redis.ask(&["SET", "somebody:else", "1"]);
    admin.made("/cache/flushall", json!({}));
    assert_eq!(redis.ask(&["GET", "somebody:else"]), "1");
    assert_eq!(redis.ask(&["KEYS", "gatewright:answer:*"]), "");
}

#[test]
fn a_redis_that_is_away_costs_no_call_more_than_a_moment() {
    let (upstream, mut redis) = (Upstream::start(), Redis::start());
    let gateway = replica(&upstream, &redis, ", memory_in_front: false");
    let client = Client::of(&gateway);
    client.chat("fast", "hi");
    until_hit(&client, "hi");
    redis.hang();
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(!is_hit(&client.chat("fast", "hi")));
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    redis.go_on();
    until_hit(&client, "hi");
    redis.crash();
    assert!(!is_hit(&client.chat("fast", "hi")));
    redis.resume();
    until_hit(&client, "hi");
}

#[test]
fn garbage_in_redis_is_asked_for_again() {
    let (upstream, redis) = (Upstream::start(), Redis::start());
    let gateway = replica(&upstream, &redis, ", memory_in_front: false");
    let client = Client::of(&gateway);
    let first = client.chat("fast", "hi");
    until_hit(&client, "hi");
    let key = format!("gatewright:answer:{}", first.header("x-litellm-cache-key"));
    redis.ask(&["SET", &key, "GWA1 garbage"]);
    assert!(!is_hit(&client.chat("fast", "hi")));
    until_hit(&client, "hi");
}
