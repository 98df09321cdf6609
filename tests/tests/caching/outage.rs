//! Replicas share what is kept in Redis, and go on without it.

use std::time::{Duration, Instant};

use gatewright_tests::client::{Client, Response, message};
use gatewright_tests::gateway::{Gateway, Setup, poll};
use gatewright_tests::redis::Redis;
use gatewright_tests::upstream::{Said, Script, Upstream};
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

/// What somebody else made of an entry in Redis.
#[test]
fn a_poisoned_entry_is_never_the_answer_to_another_call() {
    let (upstream, redis) = (Upstream::start(), Redis::start());
    upstream.choose(|seen| Some(Script::says(Said::text([format!("answer {}", seen.number)]))));
    let gateway = replica(&upstream, &redis, ", memory_in_front: false");
    let admin = Client::of(&gateway);
    let stranger = admin.made("/key/generate", json!({}));
    let stranger = Client::with_key(&gateway, stranger["key"].as_str().unwrap());
    let name = |answer: &Response| format!("gatewright:answer:{}", answer.header("x-litellm-cache-key"));
    // Of another tenant, of another question, and of another dialect.
    let theirs = name(&until_hit(&stranger, "hi"));
    let others = name(&until_hit(&admin, "other"));
    let body = message("fast", "hi", json!({}));
    let kept = || Some(admin.post("/v1/messages", &body)).filter(is_hit);
    let messages = name(&poll(PATIENCE, kept).expect("it is never kept"));
    let mine = name(&until_hit(&admin, "hi"));
    let poisons: [&[&str]; 8] = [
        &["SET", &mine, "GWA1 garbage"],
        &["SET", &mine, ""],
        &["COPY", &theirs, &mine, "REPLACE"],
        &["COPY", &others, &mine, "REPLACE"],
        &["COPY", &messages, &mine, "REPLACE"],
        &["SETRANGE", &mine, "200", "another word"],
        &["APPEND", &mine, "and more"],
        &["SETRANGE", &mine, "30000000", "huge"],
    ];
    for poison in poisons {
        let before = upstream.count();
        assert!(!["", "0"].contains(&&*redis.ask(poison)) || poison[2].is_empty(), "{poison:?}");
        let answer = admin.chat("fast", "hi");
        assert!(!is_hit(&answer), "{poison:?}: {}", answer.text());
        let said = answer.json()["choices"][0]["message"]["content"].clone();
        assert_eq!((upstream.count(), said), (before + 1, json!(format!("answer {before}"))), "{poison:?}");
        assert_eq!(name(&until_hit(&admin, "hi")), mine, "it is kept anew");
    }
}
