//! What callers may spend, through the whole gateway: keys and what stands above and beside them.

use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, deployment};
use gatewright_tests::upstream::{Said, Script, Upstream, Used};
use serde_json::{Value, json};

/// An answer of gpt-4o's that used so many tokens: $2.5 and $10 a million.
fn used(input: u64, output: u64) -> Script {
    Script::says(Said { used: Used { input, output, ..Used::default() }, ..Said::words(3) })
}

/// A gateway whose `m` is gpt-4o, and every answer of it 500 tokens: half a cent.
fn start(more: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    upstream.choose(|_| Some(used(10, 500)));
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let gateway = Gateway::start(&format!("{more}model_list:\n{models}"));
    (upstream, gateway)
}

fn with(gateway: &Gateway, key: &str) -> Client {
    Client::new(gateway.addr()).header("authorization", &format!("Bearer {key}"))
}

fn made(admin: &Client, path: &str, body: Value) -> Value {
    let told = admin.post(path, &body);
    assert_eq!(told.status, 200, "{path} {body}: {}", told.text());
    told.json()
}

fn text(told: &Value, name: &str) -> String {
    told[name].as_str().unwrap_or_else(|| panic!("{name} in {told}")).to_owned()
}

/// Asks for as many tokens as the answer will have.
fn ask(client: &Client, more: Value) -> Response {
    let mut body = chat("m", "hi", json!({"max_tokens": 500}));
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post("/v1/chat/completions", &body)
}

#[test]
fn budgets_begin_anew_by_the_zone_and_hour_that_are_configured() {
    let (_upstream, gateway) =
        start("litellm_settings: {timezone: Asia/Tokyo, budget_reset_time: '06:30'}\n");
    let admin = with(&gateway, MASTER_KEY);
    let key = text(&made(&admin, "/key/generate", json!({"max_budget": 1, "budget_duration": "1d"})), "key");
    made(&admin, "/team/new", json!({"team_id": "t", "max_budget": 1, "budget_duration": "30d"}));
    made(&admin, "/user/new", json!({"user_id": "u", "max_budget": 1, "budget_duration": "7d"}));
    for path in [&format!("/key/info?key={key}"), "/team/info?team_id=t", "/user/info?user_id=u"] {
        // 06:30 in Tokyo is 21:30 in UTC.
        let told = admin.get(path).text();
        assert!(told.contains("T21:30:00"), "{path}: {told}");
    }
}

/// The words of a refusal.
fn refused(answer: &Response) -> String {
    let error = &answer.json()["error"];
    assert_eq!((answer.status, &error["type"]), (422, &json!("budget_exceeded")), "{}", answer.text());
    error["message"].as_str().unwrap().to_owned()
}

#[test]
fn every_kind_of_budget_refuses_the_call_that_does_not_fit() {
    let (upstream, gateway) = start("");
    let admin = with(&gateway, MASTER_KEY);
    let small = json!({"max_budget": 0.0051});
    let window = json!([{"budget_duration": "1d", "max_budget": 0.0051}]);
    let past = json!({"max_budget": 0.0051, "temp_budget_increase": 9, "temp_budget_expiry": "2026-01-01T00:00:00Z"});
    made(&admin, "/budget/new", json!({"budget_id": "shared", "max_budget": 0.0051}));
    for (key, words) in [
        (small.clone(), "Budget has been exceeded! Key=key (sk-..."),
        (json!({"max_budget": 1, "budget_limits": window}), "Budget has been exceeded! Key=key (sk-..."),
        (past, "Budget has been exceeded! Key=key (sk-..."),
        (json!({"budget_id": "shared"}), "Budget has been exceeded! Key=key (sk-..."),
        (
            json!({"model_max_budget": {"m": {"budget_limit": 0.0051, "time_period": "1d"}}}),
            "Budget has been exceeded! ",
        ),
    ] {
        let client = with(&gateway, &text(&made(&admin, "/key/generate", key.clone()), "key"));
        assert_eq!(ask(&client, json!({})).status, 200, "{key}");
        let told = refused(&ask(&client, json!({})));
        assert!(told.starts_with(words) && told.ends_with("Max budget: 0.0051"), "{key}: {told}");
    }
    let future = json!({"max_budget": 0.0051, "temp_budget_increase": 9, "temp_budget_expiry": "2099-01-01T00:00:00Z"});
    let client = with(&gateway, &text(&made(&admin, "/key/generate", future), "key"));
    assert_eq!([ask(&client, json!({})).status, ask(&client, json!({})).status], [200, 200]);
    assert_eq!(upstream.seen().len(), 7);
}
