//! How channels are set up: those whose variable is missing, and a test of each.

use gatewright_tests::client::Client;
use gatewright_tests::gateway::deployment;
use gatewright_tests::upstream::{Script, Upstream};
use serde_json::json;

use crate::{alerting, key_of, poll_metrics, receiver, told};

#[test]
fn a_channel_that_is_not_set_up_stops_no_start_and_says_so() {
    let (upstream, hook) = (Upstream::start(), receiver());
    upstream.choose(|_| Some(Script::fails(500, "no")));
    let models = deployment("m", "openai/gpt-4o", &upstream, "num_retries: 0");
    let general = "  alerting: [slack, webhook]\n  alert_types: [llm_exceptions]\n";
    let address = format!("http://{}/hook", hook.addr());
    let gateway = alerting(&models, general).env("WEBHOOK_URL", &address).start();
    let words = "`slack` tells nobody: set the variable SLACK_WEBHOOK_URL";
    assert_eq!(gateway.log().matches(words).count(), 1, "{}", gateway.log());
    let admin = Client::of(&gateway);
    assert_eq!(admin.chat("m", "hi").status, 500);
    poll_metrics(&gateway, "gatewright_alerts_failed_total{channel=\"slack\"} 1");
    let test = |service: &str| {
        let told = admin.get(&format!("/health/services?service={service}"));
        (told.status, told.json())
    };
    let (status, told_so) = test("slack");
    assert_eq!(status, 503, "{told_so}");
    assert!(told_so.to_string().contains("the variable SLACK_WEBHOOK_URL is not set"), "{told_so}");
    assert_eq!(test("webhook").0, 200);
    let event = told(&hook, 1)[0].json();
    assert_eq!(json!([event["event"], event["spend"]]), json!(["spend_tracked", 0.0]));
    let (status, unknown) = test("email");
    assert_eq!((status, &unknown["error"]["code"]), (422, &json!("422")), "{unknown}");
    let (key, _) = key_of(&gateway, json!({}));
    assert_eq!(Client::with_key(&gateway, &key).get("/health/services?service=webhook").status, 401);
}
