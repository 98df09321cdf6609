//! Replicas: what all of them see one of them tells, also while the database is away that remembers it.

use std::time::Duration;

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, deployment, poll};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::redis::Redis;
use gatewright_tests::upstream::{Script, Upstream};
use serde_json::json;

use crate::{alerting, ask, key_of, receiver, said, upstream};

/// The database has to be away for ten seconds before it is told.
const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until this gateway has raised an alert of this kind.
fn raised(gateway: &Gateway, kind: &str) {
    let words = format!("kind=\"{kind}\"");
    let found = poll(PATIENCE, || {
        gateway
            .log()
            .lines()
            .any(|line| line.contains("an alert was raised") && line.contains(&words))
            .then_some(())
    });
    assert!(found.is_some(), "{}", gateway.log());
}

#[test]
fn what_two_replicas_see_one_of_them_tells() {
    let (upstream, broken, hook) = (upstream(), Upstream::start(), receiver());
    broken.choose(|_| Some(Script::fails(500, "no")));
    let (mut database, redis) = (Postgres::start(), Redis::start());
    let failing = |name: &str| deployment(name, "openai/gpt-4o", &broken, "num_retries: 0");
    let models =
        [deployment("m", "openai/gpt-4o", &upstream, ""), failing("first"), failing("second")].concat();
    let general = format!(
        "  database_url: \"{}\"\n  alerting: [slack]\n  alerting_args: {{log_to_console: true}}\n  \
         alert_types: [budget_alerts, db_exceptions, llm_exceptions]\n\
         router_settings: {{redis_host: 127.0.0.1, redis_port: {}, disable_cooldowns: true}}\n",
        database.url(),
        redis.port()
    );
    let start = || {
        let address = format!("http://{}/slack", hook.addr());
        alerting(&models, &general).env("SLACK_WEBHOOK_URL", &address).start()
    };
    let replicas = [start(), start()];
    let (key, _) = key_of(&replicas[0], json!({"soft_budget": 0.001}));
    for replica in &replicas {
        // Each sees it crossed for the first time.
        let known = poll(PATIENCE, || (ask(&Client::with_key(replica, &key)) == 200).then_some(()));
        assert!(known.is_some(), "{}", replica.log());
        raised(replica, "budget_alerts");
    }
    database.crash();
    replicas.iter().for_each(|replica| raised(replica, "db_exceptions"));
    // Alerts are told in their order: once these are, the others are, or are not.
    for (replica, model) in replicas.iter().zip(["first", "second"]) {
        assert_eq!(Client::of(replica).chat(model, "hi").status, 500);
        said(&hook, &format!("Calls of {model} fail"));
    }
    for words in ["Soft Budget Crossed", "The database does not answer"] {
        let told =
            hook.seen().iter().filter(|seen| String::from_utf8_lossy(&seen.body).contains(words)).count();
        assert_eq!(told, 1, "{words}");
    }
}
