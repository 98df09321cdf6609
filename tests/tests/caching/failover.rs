//! Redis behind a sentinel: when its master dies, answers are kept in the next one, and no call fails meanwhile.

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, Setup, poll};
use gatewright_tests::redis::{RedisFailover, SERVICE};
use gatewright_tests::upstream::Upstream;

use crate::{PATIENCE, config, is_hit};

fn until_hit(client: &Client, text: &str) -> Response {
    let found = poll(PATIENCE, || Some(client.chat("fast", text)).filter(is_hit));
    found.expect("it is never answered from what is kept")
}

fn over(upstream: &Upstream, redis: &RedisFailover, kind: &str) -> Gateway {
    let sentinels = format!("[[127.0.0.1, {}]]", redis.port());
    let params = format!(
        "{{type: {kind}, sentinel_nodes: {sentinels}, service_name: {SERVICE}, memory_in_front: false, deadline: 0.5}}"
    );
    Setup::new(config(upstream, &params)).start()
}

#[test]
fn a_failover_is_followed_and_no_call_fails_meanwhile() {
    let (upstream, mut redis) = (Upstream::start(), RedisFailover::start());
    let gateway = over(&upstream, &redis, "redis");
    let client = Client::of(&gateway);
    client.chat("fast", "before");
    until_hit(&client, "before");
    assert_eq!(client.get("/cache/ping").status, 200);
    redis.master.crash();
    // Each is answered, wherever its answer comes from.
    for n in 0..20 {
        assert_eq!(client.chat("fast", &format!("meanwhile {n}")).status, 200);
    }
    redis.wait_for_failover();
    until_hit(&client, "after");
    assert_ne!(redis.copy.ask(&["KEYS", "gatewright:answer:*"]), "");
    assert_eq!(client.get("/cache/ping").status, 200);
}

#[test]
fn a_semantic_cache_asks_sentinels_too() {
    let (upstream, redis) = (Upstream::start(), RedisFailover::start());
    let gateway = over(&upstream, &redis, "redis-semantic");
    let client = Client::of(&gateway);
    // The server has no search module: equal questions are answered all the same, from the master.
    client.chat("fast", "before");
    until_hit(&client, "before");
    assert_ne!(redis.master.ask(&["KEYS", "gatewright:answer:*"]), "");
}
