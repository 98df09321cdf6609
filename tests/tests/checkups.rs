//! Health checks in the background: what they ask, what they cost, and what becomes of deployments that fail them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment, poll};
use gatewright_tests::redis::Redis;
use gatewright_tests::upstream::{MOMENT, Script, Seen, Upstream};
use serde_json::Value;

/// What only checks say.
const PROMPT: &str = "test from gatewright";

/// A gateway that checks these in the background; `more` is further `general_settings`.
fn checking(models: &[String], more: &str) -> Gateway {
    let general = format!("{{master_key: {MASTER_KEY}, background_health_checks: true{more}}}");
    Setup::new(format!("model_list:\n{}general_settings: {general}\n", models.concat())).start()
}

fn is_check(seen: &Seen) -> bool {
    String::from_utf8_lossy(&seen.body).contains(PROMPT)
}

fn told(gateway: &Gateway) -> Value {
    Client::of(gateway).get("/health").json()
}

/// Waits until all of so many deployments pass.
fn passed(gateway: &Gateway, count: usize) -> bool {
    let passed = || {
        let told = told(gateway);
        let all = told["healthy_endpoints"].as_array().unwrap();
        (all.iter().filter(|one| one["health_check"] == "passed").count() == count).then_some(())
    };
    poll(MOMENT, passed).is_some()
}

#[test]
fn a_deployment_whose_checks_fail_is_left_out_until_one_succeeds() {
    let (first, second) = (Upstream::start(), Upstream::start());
    let sick = Arc::new(AtomicBool::new(true));
    let fails = sick.clone();
    // Only checks fail, so that nothing else keeps calls away.
    first.choose(move |seen| {
        (is_check(seen) && fails.load(Ordering::Relaxed)).then(|| Script::fails(500, "out of order"))
    });
    let models = [
        deployment("m", "openai/gpt-4o", &first, "order: 1"),
        deployment("m", "openai/gpt-4o", &second, "order: 2"),
    ];
    let more = ", health_check_interval: 0.2, enable_health_check_routing: true";
    let gateway = checking(&models, more);
    let client = Client::of(&gateway);
    let calls = |upstream: &Upstream| upstream.seen().iter().filter(|seen| !is_check(seen)).count();
    let goes_to = |upstream: &Upstream| {
        poll(MOMENT, || {
            let before = calls(upstream);
            assert_eq!(client.chat("m", "hi").status, 200);
            (calls(upstream) > before).then_some(())
        })
    };
    assert!(goes_to(&second).is_some(), "one that fails its checks is chosen");
    let health = told(&gateway);
    let failed = &health["unhealthy_endpoints"][0];
    assert_eq!((&health["healthy_count"], &health["unhealthy_count"]), (&1.into(), &1.into()));
    assert!(failed["error"].as_str().is_some_and(|why| why.contains("out of order")), "{failed}");
    sick.store(false, Ordering::Relaxed);
    assert!(goes_to(&first).is_some(), "one that passes its checks again is not chosen");
    assert!(passed(&gateway, 2));
}

#[test]
fn what_checks_cost_is_in_the_ledger_in_their_name() {
    let (well, sick) = (Upstream::start(), Upstream::start());
    sick.choose(|_| Some(Script::fails(500, "out of order")));
    let models =
        [deployment("m", "openai/gpt-4o", &well, ""), deployment("m", "openai/gpt-4o-mini", &sick, "")];
    let gateway = checking(&models, "");
    let entries = gateway.journal_when("two checks have ended", |entries| {
        entries.iter().filter(|entry| entry.ending() != "running").count() == 2
    });
    let told = entries
        .iter()
        .map(|entry| (entry.caller(), entry.group(), entry.model(), entry.ending() == "complete"));
    let mut told: Vec<_> = told.collect();
    told.sort_unstable();
    let want = [("health check", "m", "gpt-4o", true), ("health check", "m", "gpt-4o-mini", false)];
    assert_eq!(told, want);
    let asked: Value = serde_json::from_slice(&well.seen()[0].body).unwrap();
    assert_eq!(asked["max_tokens"].as_u64().or(asked["max_completion_tokens"].as_u64()), Some(1));
    // At a refusal nothing is tried again, and nothing elsewhere.
    assert_eq!((well.count(), sick.count()), (1, 1));
}

#[test]
fn each_kind_of_model_is_asked_its_own_and_some_nothing() {
    let upstream = Upstream::start();
    let with = |info: &str| format!("    model_info: {{{info}}}\n");
    let models = [
        deployment("vectors", "openai/text-embedding-3-small", &upstream, ""),
        deployment("pictures", "openai/gpt-image-1", &upstream, ""),
        deployment("any/*", "openai/*", &upstream, "") + &with("health_check_model: openai/gpt-4o-mini"),
        deployment("left", "openai/gpt-4o", &upstream, "") + &with("disable_background_health_check: true"),
    ];
    let gateway = checking(&models, "");
    assert!(passed(&gateway, 2));
    let mut seen: Vec<(String, Value)> = upstream
        .seen()
        .iter()
        .map(|seen| {
            (seen.path.clone(), serde_json::from_slice::<Value>(&seen.body).unwrap()["model"].clone())
        })
        .collect();
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    let want = [("/v1/chat/completions", "gpt-4o-mini"), ("/v1/embeddings", "text-embedding-3-small")];
    assert_eq!(seen, want.map(|(path, model)| (path.to_owned(), Value::from(model))));
    let told = told(&gateway);
    let of = |name: &str| {
        let all = told["healthy_endpoints"].as_array().unwrap();
        all.iter().find(|one| one["model_name"] == name).unwrap()["health_check"].clone()
    };
    let why = of("pictures");
    assert!(why.as_str().is_some_and(|why| why.starts_with("unknown") && why.contains("image_generation")));
    assert_eq!(of("left"), Value::Null);
}

#[test]
fn replicas_that_share_their_checks_check_once() {
    let (redis, upstream) = (Redis::start(), Upstream::start());
    let models = [deployment("m", "openai/gpt-4o", &upstream, "")];
    let redis = format!("{{host: 127.0.0.1, port: {}}}", redis.port());
    let more = format!(", use_shared_health_check: true, coordination_redis: {redis}");
    let replicas = [(); 2].map(|()| checking(&models, &more));
    assert!(replicas.iter().all(|replica| passed(replica, 1)), "one does not hear of the other's checks");
    let late = checking(&models, &more);
    assert!(passed(&late, 1));
    assert_eq!(upstream.count(), 1);
}
