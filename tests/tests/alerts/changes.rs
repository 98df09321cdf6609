//! What administrators change.

use gatewright_tests::client::Client;
use gatewright_tests::gateway::deployment;
use gatewright_tests::upstream::Seen;
use serde_json::json;

use crate::{alerting, key_of, receiver, said, slack, told, upstream};

#[test]
fn what_administrators_change_is_told_where_somebody_wants_to_know() {
    let (upstream, hook) = (upstream(), receiver());
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let at = |path: &str| format!("http://{}/{path}", hook.addr());
    let general = format!(
        "  alerting: [slack, webhook]\n  alert_types: [new_virtual_key_created, virtual_key_deleted, new_team_created]\n  \
         alert_to_webhook_url:\n    new_virtual_key_created: {0}/keys\n    virtual_key_deleted: {0}/keys\n",
        at("chat")
    );
    let gateway = alerting(&models, &general)
        .env("SLACK_WEBHOOK_URL", &at("slack"))
        .env("WEBHOOK_URL", &at("hook"))
        .start();
    let admin = Client::of(&gateway);
    // Answered once changes are followed: what was there before that is no news.
    admin.made("/budget/new", json!({"budget_id": "b"}));
    admin.made("/team/new", json!({"team_id": "t"}));
    let (key, token) = key_of(&gateway, json!({"key_alias": "new one", "team_id": "t", "max_budget": 5}));
    let made = said(&hook, "A key was made");
    assert!(made.contains(&format!("Id: `{token}`\nName: `new one`\nTeam: `t`")), "{made}");
    admin.made("/key/delete", json!({"keys": [key]}));
    said(&hook, "A key was deleted");
    said(&hook, "A team was made");
    let seen = told(&hook, 4);
    let paths = |words: &str| -> Vec<&str> {
        let has = |seen: &&Seen| String::from_utf8_lossy(&seen.body).contains(words);
        seen.iter().filter(has).map(|seen| &*seen.path).collect()
    };
    assert_eq!((paths("A key was made"), paths("A team was made")), (vec!["/chat/keys"], vec!["/slack"]));
    let event = seen.iter().find(|seen| seen.path == "/hook").expect("an event").json();
    assert_eq!((&event["event"], &event["event_group"]), (&json!("key_created"), &json!("key")));
    assert_eq!((&event["token"], &event["key_alias"]), (&json!(token), &json!("new one")));
    assert!(
        seen.iter().all(|seen| !String::from_utf8_lossy(&seen.body).contains(&key)),
        "no key leaves the house"
    );
}

#[test]
fn whatever_becomes_of_keys_teams_users_and_models_is_told() {
    let (upstream, hook) = (upstream(), receiver());
    let kinds = [
        "new_virtual_key_created",
        "virtual_key_updated",
        "virtual_key_deleted",
        "new_team_created",
        "team_updated",
        "team_deleted",
        "new_internal_user_created",
        "internal_user_updated",
        "internal_user_deleted",
        "new_model_added",
    ];
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let general = format!("  store_model_in_db: true\n  alert_types: [{}]\n", kinds.join(", "));
    let gateway = slack(&models, &hook, &general);
    let admin = Client::of(&gateway);
    // Answered once changes are followed: what was there before that is no news.
    admin.made("/budget/new", json!({"budget_id": "b"}));
    admin.made("/team/new", json!({"team_id": "t", "team_alias": "Team T"}));
    admin.made("/team/update", json!({"team_id": "t", "tpm_limit": 5}));
    admin.made("/user/new", json!({"user_id": "u", "user_email": "u@example.com", "auto_create_key": false}));
    admin.made("/user/update", json!({"user_id": "u", "max_budget": 1}));
    let (key, _) = key_of(&gateway, json!({"key_alias": "k", "team_id": "t", "user_id": "u"}));
    admin.made("/key/update", json!({"key": key, "tpm_limit": 5}));
    let params =
        json!({"model": "openai/gpt-4o", "api_base": upstream.base(), "api_key": "sk-of-the-provider"});
    admin.made("/model/new", json!({"model_name": "added", "litellm_params": params}));
    admin.made("/key/delete", json!({"keys": [key]}));
    admin.made("/user/delete", json!({"user_ids": ["u"]}));
    admin.made("/team/delete", json!({"team_ids": ["t"]}));
    for (title, named) in [
        ("A team was made", "Name: `Team T`"),
        ("A team was changed", "Id: `t`"),
        ("A team was deleted", "Id: `t`"),
        ("A user was made", "Id: `u`"),
        ("A user was changed", "Id: `u`"),
        ("A user was deleted", "Id: `u`"),
        ("A key was made", "Name: `k`"),
        ("A key was changed", "Name: `k`"),
        ("A key was deleted", "Name: `k`"),
        ("A model was added", "Name: `added`"),
    ] {
        let told = said(&hook, title);
        assert!(told.contains(named), "{named} is missing in {told}");
    }
    let secrets = |seen: &Seen| {
        let text = String::from_utf8_lossy(&seen.body).into_owned();
        text.contains(&key) || text.contains("sk-of-the-provider")
    };
    assert!(!told(&hook, 10).iter().any(secrets), "no key leaves the house");
}
