//! Not a test but a measurement: what a dashboard asks of a gateway with ten million entries in PostgreSQL.
#![cfg(test)]

use std::time::{Duration, Instant};

use gatewright_tests::client::Client;
use gatewright_tests::dashboard::{DAYS, ENTRIES, load};
use gatewright_tests::gateway::{MASTER, Setup, poll};
use gatewright_tests::postgres::Postgres;
use serde_json::{Value, json};

/// What every answer should take at most.
const WANTED: Duration = Duration::from_millis(200);

/// The longest that a change of the schema may take over so many entries.
const CHANGED: Duration = Duration::from_secs(600);

/// How often each is asked.
const TIMES: usize = 9;

/// The routes; `{month}` and `{year}` are dates, `{key}`, `{entry}` and `{call}` stand in the ledger.
const ROUTES: [&str; 37] = [
    "/global/spend",
    "/global/spend?{year}",
    "/global/spend/logs",
    "/global/spend/logs?{year}",
    "/global/spend/keys?limit=5",
    "/global/spend/keys?{year}",
    "/global/spend/teams",
    "/global/spend/teams?{year}",
    "/global/spend/models?limit=5",
    "/global/spend/models?{year}",
    "/global/spend/provider",
    "/global/spend/provider?{year}",
    "/global/spend/tags?{month}",
    "/global/spend/tags?{year}",
    "/spend/tags",
    "/spend/tags?{year}",
    "POST /global/spend/end_users",
    "POST /global/spend/end_users?{year}",
    "/global/activity?{month}",
    "/global/activity?{year}",
    "/global/activity/model?{month}",
    "/global/activity/model?{year}",
    "/global/spend/report?{month}&group_by=team",
    "/spend/logs?{month}",
    "/spend/logs?{month}&api_key={key}&summarize=false",
    "/spend/logs/v2?{month}&page_size=50",
    "/spend/logs/v2?{year}&page_size=50",
    "/spend/logs/v2?{year}&page_size=50&page=100000",
    "/spend/logs/v2?{year}&page_size=50&page=100&api_key={key}",
    "/spend/logs/v2?{month}&request_id={entry}",
    "/user/daily/activity?{month}&page_size=1000",
    "/user/daily/activity?{year}&page_size=1000",
    "/user/daily/activity?{month}&page_size=1000&user_id=user-7",
    "/team/daily/activity?{month}&page_size=1000",
    "/team/daily/activity?{month}&page_size=1000&team_ids=team-7",
    "/tag/daily/activity?{month}&page_size=1000",
    "/audit?page_size=10",
];

#[test]
#[ignore = "takes three minutes: cargo test -p gatewright-tests --test dashboard -- --ignored --nocapture"]
fn a_dashboard_of_ten_million_entries() {
    let server = Postgres::start();
    let config =
        format!("{MASTER}  database_url: {}\n  maximum_spend_logs_retention_period: 400d\n", server.url());
    let mut gateway = Setup::new(config).start();
    gateway.kill();
    let begun = Instant::now();
    load(&server);
    println!("{ENTRIES} entries loaded in {:?}", begun.elapsed());
    let begun = Instant::now();
    gateway.restart();
    let client = Client::of(&gateway);
    // It serves meanwhile, without its database.
    let ready = || (client.get("/health/readiness").json()["db"] == "connected").then_some(());
    assert!(poll(CHANGED, ready).is_some(), "the schema is not changed yet: {}", gateway.log());
    println!("the schema was changed in {:?}", begun.elapsed());
    let number = |sql: &str| server.sql(sql).unwrap();
    for table in ["entries", "rollups", "sheets"] {
        let rows = number(&format!("SELECT COUNT(*) FROM {table}"));
        println!(
            "{table}: {rows} rows, {}",
            number(&format!("SELECT pg_size_pretty(pg_total_relation_size('{table}'))"))
        );
    }
    let spent = number("SELECT SUM(cost)::float8 / 1000000000 FROM entries").parse::<f64>().unwrap();
    let told = client.get("/global/spend").json()["spend"].as_f64().unwrap();
    assert!((told - spent).abs() < 1e-3, "{told} of {spent}");
    let day = |ago: u64| number(&format!("SELECT (now() AT TIME ZONE 'utc')::date - {ago}"));
    let since = |ago: u64| format!("start_date={}&end_date={}", day(ago), day(0));
    let (month, year) = (since(30), since(DAYS));
    let key = number("SELECT encode(sha256('key-7'), 'hex')");
    let entry = number("SELECT attempt FROM entries ORDER BY attempt DESC OFFSET 5000 LIMIT 1");
    for route in ROUTES {
        let path = route.replace("{month}", &month).replace("{year}", &year);
        time(&client, route, &path.replace("{key}", &key).replace("{entry}", &entry));
    }
}

/// Says the median time of an answer, and its size.
fn time(client: &Client, route: &str, path: &str) {
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..TIMES {
        let begun = Instant::now();
        let told = match path.strip_prefix("POST ") {
            Some(path) => client.post(path, &json!({})),
            None => client.get(path),
        };
        times.push(begun.elapsed());
        assert_eq!(told.status, 200, "{path}: {}", told.text());
        assert_ne!(told.json(), Value::Null, "{path}");
        bytes = told.body.len();
    }
    times.sort();
    let late = if times[TIMES / 2] > WANTED { "LATE " } else { "" };
    println!("{late}{route}: {:?}, {bytes} bytes", times[TIMES / 2]);
}
