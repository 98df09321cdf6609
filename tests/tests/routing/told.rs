//! A client that asks is told how its call was routed.

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::{Script, Upstream};
use serde_json::{Value, json};

#[test]
fn the_way_of_a_call_is_told_to_a_client_that_asks() {
    let (first, second) = (Upstream::start(), Upstream::start());
    first.choose(|_| Some(Script::fails(429, "slow down")));
    let models = [
        deployment("m", "openai/a", &first, "order: 1"),
        "    model_info: {id: one}\n".to_owned(),
        deployment("m", "openai/b", &first, "order: 3"),
        "    model_info: {id: small, max_input_tokens: 1}\n".to_owned(),
        deployment("f", "openai/c", &second, ""),
        "    model_info: {id: two}\n".to_owned(),
    ];
    let gateway = Gateway::start(&format!(
        "router_settings: {{num_retries: 0, fallbacks: [{{m: [f]}}], enable_pre_call_checks: true}}\nmodel_list:\n{}",
        models.concat()
    ));
    let answer = Client::of(&gateway).header("x-gatewright-route", "true").chat("m", "hi");
    assert_eq!(answer.status, 200);
    let told: Value = serde_json::from_str(answer.header("x-gatewright-route")).unwrap();
    assert_eq!(
        told,
        json!([
            {"group": "m", "deployments": 2},
            {"left_out": "small", "why": "context window"},
            {"attempt": "one"},
            {"failed": "rate_limited", "status": 429},
            {"group": "f", "deployments": 1},
            {"attempt": "two"},
            {"answered": true},
        ])
    );
    let unasked = Client::of(&gateway).chat("m", "hi");
    assert_eq!(unasked.header("x-gatewright-route"), "");
}

#[test]
fn a_failure_tells_its_way_too() {
    let upstream = Upstream::start();
    upstream.choose(|_| Some(Script::fails(400, "no")));
    let gateway = Gateway::start(&format!("model_list:\n{}", deployment("m", "openai/a", &upstream, "")));
    let answer = Client::of(&gateway).header("x-gatewright-route", "1").chat("m", "hi");
    assert_eq!(answer.status, 400);
    let told: Value = serde_json::from_str(answer.header("x-gatewright-route")).unwrap();
    assert_eq!(told[2], json!({"failed": "invalid_request", "status": 400}));
}
