//! Settings of the cache that administrators change while the gateway runs.

use std::fs;

use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment, poll};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::redis::Redis;
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

use crate::{PATIENCE, is_hit};

const SECRET: &str = "hush-of-the-redis";
const VEIL: &str = "***REDACTED***";

/// A gateway whose configuration names no cache.
fn config(upstream: &Upstream, more: &str) -> String {
    let model = deployment("fast", "openai/gpt-4o-mini", upstream, "");
    format!(
        "model_list:\n{model}general_settings: {{master_key: {MASTER_KEY}, store_model_in_db: true{more}}}\n"
    )
}

/// A Redis that wants a password.
fn locked() -> Redis {
    let redis = Redis::start();
    assert_eq!(redis.ask(&["CONFIG", "SET", "requirepass", SECRET]), "OK");
    redis
}

fn kept_in(redis: &Redis) -> bool {
    !redis.ask(&["--no-auth-warning", "-a", SECRET, "KEYS", "gatewright:answer:*"]).is_empty()
}

/// Settings of a Redis at this port.
fn at(port: u16, password: &str) -> Value {
    json!({"type": "redis", "host": "127.0.0.1", "port": port.to_string(), "password": password, "deadline": 5})
}

fn set(client: &Client, settings: &Value) -> Response {
    client.post("/cache/settings", &json!({"cache_settings": settings}))
}

/// What the test of a connection says: whether it came about, and why not.
fn tried(client: &Client, settings: &Value) -> (bool, String) {
    let told = client.made("/cache/settings/test", json!({"cache_settings": settings}));
    let why = told["error"].as_str().unwrap_or_default().to_owned();
    assert_eq!(told["status"] == "failed", !why.is_empty(), "{told}");
    (told["status"] == "success", why)
}

fn current(client: &Client) -> Value {
    client.get("/cache/settings").json()["current_values"].clone()
}

/// Asks until it is answered from what was kept.
fn until_hit(client: &Client, text: &str) {
    let found = poll(PATIENCE, || Some(client.chat("fast", text)).filter(is_hit));
    assert!(found.is_some(), "`{text}` is never answered from what is kept");
}

#[test]
fn what_is_set_takes_effect_at_once_and_outlives_the_process() {
    let (upstream, redis) = (Upstream::start(), locked());
    let mut gateway = Setup::new(config(&upstream, "")).start();
    let client = Client::of(&gateway);
    for _ in 0..2 {
        assert_eq!(client.chat("fast", "before").header("x-gatewright-cache"), "", "there is no cache");
    }
    assert_eq!(current(&client), json!({}));
    assert_eq!(client.get("/cache/ping").status, 503);

    let told = set(&client, &at(redis.port(), SECRET));
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(
        told.json(),
        json!({"message": "Cache settings updated successfully", "status": "success", "settings": at(redis.port(), VEIL)})
    );
    assert!(!is_hit(&client.chat("fast", "a")));
    until_hit(&client, "a");
    let kept = poll(PATIENCE, || kept_in(&redis).then_some(()));
    assert!(kept.is_some(), "it is kept in memory only");
    assert_eq!(client.get("/cache/ping").json()["cache_type"], "redis");
    let mut shown = at(redis.port(), VEIL);
    shown["redis_type"] = "node".into();
    assert_eq!(current(&client), shown);

    // A form sends back what it was shown, and one thing that was changed.
    shown["ttl"] = 300.into();
    assert_eq!(set(&client, &shown).status, 200);
    until_hit(&client, "b");

    // It outlives the process; its secret is nowhere in clear.
    gateway.terminate();
    gateway.wait_for_exit();
    let database = fs::read(gateway.dir().join("gatewright-data/gatewright.db")).unwrap();
    let holds = |text: &str| database.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("cache_config") && !holds(SECRET));
    gateway.restart();
    let client = Client::of(&gateway);
    let asked = upstream.count();
    until_hit(&client, "a");
    assert_eq!(upstream.count(), asked, "the first call is answered from what was kept before");
    let audit = client.get("/audit?table_name=LiteLLM_CacheConfig").json();
    assert_eq!(
        (&audit["total"], &audit["audit_logs"][0]["action"]),
        (&json!(2), &json!("updated")),
        "{audit}"
    );
    for told in [audit.to_string(), client.get("/cache/settings").text(), gateway.log()] {
        assert!(!told.contains(SECRET), "{told}");
    }
}

#[test]
fn a_test_says_what_is_wrong_and_changes_nothing() {
    let (upstream, redis, other) = (Upstream::start(), locked(), locked());
    let gateway = Setup::new(config(&upstream, "")).start();
    let client = Client::of(&gateway);
    let (went, why) = tried(&client, &at(1, SECRET));
    assert!(!went && why.contains("refused") && !why.contains(SECRET), "{why}");
    let (went, why) = tried(&client, &at(redis.port(), "wrong-hush"));
    assert!(!went && why.contains("authentication failed") && !why.contains("wrong-hush"), "{why}");
    assert!(!tried(&client, &json!({"type": "local"})).0, "nothing is to be reached");
    assert!(!tried(&client, &json!({"type": "redis"})).0, "nothing is named");
    assert_eq!(tried(&client, &at(redis.port(), SECRET)), (true, String::new()));
    assert_eq!(current(&client), json!({}), "nothing is kept");
    assert_eq!(client.chat("fast", "a").header("x-gatewright-cache"), "", "nothing has changed");

    // What is kept is tried where it goes, and sent nowhere else.
    assert_eq!(set(&client, &at(redis.port(), SECRET)).status, 200);
    assert!(tried(&client, &at(redis.port(), VEIL)).0);
    let (went, why) = tried(&client, &at(other.port(), VEIL));
    assert!(!went && why.contains("password"), "{why}");
    let silent = json!({"type": "redis", "host": "127.0.0.1", "port": other.port()});
    let (went, why) = tried(&client, &silent);
    assert!(!went && why.contains("NOAUTH"), "{why}");
    for wrong in
        [at(other.port(), VEIL), json!({"type": "tape"}), json!({"type": "redis", "host": "a", "port": "x"})]
    {
        let told = set(&client, &wrong);
        assert_eq!(told.status, 400, "{wrong}: {}", told.text());
    }
    assert_eq!(current(&client)["port"], redis.port().to_string());
    until_hit(&client, "a");
}

#[test]
fn a_change_to_the_same_loses_nothing_and_the_files_settings_come_back() {
    let upstream = Upstream::start();
    let file = format!(
        "{}litellm_settings: {{cache: true, cache_params: {{type: local, mode: default_off}}}}\n",
        config(&upstream, "")
    );
    let gateway = Setup::new(file).start();
    let client = Client::of(&gateway);
    let of_the_file = json!({"type": "local", "mode": "default_off"});
    assert_eq!(current(&client), of_the_file);
    for _ in 0..2 {
        assert_eq!(client.chat("fast", "a").header("x-gatewright-cache"), "", "nobody asked for it");
    }
    let told = set(&client, &json!({"type": "local", "max_bites": 5}));
    assert_eq!((told.status, told.header("x-gatewright-ignored-fields")), (200, "max_bites"));
    client.chat("fast", "a");
    until_hit(&client, "a");
    assert_eq!(set(&client, &json!({"type": "local"})).status, 200);
    assert!(is_hit(&client.chat("fast", "a")), "memory is as it was");
    assert_eq!(set(&client, &json!({"type": "local", "namespace": ""})).status, 200);
    assert!(is_hit(&client.chat("fast", "a")), "nothing was said");
    assert_eq!(client.delete("/cache/settings").status, 200);
    assert_eq!(current(&client), of_the_file);
    assert_eq!(client.chat("fast", "a").header("x-gatewright-cache"), "");
    let asking = chat("fast", "a", json!({"cache": {"use-cache": true}}));
    let told = client.post("/v1/chat/completions", &asking);
    assert_eq!(told.header("x-gatewright-cache"), "miss", "the file's cache answers whoever asks for it");
    assert_eq!(client.delete("/cache/settings").status, 404);
}

#[test]
fn every_replica_obeys_and_a_change_replaces_all_of_the_cache() {
    let (upstream, server) = (Upstream::start(), Postgres::start());
    let (first, second) = (locked(), locked());
    let replica = || -> Gateway {
        Setup::new(config(&upstream, &format!(", database_url: \"{}\"", server.url()))).start()
    };
    let (one, other) = (replica(), replica());
    let (one, other) = (Client::of(&one), Client::of(&other));
    assert_eq!(set(&one, &at(first.port(), SECRET)).status, 200);
    until_hit(&one, "a");
    // What the one has kept the other gives, as soon as it has heard.
    until_hit(&other, "a");
    assert_eq!(set(&other, &at(second.port(), SECRET)).status, 200);
    assert!(!is_hit(&other.chat("fast", "a")), "neither memory nor the first Redis is asked any more");
    until_hit(&other, "a");
    let heard = poll(PATIENCE, || {
        one.chat("fast", "b");
        second.ask(&["--no-auth-warning", "-a", SECRET, "DBSIZE"]).ends_with('2').then_some(())
    });
    assert!(heard.is_some(), "the other replica keeps answers elsewhere");
}
