//! Several gateways on one database: what is changed at one is obeyed by all.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use gatewright_tests::books::Database;
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

#[test]
fn a_key_that_is_due_is_replaced_by_one_replica_and_lies_in_the_folder() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let database = Database::Postgres(Postgres::start());
    let config = format!(
        "{}{}",
        model("fast", "openai/gpt-4o-mini", &upstream),
        database.settings(&format!("rotated_keys_dir: \"{}\"", folder.path().display()))
    );
    let start =
        || Setup::new(config.as_str()).env("LITELLM_KEY_ROTATION_CHECK_INTERVAL_SECONDS", "1").start();
    let (one, other) = (start(), start());
    let admin = Client::of(&one);
    let wish = json!({
        "key_alias": "ci", "models": ["fast"], "max_budget": 5, "auto_rotate": true, "rotation_interval": "1s",
    });
    let made = admin.made("/key/generate", wish);
    let (first, hash) = (made["key"].as_str().unwrap(), made["token"].as_str().unwrap());
    let path = folder.path().join(format!("{hash}.key"));
    // Until somebody turns it off, a second at a time; what an old key is told has no effect.
    let key = poll(PATIENCE, || {
        let key = fs::read_to_string(&path).ok()?;
        let told = admin.get(&format!("/key/info?key={key}")).json()["info"].clone();
        if told["rotation_count"].as_u64()? < 3 {
            return None;
        }
        admin.made("/key/update", json!({"key": key, "auto_rotate": false}));
        let told = admin.get(&format!("/key/info?key={key}")).json()["info"].clone();
        (told["key_alias"] == "ci").then_some(key)
    });
    let key = key.unwrap_or_else(|| panic!("no new key came: {}", one.log()));
    let info = admin.get(&format!("/key/info?key={key}")).json()["info"].clone();
    assert_eq!((&info["models"], &info["max_budget"]), (&json!(["fast"]), &json!(5.0)), "{info}");
    assert!(info["last_rotation_at"].is_string() && info["key_rotation_at"].is_null(), "{info}");
    let count = info["rotation_count"].as_u64().unwrap().to_string();
    let sql = "SELECT COUNT(*) FROM audit WHERE actor = 'key rotation' AND action = ";
    for action in ["'created'", "'updated'"] {
        assert_eq!(database.rows(one.dir(), &format!("{sql}{action}"))[0][0], count, "{action} once each");
    }
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files, std::slice::from_ref(&path), "the first key's hash names all that come after it");
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    for gateway in [&one, &other] {
        until(gateway, &key, 200);
        until(gateway, first, 200);
        assert!(!gateway.log().contains(&key), "no key is logged");
    }
}
