//! `/health/services`.

use serde_json::json;

use crate::world::{MASTER, World};

#[tokio::test]
async fn a_channel_is_tested_a_sink_is_looked_at_and_who_is_neither_is_refused() {
    let world = World::new().await;
    for (service, status, words) in [
        ("slack", 200, "a test was sent to slack"),
        ("slack_budget_alerts", 200, "a test was sent to slack"),
        ("webhook", 503, "webhook cannot be told: the variable WEBHOOK_URL is not set"),
        ("langfuse", 200, "langfuse takes records"),
        ("lunary", 503, "lunary cannot be told: it does not take records now"),
        ("e%22mail", 422, "'\\\"email\\\" not in proxy config: general_settings. Unable to test this.'"),
    ] {
        let (told, body) =
            world.ask(MASTER, "GET", &format!("/health/services?service={service}"), json!({})).await;
        assert_eq!(told, status, "{service}: {body}");
        assert!(body.to_string().contains(words), "{words} is missing in {body}");
    }
    let (told, body) = world.ask(MASTER, "GET", "/health/services", json!({})).await;
    assert_eq!((told, &body["detail"][0]["loc"]), (422, &json!(["query", "service"])));
}
