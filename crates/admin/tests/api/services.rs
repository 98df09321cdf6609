//! `/health/services`, and where the records of a team's calls go.

use serde_json::{Value, json};

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

#[tokio::test]
async fn a_team_has_callbacks_of_its_own_whose_credentials_are_not_shown() {
    let world = World::new().await;
    world.told("POST", "/team/new", json!({"team_id": "t", "metadata": {"floor": 2}})).await;
    let path = "/team/t/callback";
    let langfuse = |kind: &str, secret: &str| {
        json!({"callback_name": "langfuse", "callback_type": kind,
            "callback_vars": {"langfuse_secret_key": secret, "langfuse_host": "https://lf.example.com"}})
    };
    world.told("POST", path, langfuse("success", "sk-old")).await;
    let told = world.told("POST", path, langfuse("success", "sk-new")).await;
    assert_eq!(told["data"]["metadata"]["floor"], 2);
    world.told("POST", path, langfuse("failure", "sk-other")).await;
    let wanted = json!({
        "team_id": "t", "success_callbacks": ["langfuse"], "failure_callbacks": ["langfuse"],
        "callback_vars": {"langfuse_secret_key": "********", "langfuse_host": "https://lf.example.com"},
    });
    let told = world.told("GET", path, Value::Null).await;
    assert_eq!((&told["status"], &told["data"]), (&json!("success"), &wanted));
    let team = world.store.objects(gatewright_store::Kind::Team).find("t").await.unwrap().unwrap();
    let logging = &team.draft.fields["metadata"]["logging"];
    assert_eq!(logging.as_array().unwrap().len(), 2, "the same again stands in its place");
    assert_eq!(logging[0]["callback_vars"]["langfuse_secret_key"], "sk-new");
    for (kind, kept) in [("failure", "sk-other"), ("success", "sk-new")] {
        world.told("POST", path, langfuse(kind, "********")).await;
        let team = world.store.objects(gatewright_store::Kind::Team).find("t").await.unwrap().unwrap();
        let last = &team.draft.fields["metadata"]["logging"][1];
        assert_eq!(
            (&last["callback_type"], &last["callback_vars"]["langfuse_secret_key"]),
            (&json!(kind), &json!(kept))
        );
    }
    for (body, status, words) in [
        (json!({"callback_name": "langfuse"}), 422, "callback_vars"),
        (
            json!({"callback_name": "langfuse", "callback_vars": {"langfuse_secret_key": 7}}),
            422,
            "valid string",
        ),
        (langfuse("always", "sk-lf"), 422, "success_and_failure"),
        (json!({"callback_name": "nobody", "callback_vars": {}}), 400, "'nobody' cannot be"),
        (json!({"callback_name": "langfuse", "callback_vars": {}}), 400, "all that it needs"),
    ] {
        let (told, answer) = world.ask(MASTER, "POST", path, body.clone()).await;
        assert_eq!(told, status, "{body}: {answer}");
        assert!(answer.to_string().contains(words), "{words} is missing in {answer}");
    }
    let (status, _) = world.ask(MASTER, "POST", "/team/nobody/callback", langfuse("success", "sk-lf")).await;
    assert_eq!(status, 404);
    let told = world.told("POST", "/team/t/disable_logging", json!({})).await;
    assert_eq!(told["data"]["success_callbacks"], json!([]));
    let told = world.told("GET", path, Value::Null).await;
    assert_eq!(told["data"]["failure_callbacks"], json!([]));
}
