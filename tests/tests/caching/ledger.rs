//! What the cache answers is in the ledger: an entry each, on its caller's account, and no money.

use std::collections::BTreeSet;
use std::time::Duration;

use gatewright_tests::books::{Booked, Books, Database};
use gatewright_tests::client::{Client, Response, chat, message};
use gatewright_tests::gateway::{Gateway, Setup, poll};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::upstream::{Gate, Pause, Script, Upstream};
use serde_json::{Value, json};

use crate::{LOCAL, is_hit, start};

const DATES: &str = "start_date=2020-01-01&end_date=2099-12-31";

/// The ledger, once it has so many entries.
fn books(database: &Database, gateway: &Gateway, entries: usize) -> Books {
    let found = poll(Duration::from_secs(60), || {
        let books = database.books(gateway);
        (books.entries.len() >= entries).then_some(books)
    });
    let books = found.expect("all entries in the database");
    assert_eq!(books.entries.len(), entries);
    books.check();
    books
}

fn key(admin: &Client, gateway: &Gateway) -> (Client, String) {
    admin.made("/team/new", json!({"team_id": "red"}));
    let made = admin.made("/key/generate", json!({"team_id": "red", "key_alias": "ci", "max_budget": 1}));
    (Client::with_key(gateway, made["key"].as_str().unwrap()), made["token"].as_str().unwrap().to_owned())
}

fn embed(client: &Client, texts: &[&str]) -> Response {
    client.post("/v1/embeddings", &json!({"model": "small", "input": texts}))
}

/// The rows of `/spend/logs/v2`, the first one first.
fn logs(client: &Client, more: &str) -> Vec<Value> {
    let told = client.get(&format!("/spend/logs/v2?{DATES}&page_size=100{more}")).json();
    let mut rows = told["data"].as_array().unwrap_or_else(|| panic!("{told}")).clone();
    assert_eq!(told["total"], rows.len(), "{told}");
    rows.reverse();
    rows
}

#[test]
fn every_hit_has_a_line_and_costs_nobody_anything() {
    for database in [Database::Sqlite, Database::Postgres(Postgres::start())] {
        let upstream = Upstream::start();
        let config = crate::config(&upstream, LOCAL).replace(gatewright_tests::gateway::MASTER, "");
        let mut gateway = Setup::new(config + &database.settings("")).start();
        let admin = Client::of(&gateway);
        let (client, hash) = key(&admin, &gateway);
        let client = client.header("x-litellm-end-user-id", "ann").header("x-litellm-tags", "nightly");
        let stream = json!({"stream": true, "stream_options": {"include_usage": true}});
        let asks = [
            ("/v1/chat/completions", chat("fast", "hi", json!({}))),
            ("/v1/chat/completions", chat("fast", "hi", stream)),
            ("/v1/messages", message("claude", "hi", json!({}))),
        ];
        let mut keys = Vec::new();
        for (path, body) in &asks {
            for hit in [false, true] {
                let answer = client.post(path, body);
                assert_eq!(is_hit(&answer), hit, "{path}");
                keys.extend(hit.then(|| answer.header("x-litellm-cache-key").to_owned()));
            }
        }
        let asked = upstream.count();
        let books = books(&database, &gateway, 6);
        let (hits, attempts): (Vec<&Booked>, Vec<&Booked>) = books.entries.iter().partition(|e| e.cost == 0);
        assert_eq!((hits.len(), attempts.len(), asked), (3, 3, 3), "nobody was asked for a hit");
        for (hit, attempt) in hits.iter().zip(&attempts) {
            assert_eq!((&hit.names, hit.ending, hit.exact), (&attempt.names, 0, true));
            assert_eq!((hit.input, hit.output, hit.bound), (attempt.input, attempt.output, 0));
            assert_eq!(hit.deployment, attempt.deployment);
        }
        let spent = books.cost().0;
        assert_eq!(
            books.balances[&("api_key".to_owned(), hash.clone())],
            spent,
            "budgets are not raised by hits"
        );
        check_told(&admin, &hash, &keys);
        // A killed gateway has it all the same, and once.
        is_hit(&client.post(asks[0].0, &asks[0].1));
        gateway.kill();
        gateway.restart();
        self::books(&database, &gateway, 7);
        assert_eq!(upstream.count(), asked);
    }
}

/// What administrators and LiteLLM's pages read of three calls and their hits.
fn check_told(admin: &Client, hash: &str, keys: &[String]) {
    let (hits, misses) = (logs(admin, "&cache_hit_filter=hit"), logs(admin, "&cache_hit_filter=miss"));
    assert_eq!((hits.len(), misses.len(), logs(admin, "").len()), (3, 3, 6));
    for ((hit, miss), key) in hits.iter().zip(&misses).zip(keys) {
        assert_eq!((&hit["cache_hit"], &hit["cache_key"]), (&json!("True"), &json!(key)), "{hit}");
        assert_eq!((&hit["spend"], &hit["status"]), (&json!(0.0), &json!("success")), "{hit}");
        assert_eq!(hit["metadata"]["saved_cache_cost"], miss["spend"], "{hit} {miss}");
        for same in [
            "api_key",
            "model",
            "model_group",
            "model_id",
            "team_id",
            "end_user",
            "request_tags",
            "total_tokens",
        ] {
            assert_eq!(hit[same], miss[same], "{same}");
        }
        assert_ne!(hit["litellm_call_id"], miss["litellm_call_id"]);
        assert_eq!((&hit["api_key"], &miss["cache_hit"]), (&json!(hash), &json!("None")));
    }
    let told = admin.get(&format!("/global/activity?{DATES}")).json();
    assert_eq!(told["sum_api_requests"], 6, "{told}");
    let told = admin.get(&format!("/user/daily/activity?{DATES}")).json();
    assert_eq!(told["metadata"]["total_successful_requests"], 6, "{told}");
    let told = admin.get(&format!("/global/activity/cache_hits?{DATES}")).json();
    let rows = told.as_array().unwrap();
    let sum = |name: &str| rows.iter().map(|row| row[name].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sum("total_rows"), sum("cache_hit_true_rows"), rows.len()), (6, 3, 2), "{told}");
    assert!(sum("cached_completion_tokens") > 0, "{told}");
    assert_eq!(sum("cached_completion_tokens"), sum("generated_completion_tokens"), "{told}");
    assert!(rows.iter().all(|row| row["api_key"] == "ci"), "{told}");
}

#[test]
fn whoever_shares_anothers_failure_has_a_line_and_a_record_all_the_same() {
    const CALLS: usize = 4;
    let (upstream, webhook) = (Upstream::start(), Upstream::start());
    webhook.choose(|_| Some(Script::replay(200, &[], "{}")));
    let gate = Gate::default();
    let refusal = Script { before_head: Pause::Gate(gate.clone()), ..Script::fails(400, "no") };
    upstream.choose(move |_| Some(refusal.clone()));
    let sinks = format!(
        "callback_settings: {{mine: {{callback_type: generic_api, endpoint: '{}/logs', flush_interval: 0.05}}}}\n",
        webhook.base()
    );
    let (database, config) = (Database::Sqlite, crate::config(&upstream, LOCAL));
    let config = config
        .replace("cache: true", "callbacks: [prometheus, mine], cache: true")
        .replace(gatewright_tests::gateway::MASTER, &sinks)
        + &database.settings("");
    let gateway = Setup::new(config).start();
    let admin = Client::of(&gateway);
    let (client, hash) = key(&admin, &gateway);
    std::thread::scope(|scope| {
        let ask = || client.chat("fast", "hi");
        let asked: Vec<_> = (0..CALLS).map(|_| scope.spawn(ask)).collect();
        // Those that come to the cache before the gate opens wait there; what holds below holds of the others too.
        let inside = || figure(&admin, "gatewright_door_calls_inside") == CALLS as f64;
        poll(Duration::from_secs(20), || inside().then_some(())).expect("all inside");
        gate.open();
        for answer in asked {
            let answer = answer.join().unwrap();
            assert_eq!(answer.status, 400, "{}", answer.text());
        }
    });
    let books = books(&database, &gateway, CALLS);
    assert!(
        books.entries.iter().all(|entry| entry.ending == 1 && entry.cost == 0),
        "all failed, for nothing"
    );
    let own = upstream.count();
    let rows = logs(&admin, "");
    for row in &rows {
        assert_eq!(
            (&row["status"], &row["spend"], &row["api_key"]),
            (&json!("failure"), &json!(0.0), &json!(hash))
        );
        assert_ne!(row["cache_hit"], "True", "{row}");
        assert_eq!(row["metadata"]["error_information"]["error_code"], "400", "{row}");
    }
    assert_eq!(
        (logs(&admin, "&cache_hit_filter=hit").len(), logs(&admin, "&cache_hit_filter=miss").len()),
        (0, CALLS)
    );
    let calls: BTreeSet<&str> = rows.iter().filter_map(|row| row["litellm_call_id"].as_str()).collect();
    let (shared, records) = (rows.iter().filter(|row| row["cache_hit"] == "False").count(), || {
        let batches =
            webhook.seen().into_iter().map(|seen| seen.json().as_array().cloned().unwrap_or_default());
        Some(batches.flatten().collect::<Vec<_>>()).filter(|records| records.len() == CALLS)
    });
    assert_eq!(
        (calls.len(), shared),
        (CALLS, CALLS - own),
        "one line a call, and no attempt of those that shared one"
    );
    let records = poll(Duration::from_secs(20), records).expect("a record of every call");
    assert!(records.iter().all(|record| calls.contains(record["litellm_call_id"].as_str().unwrap())));
    assert!(records.iter().all(|record| record["status"] == "failure" && record["response_cost"] == 0.0));
    assert_eq!(figure(&admin, "litellm_proxy_failed_requests_metric_total"), CALLS as f64);
}

/// The sum of a metric over all its labels.
fn figure(admin: &Client, name: &str) -> f64 {
    let text = admin.get("/metrics").text();
    let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[test]
fn of_a_list_that_is_kept_in_part_the_attempt_says_so() {
    let (_upstream, gateway) = start(LOCAL);
    let admin = Client::of(&gateway);
    assert!(!is_hit(&embed(&admin, &["one", "two"])));
    assert!(!is_hit(&embed(&admin, &["one", "three"])));
    assert!(is_hit(&embed(&admin, &["three", "two"])));
    books(&Database::Sqlite, &gateway, 3);
    let rows = logs(&admin, "");
    let of = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("cache_hit"), ["None", "False", "True"]);
    let meta = |name: &str| rows.iter().map(|row| row["metadata"][name].clone()).collect::<Vec<_>>();
    assert_eq!(meta("cache_partial_hit"), [false, true, false]);
    let saved = meta("saved_cache_cost");
    assert!(saved[0].is_null() && saved[1].as_f64() > Some(0.0) && saved[2].as_f64() > saved[1].as_f64());
    assert!(rows[1]["spend"].as_f64() > Some(0.0) && rows[2]["spend"] == 0.0, "{rows:?}");
    assert_ne!(rows[1]["cache_key"], "Cache OFF");
}
