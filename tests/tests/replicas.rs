//! Several gateways on one database: what is changed at one is obeyed by all.
#![cfg(test)]

use std::time::Duration;

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, model, poll};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::upstream::Upstream;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(20);

fn replica(upstream: &Upstream, server: &Postgres) -> Gateway {
    let config = format!(
        "{}general_settings: {{master_key: {MASTER_KEY}, database_url: \"{}\"}}\n",
        model("fast", "openai/gpt-4o-mini", upstream),
        server.url()
    );
    Setup::new(config).start()
}

/// Waits until a key is answered so at this gateway, which has to be long before what it remembers grows old.
fn until(gateway: &Gateway, key: &str, status: u16) {
    let client = Client::with_key(gateway, key);
    let mut last = 0;
    let found = poll(PATIENCE, || {
        last = client.chat("fast", "hi").status;
        (last == status).then_some(())
    });
    assert!(found.is_some(), "still {last}, not {status}");
}

#[test]
fn what_is_changed_at_one_replica_is_obeyed_by_the_other() {
    let (upstream, server) = (Upstream::start(), Postgres::start());
    let (one, other) = (replica(&upstream, &server), replica(&upstream, &server));
    let team = Client::of(&one).made("/team/new", json!({"team_alias": "eng"}));
    let team = team["team_id"].as_str().unwrap();
    let key = "sk-a-key-of-the-clients-own";
    until(&other, key, 401);
    Client::of(&one).made("/key/generate", json!({"key": key, "team_id": team}));
    until(&other, key, 200);
    for (path, body, status) in [
        ("/key/block", json!({"key": key}), 401),
        ("/key/unblock", json!({"key": key}), 200),
        ("/team/block", json!({"team_id": team}), 401),
        ("/team/unblock", json!({"team_id": team}), 200),
        ("/team/update", json!({"team_id": team, "models": ["other"]}), 403),
        ("/key/delete", json!({"keys": [key]}), 401),
    ] {
        Client::of(&one).made(path, body);
        assert_eq!(
            Client::with_key(&one, key).chat("fast", "hi").status,
            status,
            "{path}: at once where it was asked"
        );
        until(&other, key, status);
    }
}

#[test]
fn what_counts_as_spent_is_set_at_one_replica_and_counts_at_the_other() {
    let (upstream, server) = (Upstream::start(), Postgres::start());
    let (one, other) = (replica(&upstream, &server), replica(&upstream, &server));
    let key = "sk-a-key-of-the-clients-own";
    Client::of(&one).made("/key/generate", json!({"key": key, "max_budget": 100}));
    until(&other, key, 200);
    for (spend, status) in [(200, 422), (0, 200), (100, 422), (1, 200)] {
        Client::of(&one).made("/key/update", json!({"key": key, "spend": spend}));
        until(&one, key, status);
        until(&other, key, status);
    }
}
