//! What a client, a key and an operator say of the cache.

use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, Setup, model};
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

use crate::{LOCAL, is_hit, start};

fn ask(client: &Client, cache: Value) -> Response {
    client.post("/v1/chat/completions", &chat("fast", "hi", json!({"cache": cache})))
}

fn key(admin: &Client, gateway: &Gateway, terms: Value) -> Client {
    let made = admin.made("/key/generate", terms);
    Client::with_key(gateway, made["key"].as_str().unwrap())
}

#[test]
fn a_client_says_what_it_wants_of_the_cache() {
    let (upstream, gateway) = start(LOCAL);
    let client = Client::of(&gateway);
    for (cache, hit) in [
        (json!({"no-store": true}), false),
        (json!({}), false),
        (json!({"ttl": 600}), true),
        (json!({"no-cache": true}), false),
        (json!({"s-maxage": 600}), true),
        (json!({"namespace": "mine"}), false),
        (json!({"namespace": "mine"}), true),
        (json!("nonsense"), true),
    ] {
        assert_eq!(is_hit(&ask(&client, cache.clone())), hit, "{cache}");
    }
    assert!(ask(&client, json!({"namespace": "mine"})).header("x-litellm-cache-key").starts_with("mine:"));
    assert_eq!(ask(&client, json!({"namespace": "a b"})).status, 400);
    let fresh = Client::of(&gateway).header("cache-control", "no-cache");
    assert!(!is_hit(&ask(&fresh, json!({}))));
    assert!(
        upstream.seen().iter().all(|seen| seen.json().get("cache").is_none()),
        "it is no provider's business"
    );
}

#[test]
fn a_key_may_be_bound_to_some_wishes() {
    let (_upstream, gateway) = start(LOCAL);
    let admin = Client::of(&gateway);
    let bound = key(&admin, &gateway, json!({"allowed_cache_controls": ["no-cache"]}));
    let free = key(&admin, &gateway, json!({}));
    assert_eq!(ask(&bound, json!({"no-cache": true})).status, 200);
    let refused = ask(&bound, json!({"ttl": 5}));
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("Not allowed to set ttl as a cache control"), "{}", refused.text());
    assert_eq!(ask(&free, json!({"ttl": 5})).status, 200);
}

#[test]
fn an_answer_stays_with_its_team_or_its_key() {
    let (_upstream, gateway) = start(LOCAL);
    let admin = Client::of(&gateway);
    admin.made("/team/new", json!({"team_id": "red"}));
    let of = |terms: Value| key(&admin, &gateway, terms);
    let (ann, bob) = (of(json!({"team_id": "red"})), of(json!({"team_id": "red"})));
    let (eve, zoe) = (of(json!({})), of(json!({})));
    for (client, hit) in
        [(&ann, false), (&bob, true), (&eve, false), (&zoe, false), (&eve, true), (&admin, false)]
    {
        assert_eq!(is_hit(&client.chat("fast", "hi")), hit);
    }
    let (_upstream, gateway) = start("{type: local, scope: global}");
    let admin = Client::of(&gateway);
    assert!(!is_hit(&admin.chat("fast", "hi")));
    assert!(is_hit(&key(&admin, &gateway, json!({})).chat("fast", "hi")));
}

#[test]
fn an_operator_says_which_calls_are_answered() {
    let (_upstream, gateway) = start("{type: local, mode: default_off}");
    let client = Client::of(&gateway);
    for (cache, told) in
        [(json!({}), ""), (json!({"use-cache": true}), "miss"), (json!({"use-cache": true}), "hit")]
    {
        assert_eq!(ask(&client, cache.clone()).header("x-gatewright-cache"), told, "{cache}");
    }
    let (_upstream, gateway) = start("{type: local, supported_call_types: [aembedding]}");
    assert_eq!(Client::of(&gateway).chat("fast", "hi").header("x-gatewright-cache"), "");
    let upstream = Upstream::start();
    let gateway = Gateway::start(&model("fast", "openai/gpt-4o-mini", &upstream));
    let told = ask(&Client::of(&gateway), json!({"use-cache": true}));
    assert_eq!(told.header("x-gatewright-cache"), "", "a file that says nothing of a cache has none");
    assert_eq!(Client::of(&gateway).get("/cache/ping").status, 503);
}

#[test]
fn without_a_file_there_is_a_cache_for_whoever_asks() {
    let gateway = Setup::bare().start();
    let client = Client::new(gateway.addr());
    let ask =
        |cache: Value| client.post("/v1/chat/completions", &chat("demo", "hi", json!({"cache": cache})));
    for told in ["miss", "hit"] {
        assert_eq!(ask(json!({"use-cache": true})).header("x-gatewright-cache"), told);
    }
    assert_eq!(ask(json!({})).header("x-gatewright-cache"), "");
}

#[test]
fn what_is_kept_is_forgotten_when_an_administrator_says_so() {
    let (_upstream, gateway) = start(LOCAL);
    let admin = Client::of(&gateway);
    let first = admin.chat("fast", "hi");
    admin.chat("fast", "other");
    let key = first.header("x-litellm-cache-key");
    let told = admin.made("/cache/delete", json!({"keys": [key, "unknown"]}));
    assert_eq!(told, json!({"status": "success", "deleted": 1}));
    assert!(!is_hit(&admin.chat("fast", "hi")) && is_hit(&admin.chat("fast", "other")));
    assert_eq!(admin.made("/cache/flushall", json!({}))["status"], "success");
    assert!(!is_hit(&admin.chat("fast", "other")));
    assert_eq!(admin.get("/cache/redis/info").status, 400, "there is none");
    let nobody = self::key(&admin, &gateway, json!({}));
    assert!(matches!(nobody.post("/cache/flushall", &json!({})).status, 401 | 403));
}

#[test]
fn what_no_cache_is_is_told_before_the_start() {
    for (params, told) in [
        ("{type: s3}", "answers are not kept in `s3`"),
        ("{type: memory}", "there is no cache `memory`"),
        ("{type: redis}", "no Redis is named"),
        ("{type: local, scope: user}", "expected `key`, `team`, `organization` or `global`"),
        ("{type: local, mode: sometimes}", "expected `default_on` or `default_off`"),
        ("{type: local, namespcae: x}", "did you mean `namespace`"),
    ] {
        let upstream = Upstream::start();
        let (_, words) = Setup::new(crate::config(&upstream, params))
            .arg("--config")
            .arg("config.yaml")
            .arg("--check")
            .run();
        assert!(words.contains(told), "{params}: {words}");
    }
}
