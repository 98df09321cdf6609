//! The database behind a gateway: what was called is in it, and a database that is away stops nothing.

use std::time::Duration;

use gatewright_tests::books::Database;
use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, model, poll};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::upstream::Upstream;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the gateway says of itself.
fn ready(gateway: &Gateway) -> serde_json::Value {
    Client::new(gateway.addr()).get("/health/readiness").json()
}

fn until(what: &str, check: impl FnMut() -> Option<()>) {
    poll(PATIENCE, check).unwrap_or_else(|| panic!("waited in vain: {what}"));
}

fn ask(gateway: &Gateway) {
    let body = chat("fast", "hi", json!({}));
    let client = Client::of(gateway).header("x-litellm-end-user-id", "customer-1");
    let answer = client.post("/v1/chat/completions", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn without_a_database_of_its_own_a_gateway_keeps_a_file() {
    let upstream = Upstream::start();
    let mut gateway = Gateway::start(&model("fast", "openai/gpt-4o-mini", &upstream));
    until("the file to be there", || (ready(&gateway)["db"] == "connected").then_some(()));
    (0..3).for_each(|_| ask(&gateway));
    gateway.terminate();
    assert!(gateway.wait_for_exit().success());
    assert!(gateway.dir().join("gatewright-data/gatewright.db").is_file());
}

#[test]
fn a_database_that_is_away_stops_nothing_and_misses_nothing() {
    let (upstream, mut server) = (Upstream::start(), Postgres::start());
    server.crash();
    // Its calls name an end user, of whom nobody knows anything yet.
    let config = format!(
        "{}general_settings: {{master_key: {MASTER_KEY}, database_url: \"{}\", fail_closed_budget_enforcement: false}}\n",
        model("fast", "openai/gpt-4o-mini", &upstream),
        server.url()
    );
    let mut gateway = Setup::new(config).start();
    (0..3).for_each(|_| ask(&gateway));
    assert_eq!(ready(&gateway)["db"], "Not connected");
    server.resume();
    until("the database to be found", || (ready(&gateway)["db"] == "connected").then_some(()));
    (0..2).for_each(|_| ask(&gateway));
    let count = |what: &str| server.sql(&format!("SELECT COUNT(*) FROM entries {what}")).unwrap();
    until("all entries", || (count("") == "5").then_some(()));
    ask(&gateway);
    gateway.terminate();
    assert!(gateway.wait_for_exit().success());
    assert_eq!(count(""), "6", "what is left at the end is shipped");
    let named = "JOIN names ON names.id = customer WHERE name = 'customer-1' AND cost > 0";
    assert_eq!(count(named), "6");
    let sums = server
        .sql("SELECT SUM(succeeded), SUM(cost) = (SELECT SUM(cost) FROM entries) FROM rollups")
        .unwrap();
    assert_eq!(sums, "6|t");
    let balance = "SELECT total = (SELECT SUM(cost) FROM entries) FROM balances WHERE scope = 'end_user'";
    assert_eq!(server.sql(balance).unwrap(), "t");
}

/// Lets the database refuse every entry with 13 tokens of input.
fn poison(database: &Database, gateway: &Gateway) {
    let sql = match database {
        Database::Sqlite => {
            "CREATE TRIGGER poison BEFORE INSERT ON entries WHEN NEW.input = 13 \
             BEGIN SELECT RAISE(ABORT, 'unlucky'); END"
        }
        Database::Postgres(_) => "ALTER TABLE entries ADD CHECK (input <> 13)",
    };
    database.rows(&gateway.dir().join("gatewright-data"), sql);
}

#[test]
fn an_entry_that_the_database_never_takes_is_set_aside_and_told() {
    for database in [Database::Sqlite, Database::Postgres(Postgres::start())] {
        let upstream = Upstream::start();
        let models = model("fast", "openai/gpt-4o-mini", &upstream);
        let mut gateway = Setup::new(models + &database.settings("")).start();
        until("the database to be there", || (ready(&gateway)["db"] == "connected").then_some(()));
        poison(&database, &gateway);
        let client = Client::of(&gateway);
        for input in [11, 12, 13, 14, 13, 15] {
            assert_eq!(client.chat("fast", &format!("in={input}")).status, 200);
        }
        until("the refusals", || (ready(&gateway)["ledger"]["set_aside"] == 2).then_some(()));
        for line in ["gatewright_ledger_set_aside_entries 2", "gatewright_ledger_shipped_entries_total 4"] {
            let told = || client.get("/metrics").text().lines().any(|other| other == line);
            until(line, || told().then_some(()));
        }
        assert_eq!(gateway.log().matches("it is set aside").count(), 2, "{}", gateway.log());
        gateway.terminate();
        assert!(gateway.wait_for_exit().success());
        let books = database.books(&gateway);
        books.check();
        let kept: Vec<i64> = books.entries.iter().map(|entry| entry.input).collect();
        assert_eq!(kept, [11, 12, 14, 15]);
        let aside = gateway.dir().join("gatewright-data/journal/refused.jsonl");
        let aside = std::fs::read_to_string(aside).unwrap();
        assert_eq!(aside.lines().filter(|line| line.contains("\"input\":13")).count(), 2, "{aside}");
        gateway.restart();
        assert_eq!(ready(&gateway)["ledger"]["set_aside"], 2, "they are not forgotten");
    }
}
