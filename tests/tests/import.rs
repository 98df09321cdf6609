//! Moving in: what a LiteLLM database keeps is brought over, and goes on here.
#![cfg(test)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, poll};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

const ANNS: &str = "sk-imported-key-of-ann";

/// A server with LiteLLM's database beside the gateway's.
struct World {
    server: Postgres,
    upstream: Upstream,
}

impl World {
    fn start() -> Self {
        let world = Self { server: Postgres::start(), upstream: Upstream::start() };
        world.sql("postgres", &["-c", "CREATE DATABASE litellm"]);
        let dump = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/litellm.sql");
        world.sql("litellm", &["-f", dump.to_str().unwrap()]);
        world
    }

    fn url(&self, database: &str) -> String {
        let url = self.server.url();
        format!("{}/{database}", url.rsplit_once('/').unwrap().0)
    }

    fn sql(&self, database: &str, arguments: &[&str]) -> String {
        let output = Command::new("psql")
            .args(["-v", "ON_ERROR_STOP=1", "-qtA", "-d", &self.url(database)])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn setup(&self) -> Setup {
        let config = format!(
            "general_settings: {{master_key: {MASTER_KEY}, store_model_in_db: true, database_url: \"{}\"}}\n\
             model_list:\n- {{model_name: filed, litellm_params: {{model: openai/gpt-4o, mock_response: hi}}}}\n",
            self.url("postgres")
        );
        Setup::new(config).env("UPSTREAM_BASE", &format!("{}/v1", self.upstream.base()))
    }

    fn import(&self, salt: &str, more: &[&str]) -> (bool, String) {
        let from = self.url("litellm") + "?schema=public&connection_limit=5";
        let setup = self.setup().env("LITELLM_SOURCE_SALT_KEY", salt);
        let arguments = ["import", "litellm", "--config", "config.yaml", "--from", &from];
        arguments.iter().chain(more).fold(setup, |setup, argument| setup.arg(argument)).run()
    }
}

fn told(client: &Client, path: &str) -> Value {
    let answer = client.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// A count of the report: `  key: 3 new`.
fn says(report: &str, line: &str) {
    assert!(report.lines().any(|told| told.trim() == line), "{line} is missing in\n{report}");
}

#[test]
fn keys_teams_budgets_models_and_spend_go_on_where_litellm_left_them() {
    let world = World::start();
    let (_, report) = world.import("sk-old-master", &["--dry-run"]);
    says(&report, "key: 3 new or changed");

    let (whole, report) = world.import("sk-old-master", &[]);
    assert!(!whole, "one secret cannot be read");
    for line in [
        "budget: 3 new",
        "organization: 1 new",
        "team: 1 new",
        "user: 2 new",
        "project: 1 new",
        "key: 3 new",
        "customer: 1 new",
        "tag: 1 new",
        "membership: 3 new",
        "credential: 1 new",
        "model: 2 new",
        "balance: 9 new or changed",
        "day's sum: 2 new or changed",
        "secrets that this salt key does not open: 1 (credential unreadable)",
        "user.password: 1",
        "LiteLLM_SpendLogs: 1 (single calls: their sums by day are brought)",
    ] {
        says(&report, line);
    }
    assert!(!report.contains("sk-of-the-provider"));

    let gateway = world.setup().start();
    let (admin, ann) = (Client::of(&gateway), Client::with_key(&gateway, ANNS));
    // The key opens what it opened, by the aliases of its team too, with the provider's key as it was.
    for model in ["dyn", "short"] {
        assert_eq!(ann.chat(model, "hi").status, 200, "{model}");
        assert_eq!(world.upstream.last().header("authorization"), "Bearer sk-of-the-provider");
    }
    assert_eq!(ann.chat("filed", "hi").status, 403, "its team may not");
    assert_eq!(
        Client::with_key(&gateway, "sk-imported-key-over").chat("filed", "hi").status,
        401,
        "it has ended"
    );
    assert_eq!(
        Client::with_key(&gateway, "sk-imported-key-spent").chat("dyn", "hi").status,
        422,
        "its budget is spent"
    );
    let info = &told(&ann, "/key/info")["info"];
    for (name, value) in [
        ("key_alias", json!("anns")),
        ("team_id", json!("red")),
        ("user_id", json!("ann")),
        ("max_budget", json!(10.0)),
        ("rpm_limit", json!(100)),
        ("budget_reset_at", json!("2099-01-01T00:00:00.000000Z")),
    ] {
        assert_eq!(info[name], value, "{name} in {info}");
    }
    assert_eq!(info["metadata"]["model_rpm_limit"], json!({"dyn": 90}));
    let spent = |info: &Value, name: &str| info[name].as_f64().unwrap();
    assert!(spent(info, "spend") >= 9.25 && spent(info, "total_spend") >= 19.25, "{info}");
    let team = &told(&admin, "/team/info?team_id=red")["team_info"];
    assert_eq!((&team["organization_id"], &team["max_budget"]), (&json!("acme"), &json!(50.0)));
    assert_eq!(team["members_with_roles"].as_array().unwrap().len(), 2, "{team}");
    // Whoever administered the proxy does so still; the member's own budget holds.
    let boss = admin.post("/key/generate", &json!({"user_id": "boss"})).json();
    assert_eq!(Client::with_key(&gateway, boss["key"].as_str().unwrap()).get("/user/list").status, 200);
    let days = told(&admin, "/global/activity?start_date=2026-11-01&end_date=2026-11-02");
    assert_eq!(days["sum_api_requests"], 22, "{days}");
}

#[test]
fn an_import_again_adds_what_came_since_and_leaves_what_was_changed_here() {
    let world = World::start();
    world.import("sk-old-master", &[]);
    let key = |column: &str| {
        world.sql(
            "postgres",
            &["-c", &format!("SELECT {column} FROM balances WHERE scope = 'api_key' AND spent > 9000000000")],
        )
    };
    assert_eq!((key("spent"), key("total")), ("9250000000".into(), "19250000000".into()));
    let (_, report) = world.import("sk-old-master", &[]);
    for line in [
        "key: 3 there already",
        "model: 2 there already",
        "credential: 1 there already",
        "membership: 3 there already",
        "balance: 0 new or changed",
        "day's sum: 0 new or changed",
    ] {
        says(&report, line);
    }
    // Here something is spent and changed, there too.
    world.sql("postgres", &["-c", "UPDATE balances SET spent = spent + 1, total = total + 1"]);
    world.sql(
        "litellm",
        &["-c", "UPDATE \"LiteLLM_VerificationToken\" SET spend = spend + 1, total_spend = total_spend + 1, rpm_limit = 7 WHERE key_alias = 'anns'",
          "-c", "UPDATE \"LiteLLM_TeamTable\" SET team_alias = 'Redder'",
          "-c", "UPDATE \"LiteLLM_DailyUserSpend\" SET successful_requests = successful_requests + 5 WHERE id = 'd-2'"],
    );
    let gateway = world.setup().start();
    let admin = Client::of(&gateway);
    assert_eq!(admin.post("/team/update", &json!({"team_id": "red", "team_alias": "Ours"})).status, 200);
    let (_, report) = world.import("sk-old-master", &[]);
    for line in [
        "key: 1 changed, 2 there already",
        "team: 1 kept as changed here",
        "balance: 1 new or changed",
        "day's sum: 1 new or changed",
    ] {
        says(&report, line);
    }
    assert_eq!((key("spent"), key("total")), ("10250000001".into(), "20250000001".into()));
    let days = told(&admin, "/global/activity?start_date=2026-11-01&end_date=2026-11-02");
    assert_eq!(days["sum_api_requests"], 27, "{days}");
    assert_eq!(told(&admin, "/team/info?team_id=red")["team_info"]["team_alias"], "Ours");

    let (whole, report) = world.import("sk-another", &[]);
    assert!(!whole);
    says(
        &report,
        "secrets that this salt key does not open: 4 (credential openai-eu, credential unreadable, model m-1, model m-2)",
    );
}

#[test]
fn what_does_not_fit_stays_out_with_what_belongs_to_it_and_leaves_the_others_whole() {
    let world = World::start();
    let sha = |key: &str| format!("encode(sha256('{key}'), 'hex')");
    let nasty = format!(
        "INSERT INTO \"LiteLLM_BudgetTable\" (budget_id, budget_duration) VALUES ('odd', 'a while'); \
         INSERT INTO \"LiteLLM_TeamTable\" (team_id, max_budget) VALUES ('lost', 'NaN'), ('owing', -1); \
         INSERT INTO \"LiteLLM_UserTable\" (user_id, user_role) VALUES ('bob', 'space_cadet'); \
         INSERT INTO \"LiteLLM_VerificationToken\" (token, key_alias, team_id, max_budget, budget_id, spend, metadata) VALUES \
            ({}, NULL, 'lost', NULL, NULL, 0, '{{}}'), ({}, NULL, NULL, NULL, 'odd', 0, '{{}}'), \
            ({}, NULL, NULL, 1e308, NULL, -1e-9, '{{}}'), ({}, NULL, NULL, NULL, NULL, 1e300, '{{}}'), \
            ({}, NULL, NULL, NULL, NULL, 0, '{{\"model_rpm_limit\": 5}}'), ({}, 'anns', NULL, NULL, NULL, 0, '{{}}'), \
            ('in-clear\nfor all', NULL, NULL, NULL, NULL, 0, '{{}}'); \
         INSERT INTO \"LiteLLM_DailyUserSpend\" (id, date, api_key) VALUES ('d-3', 'yesterday', 'x')",
        sha("sk-of-lost"),
        sha("sk-of-odd"),
        sha("sk-endless"),
        sha("sk-overdrawn"),
        sha("sk-typed"),
        sha("sk-namesake"),
    );
    world.sql("litellm", &["-c", &nasty]);
    let (whole, report) = world.import("sk-old-master", &[]);
    assert!(!whole);
    for line in [
        "budget: 3 new",
        "team: 1 new",
        "user: 3 new",
        "key: 5 new",
        "balance: 9 new or changed",
        "day's sum: 2 new or changed",
        "users without their role, which there is not here: 1 (user bob)",
        "sums of days without a date: 1 (d-3)",
    ] {
        says(&report, line);
    }
    for told in [
        "budget odd: budget_duration",
        "team lost: max_budget",
        "team owing: max_budget",
        "is not brought: key ",
        ": team lost",
        ": budget odd",
        ": spend",
        ": metadata.model_rpm_limit",
        "key in-clear\\nfor all: token",
        "more than can be counted: none is here: key ",
        "a key has this alias already",
    ] {
        assert!(report.contains(told), "{told} in {report}");
    }
    let gateway = world.setup().start();
    for (key, status) in [
        ("sk-of-lost", 401),
        ("sk-of-odd", 401),
        ("sk-overdrawn", 401),
        ("sk-typed", 401),
        ("sk-endless", 200),
        ("sk-namesake", 200),
    ] {
        assert_eq!(Client::with_key(&gateway, key).chat("filed", "hi").status, status, "{key}");
    }
    let (_, report) = world.import("sk-old-master", &[]);
    says(&report, "key: 5 there already");
}

/// Whether a gateway that serves meanwhile comes to know what was brought. It is asked for the model only once it lists
/// it: calls that fail use up the rates that the key came with.
fn serves(gateway: &Gateway) -> bool {
    let ann = Client::with_key(gateway, ANNS);
    let answers = || {
        let lists = ann.get("/v1/models").text().contains("\"dyn\"");
        (lists && ann.chat("dyn", "hi").status == 200).then_some(())
    };
    poll(Duration::from_secs(10), answers).is_some()
}

#[test]
fn what_was_deleted_or_made_here_stays_so_and_takes_over_no_spend() {
    let world = World::start();
    let gateway = world.setup().start();
    let admin = Client::of(&gateway);
    let here = |path: &str, body: Value| assert_eq!(admin.post(path, &body).status, 200, "{path} {body}");
    here("/customer/new", json!({"user_id": "cust1", "alias": "Ours"}));
    let (_, report) = world.import("sk-old-master", &[]);
    for line in ["customer: 1 kept as changed here", "balance: 8 new or changed"] {
        says(&report, line);
    }
    let of_customer = "SELECT COUNT(*) FROM balances WHERE scope = 'end_user' AND spent > 0";
    assert_eq!(world.sql("postgres", &["-c", of_customer]), "0");
    assert!(serves(&gateway), "{}", Client::with_key(&gateway, ANNS).chat("dyn", "hi").text());
    here("/key/delete", json!({"key_aliases": ["anns"]}));
    assert_eq!(Client::with_key(&gateway, ANNS).chat("dyn", "hi").status, 401);
    for more in [&["--dry-run"] as &[_], &[]] {
        let (_, report) = world.import("sk-old-master", more);
        says(&report, "key: 1 kept as deleted here, 2 there already");
    }
    assert_eq!(
        Client::with_key(&gateway, ANNS).chat("dyn", "hi").status,
        401,
        "a key that was taken away is not given back"
    );
}

#[test]
fn a_budget_whose_time_went_over_in_between_begins_anew_here_too() {
    let world = World::start();
    world.import("sk-old-master", &[]);
    let spent = || {
        let sql = "SELECT spent, total FROM balances WHERE scope = 'api_key' AND total > 10000000000";
        world.sql("postgres", &["-c", sql])
    };
    assert_eq!(spent(), "9250000000|19250000000");
    let there = |set: &str| {
        world.sql(
            "litellm",
            &["-c", &format!("UPDATE \"LiteLLM_VerificationToken\" SET {set} WHERE key_alias = 'anns'")],
        )
    };
    there("spend = 0.5, total_spend = 20.25, budget_reset_at = '2099-02-01'");
    world.import("sk-old-master", &[]);
    assert_eq!(spent(), "500000000|20250000000", "what was spent in the time before is no part of it");
    there("spend = 0.25");
    world.import("sk-old-master", &[]);
    assert_eq!(
        spent(),
        "750000000|20250000000",
        "set back there: what came since is added, nothing is taken"
    );
    // The shared budget of the organization has a time too, which its spend belongs to.
    let ends = "SELECT ends_at IS NULL FROM balances WHERE scope = 'organization'";
    assert_eq!(world.sql("postgres", &["-c", ends]), "t");
    world.sql("litellm", &["-c", "UPDATE \"LiteLLM_BudgetTable\" SET budget_reset_at = '2099-01-01'"]);
    world.sql("postgres", &["-c", "DELETE FROM balances", "-c", "DELETE FROM carried"]);
    world.import("sk-old-master", &[]);
    assert_eq!(world.sql("postgres", &["-c", ends]), "f");
}

#[test]
fn a_dry_run_makes_neither_schema_nor_file_and_a_schema_of_litellms_own_is_found() {
    let world = World::start();
    world.sql("litellm", &["-c", "ALTER SCHEMA public RENAME TO llm", "-c", "CREATE SCHEMA public"]);
    let from = world.url("litellm") + "?schema=llm&connection_limit=5";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.db");
    for database in [world.url("postgres"), format!("sqlite://{}", file.display())] {
        let arguments = ["import", "litellm", "--dry-run", "--from", &from];
        let setup = Setup::bare().env("DATABASE_URL", &database).env("LITELLM_SALT_KEY", "sk-old-master");
        let (_, report) = arguments.iter().fold(setup, |setup, argument| setup.arg(argument)).run();
        says(&report, "key: 3 new or changed");
        says(&report, "model: 2 new or changed");
    }
    assert_eq!(
        world.sql("postgres", &["-c", "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'"]),
        "0"
    );
    assert!(!file.exists());
    let (done, told) = world.import("sk-old-master", &[]);
    assert!(!done && told.contains("there is no LiteLLM in that database"), "{told}");
}

#[test]
fn into_sqlite_too() {
    let world = World::start();
    let from = world.url("litellm");
    let config = format!(
        "general_settings: {{master_key: {MASTER_KEY}, store_model_in_db: true}}\nmodel_list:\n\
         - {{model_name: filed, litellm_params: {{model: openai/gpt-4o, mock_response: hi}}}}\n"
    );
    let setup = Setup::new(config).env("UPSTREAM_BASE", &format!("{}/v1", world.upstream.base()));
    // It goes on serving meanwhile.
    let gateway = setup.env("LITELLM_SOURCE_SALT_KEY", "sk-old-master").start();
    let import = || gateway.run(&["import", "litellm", "--config", "config.yaml", "--from", &from]).1;
    says(&import(), "key: 3 new");
    assert!(serves(&gateway), "{}", Client::with_key(&gateway, ANNS).chat("dyn", "hi").text());
    assert_eq!(world.upstream.last().header("authorization"), "Bearer sk-of-the-provider");
    assert_eq!(Client::with_key(&gateway, "sk-imported-key-spent").chat("filed", "hi").status, 422);
    let report = import();
    for line in ["key: 3 there already", "balance: 0 new or changed", "day's sum: 0 new or changed"] {
        says(&report, line);
    }
}

/// Keys of several batches; in the second one has the alias of another, and one an alias that no index can hold.
#[test]
fn a_row_that_cannot_be_written_keeps_none_of_its_batch_away() {
    let world = World::start();
    let keys = "INSERT INTO \"LiteLLM_VerificationToken\" (token, key_alias, spend, models) \
         SELECT lpad(to_hex(n), 64, '0'), CASE n WHEN 700 THEN 'many 701' WHEN 800 THEN \
         (SELECT string_agg(encode(sha512(n::text::bytea), 'hex'), '') FROM generate_series(1, 200) n) \
         ELSE 'many ' || n END, 0.5, '{dyn}' FROM generate_series(1, 1200) n";
    world.sql("litellm", &["-c", keys]);
    let bad = |n: u64| format!("{n:064x}");
    let here = || {
        let sql = "SELECT COUNT(*), COUNT(alias), (SELECT SUM(spent) FROM balances WHERE scope = 'api_key'), \
             (SELECT COUNT(*) FROM audit WHERE kind = 'key') FROM keys";
        world.sql("postgres", &["-c", sql])
    };
    // Beside the many there are three with 14.25 dollars.
    let all = format!("1202|1201|{}|1202", 1199 * 500_000_000_u64 + 14_250_000_000);
    for count in ["key: 1202 new", "key: 1202 there already"] {
        let (whole, report) = world.import("sk-old-master", &[]);
        assert!(!whole);
        says(&report, count);
        let told = |why: &str, row: &str| {
            let line = report.lines().find(|line| line.trim().starts_with(why));
            assert!(line.is_some_and(|line| line.contains(row)), "{why} {row} in\n{report}");
        };
        told("rows that the database cannot keep", &format!("key {}", bad(800)));
        if count.ends_with("new") {
            told("a key has this alias already; it was left out: 1", &bad(701));
        }
        assert_eq!(here(), all, "{count}");
    }
    let name = |n: u64| {
        let sql = format!("SELECT COUNT(*) FROM keys WHERE id = '{}' AND alias IS NOT NULL", bad(n));
        world.sql("postgres", &["-c", &sql])
    };
    assert_eq!(
        (name(699), name(700), name(701), name(800)),
        ("1".into(), "1".into(), "0".into(), "0".into())
    );
}
