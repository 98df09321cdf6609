//! Budgets: crossed, nearly, or by the look of it before their time is over.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{deployment, poll};
use gatewright_tests::upstream::Seen;
use serde_json::{Value, json};

use crate::{alerting, ask, key_of, receiver, told, upstream};

#[test]
fn a_soft_budget_that_is_crossed_is_told_in_litellms_event() {
    let (upstream, hook) = (upstream(), receiver());
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let address = format!("http://{}/hook/secret", hook.addr());
    let gateway = alerting(&models, "  alerting: [webhook]\n").env("WEBHOOK_URL", &address).start();
    let admin = Client::of(&gateway);
    admin.made("/team/new", json!({"team_id": "t", "team_alias": "Team T"}));
    let user = json!({"user_id": "u", "user_email": "u@example.com", "auto_create_key": false});
    admin.made("/user/new", user);
    let body = json!({"team_id": "t", "user_id": "u", "key_alias": "the key", "soft_budget": 0.006});
    let (key, token) = key_of(&gateway, body);
    let client = Client::with_key(&gateway, &key);
    assert_eq!([ask(&client), ask(&client), ask(&client)], [200; 3]);
    let seen = told(&hook, 1);
    assert_eq!((&*seen[0].method, &*seen[0].path), ("POST", "/hook/secret"));
    assert_eq!(seen[0].header("content-type"), "application/json");
    assert_eq!(
        seen[0].json(),
        json!({
            "spend": 0.007, "max_budget": null, "soft_budget": 0.006, "token": token, "customer_id": null,
            "user_id": "u", "team_id": "t", "team_alias": "Team T", "user_email": "u@example.com",
            "key_alias": "the key", "projected_exceeded_date": null, "projected_spend": null,
            "event": "soft_budget_crossed", "event_group": "key", "event_message": "Key Budget: Soft Budget Crossed",
        })
    );
    assert!(!gateway.log().contains("hook/secret"), "an address is a secret");
    let metrics = poll(Duration::from_secs(20), || {
        let metrics = admin.get("/metrics").text();
        metrics.contains("gatewright_alerts_sent_total{channel=\"webhook\"} 1").then_some(())
    });
    assert!(metrics.is_some(), "{}", admin.get("/metrics").text());
    assert_eq!(hook.count(), 1, "it was crossed once");
}

#[test]
fn a_budget_is_told_as_it_is_used_up() {
    let (upstream, hook) = (upstream(), receiver());
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let address = format!("http://{}/hook", hook.addr());
    let gateway = alerting(&models, "  alerting: [webhook]\n").env("WEBHOOK_URL", &address).start();
    let (key, _) = key_of(&gateway, json!({"max_budget": 0.04}));
    let client = Client::with_key(&gateway, &key);
    assert_eq!((0..11).map(|_| ask(&client)).collect::<Vec<_>>(), [200; 11]);
    let events: Vec<Value> = told(&hook, 2).iter().map(Seen::json).collect();
    let told =
        |event: &Value| json!([event["event"], event["event_message"], event["spend"], event["max_budget"]]);
    assert_eq!(
        events.iter().map(told).collect::<Vec<_>>(),
        [
            json!(["threshold_crossed", "Key Budget: 15% Threshold Crossed", 0.035, 0.04]),
            json!(["threshold_crossed", "Key Budget: 5% Threshold Crossed", 0.0385, 0.04]),
        ]
    );
}

#[test]
fn a_budget_that_will_not_last_is_foretold() {
    let (upstream, hook) = (upstream(), receiver());
    let address = format!("http://{}/hook", hook.addr());
    // The day begins so that half of it is over and not yet two thirds.
    let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3_600 % 24;
    let begins = (hour + 12) % 24;
    let general =
        format!("  alerting: [webhook]\nlitellm_settings: {{budget_reset_time: '{begins:02}:00'}}\n");
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let gateway = alerting(&models, &general).env("WEBHOOK_URL", &address).start();
    let (key, token) = key_of(&gateway, json!({"max_budget": 0.006, "budget_duration": "1d"}));
    assert_eq!(ask(&Client::with_key(&gateway, &key)), 200);
    let event = told(&hook, 1)[0].json();
    assert_eq!(
        json!([event["event"], event["event_group"], event["token"], event["spend"], event["max_budget"]]),
        json!(["projected_limit_exceeded", "key", token, 0.0035, 0.006])
    );
    let projected = event["projected_spend"].as_f64().unwrap();
    assert!((0.0064..=0.0071).contains(&projected), "{event}");
    assert_eq!(event["projected_exceeded_date"].as_str().unwrap().len(), "2026-11-30".len(), "{event}");
}
