//! The database goes away: at the start, and under load. Known keys go on, and nothing is lost.
#![cfg(test)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, model, poll};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

/// How long everything may take until it is as if nothing had been.
const RECOVERY: Duration = Duration::from_secs(30);

/// Seconds without a database; `GATEWRIGHT_OUTAGE_SECONDS` for a longer look.
const OUTAGE: u64 = 7;

fn start(upstream: &Upstream, server: &Postgres, more: &str) -> Gateway {
    let config = format!(
        "{}general_settings: {{master_key: {MASTER_KEY}, database_url: \"{}\"{more}}}\n",
        model("fast", "openai/gpt-4o-mini", upstream),
        server.url()
    );
    Setup::new(config).start()
}

fn ready(gateway: &Gateway) -> Value {
    Client::new(gateway.addr()).get("/health/readiness").json()
}

fn until(what: &str, mut check: impl FnMut() -> bool) {
    assert!(poll(RECOVERY, || check().then_some(())).is_some(), "waited in vain: {what}");
}

fn count(server: &Postgres, sql: &str) -> u64 {
    server.sql(sql).unwrap().parse().unwrap()
}

#[test]
fn a_gateway_that_starts_without_its_database_knows_the_keys_that_it_knew() {
    let (upstream, mut server) = (Upstream::start(), Postgres::start());
    let mut gateway = start(&upstream, &server, "");
    let (key, narrow, blocked) = ("sk-known-key-of-a-client", "sk-known-but-narrow", "sk-known-and-blocked");
    Client::of(&gateway).made("/key/generate", json!({"key": key, "key_alias": "alias-of-the-key"}));
    Client::of(&gateway).made("/key/generate", json!({"key": narrow, "models": ["other"]}));
    Client::of(&gateway).made("/key/generate", json!({"key": blocked}));
    for (key, status) in [(key, 200), (narrow, 403), (blocked, 200)] {
        assert_eq!(Client::with_key(&gateway, key).chat("fast", "hi").status, status);
    }
    let file = gateway.dir().join("gatewright-data/keys.sealed");
    until("the file to be written while the gateway runs", || file.is_file());
    Client::of(&gateway).made("/key/block", json!({"key": blocked}));
    assert_eq!(Client::with_key(&gateway, blocked).chat("fast", "hi").status, 401);
    gateway.terminate();
    gateway.wait_for_exit();
    let sealed = std::fs::read(&file).unwrap();
    for text in [key, "alias-of-the-key", "models", "key_name"] {
        assert!(!sealed.windows(text.len()).any(|window| window == text.as_bytes()), "{text} is in clear");
    }

    server.crash();
    gateway.restart();
    for (key, status) in [(key, 200), (narrow, 403), (blocked, 401), ("sk-nobody-knows-it", 503)] {
        let answer = Client::with_key(&gateway, key).chat("fast", "hi");
        assert_eq!(answer.status, status, "{key}: {}", answer.text());
    }
    let admin = Client::of(&gateway);
    assert_eq!(admin.post("/key/generate", &json!({})).status, 503);
    assert_eq!(admin.chat("fast", "hi").status, 200);
    let told = ready(&gateway);
    assert_eq!((&told["db"], &told["keys"]), (&json!("Not connected"), &json!("sealed file")), "{told}");

    server.resume();
    until("the database to be found", || ready(&gateway)["keys"] == "database");
    until("an unknown key to be a wrong one", || {
        Client::with_key(&gateway, "sk-nobody-knows-it").chat("fast", "hi").status == 401
    });
    Client::of(&gateway).made("/key/delete", json!({"keys": [key]}));
    assert_eq!(
        Client::with_key(&gateway, key).chat("fast", "hi").status,
        401,
        "what it knew is not stuck to"
    );
    until("all entries", || count(&server, "SELECT COUNT(*) FROM entries") == 4);
    assert!(!gateway.log().contains(key), "no key is logged");
}

#[test]
fn keys_that_nobody_can_look_up_call_models_only_where_the_file_says_so() {
    let (upstream, mut server) = (Upstream::start(), Postgres::start());
    let gateway = start(&upstream, &server, ", allow_requests_on_db_unavailable: true");
    let narrow = "sk-known-but-narrow";
    Client::of(&gateway).made("/key/generate", json!({"key": narrow, "models": ["other"]}));
    let (known, unknown) =
        (Client::with_key(&gateway, narrow), Client::with_key(&gateway, "sk-never-seen-here"));
    assert_eq!((known.chat("fast", "hi").status, unknown.chat("fast", "hi").status), (403, 401));

    server.crash();
    // The wrong key is remembered as a wrong one; another is one that may be right.
    let other = Client::with_key(&gateway, "sk-nor-this-one");
    until("another key to be let in", || other.chat("fast", "hi").status == 200);
    assert_eq!(known.chat("fast", "hi").status, 403, "what is known is obeyed");
    for (path, body) in
        [("/key/generate", json!({})), ("/model/new", json!({})), ("/key/delete", json!({"keys": []}))]
    {
        let answer = other.post(path, &body);
        assert!(matches!(answer.status, 403 | 503), "{path}: {} {}", answer.status, answer.text());
    }
    assert_eq!(Client::with_key(&gateway, "no-key-at-all").chat("fast", "hi").status, 401);
    assert_eq!(Client::new(gateway.addr()).chat("fast", "hi").status, 401);
    let journal = gateway.journal_when("has the call", |entries| {
        entries.iter().any(|one| one.caller() == "failed-to-connect-to-db")
    });
    assert!(journal.iter().all(|one| one.caller() != "master"), "{journal:?}");

    server.resume();
    until("the key to be a wrong one", || other.chat("fast", "hi").status == 401);
}

#[test]
fn a_database_that_stops_under_load_fails_no_known_key_and_loses_nothing() {
    let (upstream, mut server) = (Upstream::start(), Postgres::start());
    // What is remembered grows old within the outage.
    let gateway = start(&upstream, &server, ", user_api_key_cache_ttl: 1");
    let seconds = std::env::var_os("GATEWRIGHT_OUTAGE_SECONDS").and_then(|text| text.to_str()?.parse().ok());
    let outage = Duration::from_secs(seconds.unwrap_or(OUTAGE));
    let keys = ["sk-first-client-key", "sk-second-client-key", "sk-third-client-key"];
    for key in keys {
        Client::of(&gateway)
            .made("/key/generate", json!({"key": key, "max_budget": 100, "budget_duration": "1d"}));
        assert_eq!(Client::with_key(&gateway, key).chat("fast", "hi").status, 200);
    }
    let stop = AtomicBool::new(false);
    let calls: Vec<u16> = thread::scope(|scope| {
        let load = keys.map(|key| {
            let (client, stop) = (Client::with_key(&gateway, key), &stop);
            scope.spawn(move || {
                let mut statuses = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let stream = statuses.len() % 2 == 0;
                    let body = chat("fast", "hi", json!({"stream": stream}));
                    statuses.push(client.post("/v1/chat/completions", &body).status);
                }
                statuses
            })
        });
        let hold = |time: Duration| thread::sleep(time);
        hold(Duration::from_secs(1));
        server.crash();
        hold(outage);
        server.resume();
        hold(Duration::from_secs(1));
        stop.store(true, Ordering::Relaxed);
        load.into_iter().flat_map(|load| load.join().unwrap()).collect()
    });
    let failed = calls.iter().filter(|status| **status != 200).count();
    println!("{} calls over {outage:?} without a database, {failed} failed", calls.len());
    assert_eq!(failed, 0, "of {}", calls.len());
    let all = (calls.len() + keys.len()) as u64;
    let back = Instant::now();
    until("all entries", || count(&server, "SELECT COUNT(*) FROM entries") == all);
    println!("exact {:?} after the load", back.elapsed());
    assert_eq!(upstream.bills().len() as u64, all, "each call is one attempt on the provider's bill");
    assert_eq!(count(&server, "SELECT COUNT(*) FROM entries WHERE estimated"), 0);
    let wrong = "SELECT COUNT(*) FROM (SELECT names.name, SUM(cost) AS sum FROM entries \
        JOIN names ON names.id = caller GROUP BY 1) own JOIN balances ON scope = 'api_key' AND id = own.name \
        WHERE balances.total <> own.sum OR balances.spent <> own.sum";
    let right = wrong
        .replace("WHERE balances.total <>", "WHERE balances.total =")
        .replace(" OR balances.spent <>", " AND balances.spent =");
    assert_eq!(
        (count(&server, wrong), count(&server, &right)),
        (0, 3),
        "counters are the sums of their entries"
    );
}

#[test]
fn without_a_database_end_users_and_tags_pass_that_were_known_and_no_others() {
    let (upstream, mut server) = (Upstream::start(), Postgres::start());
    let (closed, open) =
        (start(&upstream, &server, ""), start(&upstream, &server, ", fail_closed_budget_enforcement: false"));
    let key = "sk-known-key-of-a-client";
    Client::of(&closed).made("/key/generate", json!({"key": key}));
    Client::of(&closed).made("/customer/new", json!({"user_id": "made", "max_budget": 5}));
    let ask = |gateway: &Gateway, more: &Value| {
        let mut body = chat("fast", "hi", json!({}));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Client::with_key(gateway, key).post("/v1/chat/completions", &body)
    };
    let (made, seen, tagged) = (json!({"user": "made"}), json!({"user": "seen"}), json!({"tags": ["t"]}));
    // What is heard of last: whatever was changed before has been forgotten by then.
    Client::of(&closed).made("/customer/block", json!({"user_ids": ["gone"]}));
    until("all changes to be heard", || ask(&open, &json!({"user": "gone"})).status == 400);
    assert_eq!(ask(&open, &json!({})).status, 200);
    for more in [&made, &seen, &tagged] {
        assert_eq!(ask(&closed, more).status, 200);
    }
    server.crash();
    until("the outage to be noticed", || ready(&closed)["db"] == "Not connected");
    for more in [&made, &seen, &tagged, &json!({})] {
        let told = ask(&closed, more);
        assert_eq!(told.status, 200, "{more}: {}", told.text());
    }
    for (more, whose) in [(json!({"user": "new"}), "end user"), (json!({"tags": ["new"]}), "tags")] {
        let told = ask(&closed, &more);
        assert_eq!((told.status, told.header("retry-after")), (503, "1"), "{}", told.text());
        let words = format!("The limits of this call's {whose} cannot be looked up now");
        assert!(told.text().contains(&words), "{}", told.text());
        let told = ask(&open, &more);
        assert_eq!(told.status, 200, "it was told to let them pass: {}", told.text());
    }
    server.resume();
    until("new ones to pass again", || ask(&closed, &json!({"user": "new"})).status == 200);
}
