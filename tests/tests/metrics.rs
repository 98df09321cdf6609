//! What Prometheus is told is what the ledger has: requests, tokens and money, to the last billionth of a dollar.

use std::collections::BTreeMap;
use std::time::Duration;

use gatewright_tests::books::{Booked, Books, Database};
use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, deployment, poll};
use gatewright_tests::upstream::{End, Ends, Pause, Said, Script, Upstream, UsageForm};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

const CALLER: usize = 0;
const TEAM: usize = 1;
const GROUP: usize = 7;

/// One line of the text.
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: String,
}

/// The text of `/metrics`.
struct Told(Vec<Sample>);

/// A gateway with groups that answer, fail and fall back, and its upstream.
struct Stage {
    upstream: Upstream,
    gateway: Gateway,
}

// === impl Told ===

impl Told {
    fn by(client: &Client) -> Self {
        let answer = client.get("/metrics");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        let text = answer.text();
        Self(text.lines().filter(|line| !line.starts_with('#')).map(Sample::read).collect())
    }

    /// Sums of a metric by a label, in billionths.
    fn by_label(&self, name: &str, label: &str) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for sample in self.of(name) {
            *sums.entry(sample.labels[label].clone()).or_default() += sample.billionths();
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    }

    /// The sum of a counter.
    fn count(&self, name: &str) -> i64 {
        self.of(name).map(Sample::billionths).sum::<i64>() / 1_000_000_000
    }

    fn of(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }
}

// === impl Sample ===

impl Sample {
    fn read(line: &str) -> Self {
        let (head, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = head.split_once('{').unwrap_or((head, "}"));
        let mut rest = labels.strip_suffix('}').unwrap();
        let mut read = BTreeMap::new();
        while let Some((label, quoted)) = rest.split_once("=\"") {
            let end = quoted.find("\",").or_else(|| quoted.strip_suffix('"').map(str::len)).unwrap();
            read.insert(label.to_owned(), quoted[..end].to_owned());
            rest = quoted.get(end + 2..).unwrap_or_default();
        }
        Self { name: name.to_owned(), labels: read, value: value.to_owned() }
    }

    /// Decimals as they stand, never through a float.
    fn billionths(&self) -> i64 {
        let (whole, rest) = self.value.split_once('.').unwrap_or((&self.value, ""));
        let whole: i64 = whole.parse().unwrap_or_else(|err| panic!("{err}: {}", self.value));
        whole * 1_000_000_000 + format!("{rest:0<9}").parse::<i64>().unwrap()
    }
}

// === impl Stage ===

impl Stage {
    fn start() -> Self {
        Self::with("")
    }

    /// The same with more settings of LiteLLM's, each with a comma before it.
    fn with(more: &str) -> Self {
        let upstream = Upstream::start();
        let list = [
            deployment("a", "openai/gpt-4o", &upstream, ""),
            deployment("b", "anthropic/claude-sonnet-4-5", &upstream, ""),
            deployment("short", "openai/gpt-4o-mini", &upstream, "timeout: 0.4, stream_timeout: 0.4"),
        ];
        let gateway = Gateway::start(&format!(
            "router_settings: {{num_retries: 1, retry_after: 0, disable_cooldowns: true, fallbacks: [{{a: [b]}}]}}\n\
             litellm_settings: {{callbacks: [prometheus], service_callback: [prometheus_system]{more}}}\nmodel_list:\n{}",
            list.concat()
        ));
        Self { upstream, gateway }
    }

    fn admin(&self) -> Client {
        Client::of(&self.gateway)
    }

    fn key(&self, more: Value) -> Client {
        let made = self.admin().made("/key/generate", more);
        Client::with_key(&self.gateway, made["key"].as_str().unwrap())
    }

    /// The ledger in the database, once it has so many entries and none runs.
    fn books(&self, entries: usize) -> Books {
        let found = poll(PATIENCE, || {
            let books = Database::Sqlite.books(&self.gateway);
            (books.entries.len() >= entries).then_some(books)
        });
        let books = found.expect("all entries in the database");
        assert_eq!(books.entries.len(), entries);
        books
    }

    /// Every kind of call once, by two keys of a team and one without; answers how many attempts that makes.
    fn mixed(&self, team: &str) -> usize {
        let red = self.key(json!({"team_id": team, "key_alias": "first"}));
        let other = self.key(json!({"team_id": team}));
        let alone = self.key(json!({}));
        let ask = |client: &Client, group: &str, stream: bool| {
            client.post("/v1/chat/completions", &chat(group, "hi", json!({"stream": stream}))).status
        };
        // Answered, whole and as streams, with and without usage.
        for client in [&red, &other, &alone] {
            assert_eq!((ask(client, "a", false), ask(client, "b", true)), (200, 200));
        }
        self.upstream.push(Script { usage: UsageForm::Never, ..Script::says(Said::words(20)) });
        assert_eq!(ask(&red, "a", true), 200);
        // Tried again; and again, and then somewhere else.
        self.upstream.push(Script::fails(500, "broken"));
        assert_eq!(ask(&red, "a", false), 200);
        self.upstream.push(Script::fails(429, "slow down"));
        self.upstream.push(Script::fails(429, "slow down"));
        assert_eq!(ask(&other, "a", false), 200);
        // Failing before and after the first word, and too late.
        self.upstream.push(Script::fails(400, "bad"));
        assert_eq!(ask(&alone, "short", false), 400);
        self.upstream.push(Script::says(Said::words(20)).stopping(5, Ends::Cut));
        assert_eq!(ask(&red, "short", true), 200);
        for _ in 0..2 {
            self.upstream.push(Script { before_head: Pause::Forever, ..Script::says(Said::words(1)) });
        }
        assert_eq!(ask(&red, "short", false), 408);
        self.leave(&red);
        let attempts = 6 + 1 + 2 + 3 + 1 + 1 + 2 + 1 + 1;
        self.refused(&red);
        attempts
    }

    /// A client that leaves in the middle of its stream.
    fn leave(&self, client: &Client) {
        let requests = self.upstream.count();
        self.upstream.push(Script::says(Said::words(20)).stopping(8, Ends::Stall));
        let mut live = client.start("/v1/chat/completions", &chat("a", "hi", json!({"stream": true})));
        live.event_with("w0");
        drop(live);
        self.upstream
            .wait("the cancel", |bills| bills.get(requests).is_some_and(|bill| bill.end == End::Left));
    }

    /// Calls that come to no attempt, and one that does.
    fn refused(&self, known: &Client) {
        assert_eq!(Client::with_key(&self.gateway, "sk-wrong").chat("a", "hi").status, 401);
        assert_eq!(known.chat("nobody-knows-this-model", "hi").status, 400);
        assert_eq!(known.post_bytes("/v1/chat/completions", b"{").status, 400);
        let limited = self.key(json!({"rpm_limit": 1}));
        assert_eq!([(); 2].map(|()| limited.chat("a", "hi").status), [200, 429]);
    }
}

/// Sums of entries by one of their names.
fn by_name(books: &Books, name: usize, of: impl Fn(&Booked) -> i64) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for entry in &books.entries {
        *sums.entry(entry.names[name].clone().unwrap_or_else(|| "None".into())).or_default() += of(entry);
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

#[test]
fn what_is_told_is_what_the_ledger_has() {
    let stage = Stage::start();
    let team = stage.admin().made("/team/new", json!({"team_alias": "red"}));
    let attempts = stage.mixed(team["team_id"].as_str().unwrap());
    let books = stage.books(attempts);
    let told = Told::by(&stage.admin());
    let billion = 1_000_000_000;
    for (name, label, place) in [
        ("litellm_spend_metric_total", "hashed_api_key", CALLER),
        ("litellm_spend_metric_total", "team", TEAM),
        ("litellm_spend_total", "team", TEAM),
    ] {
        assert_eq!(
            told.by_label(name, label),
            by_name(&books, place, |entry| entry.cost),
            "{name} by {label}"
        );
    }
    for (name, of) in [
        ("litellm_input_tokens_metric_total", (|entry| entry.input) as fn(&Booked) -> i64),
        ("litellm_output_tokens_metric_total", |entry| entry.output),
        ("litellm_total_tokens_metric_total", |entry| entry.input + entry.output),
    ] {
        let booked = by_name(&books, CALLER, |entry| of(entry) * billion);
        assert_eq!(told.by_label(name, "hashed_api_key"), booked, "{name}");
    }
    for (name, of) in [
        ("litellm_deployment_total_requests_total", (|_| 1) as fn(&Booked) -> i64),
        ("litellm_deployment_success_responses_total", |entry| i64::from(entry.ending == 0)),
        ("litellm_deployment_failure_responses_total", |entry| i64::from(entry.ending != 0)),
    ] {
        let booked = by_name(&books, GROUP, |entry| of(entry) * billion);
        assert_eq!(told.by_label(name, "model_group"), booked, "{name}");
    }
    let whole = books.entries.iter().filter(|entry| entry.ending == 0).count();
    assert_eq!(usize::try_from(told.count("litellm_requests_metric_total")).unwrap(), whole);
    assert_eq!(told.count("litellm_tokens_total"), told.count("litellm_total_tokens_metric_total"));
    told.by_label("litellm_spend_metric_total", "team_alias").get("red").expect("the team's alias");
    told.by_label("litellm_spend_metric_total", "api_key_alias").get("first").expect("the key's alias");
}

#[test]
fn what_the_cache_answers_is_told_as_the_ledger_has_it() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&format!(
        "litellm_settings: {{cache: true, cache_params: {{type: local}}, callbacks: [prometheus]}}\nmodel_list:\n{}",
        deployment("a", "openai/gpt-4o", &upstream, "")
            + &deployment("b", "anthropic/claude-sonnet-4-5", &upstream, "")
    ));
    let stage = Stage { upstream, gateway };
    let clients = [stage.key(json!({})), stage.key(json!({}))];
    for client in &clients {
        for body in [
            chat("a", "hi", json!({})),
            chat("b", "hi", json!({"stream": true, "stream_options": {"include_usage": true}})),
        ] {
            (0..3).for_each(|_| assert_eq!(client.post("/v1/chat/completions", &body).status, 200));
        }
    }
    let books = stage.books(2 * 2 * 3);
    assert_eq!(stage.upstream.count(), 4, "eight of them are hits");
    let told = Told::by(&stage.admin());
    let billion = 1_000_000_000;
    for (name, of) in [
        ("litellm_spend_metric_total", (|entry| entry.cost) as fn(&Booked) -> i64),
        ("litellm_input_tokens_metric_total", |entry| entry.input * 1_000_000_000),
        ("litellm_output_tokens_metric_total", |entry| entry.output * 1_000_000_000),
        ("litellm_total_tokens_metric_total", |entry| (entry.input + entry.output) * 1_000_000_000),
        ("litellm_requests_metric_total", |_| 1_000_000_000),
        ("litellm_cache_hits_metric_total", |entry| i64::from(entry.cost == 0) * 1_000_000_000),
        ("litellm_cache_misses_metric_total", |entry| i64::from(entry.cost != 0) * 1_000_000_000),
        ("litellm_cached_tokens_metric_total", |entry| match entry.cost {
            0 => (entry.input + entry.output) * 1_000_000_000,
            _ => 0,
        }),
    ] {
        assert_eq!(told.by_label(name, "hashed_api_key"), by_name(&books, CALLER, of), "{name}");
    }
    let hits = by_name(&books, GROUP, |entry| i64::from(entry.cost == 0) * billion);
    assert_eq!(told.by_label("litellm_cache_hits_total", "requested_model"), hits);
    assert_eq!(told.count("litellm_tokens_total"), told.count("litellm_total_tokens_metric_total"));
}

#[test]
fn every_request_is_told_once_by_how_it_ended() {
    let stage = Stage::start();
    let team = stage.admin().made("/team/new", json!({"team_alias": "red"}));
    let attempts = stage.mixed(team["team_id"].as_str().unwrap());
    stage.books(attempts);
    let told = Told::by(&stage.admin());
    let expected: BTreeMap<String, i64> =
        [("200", 10), ("400", 3), ("401", 1), ("408", 1), ("429", 1), ("499", 1), ("500", 1)]
            .into_iter()
            .map(|(status, times)| (status.to_owned(), times * 1_000_000_000))
            .collect();
    for name in ["litellm_proxy_total_requests_metric_total", "litellm_requests_total"] {
        assert_eq!(told.by_label(name, "status_code"), expected, "{name}");
    }
    let failed: i64 =
        expected.iter().filter(|(status, _)| *status != "200").map(|(_, n)| n / 1_000_000_000).sum();
    for name in [
        "litellm_proxy_failed_requests_metric_total",
        "litellm_errors_total",
        "litellm_self_failed_requests_total",
    ] {
        assert_eq!(told.count(name), failed, "{name}");
    }
    let fell_back = told.of("litellm_deployment_successful_fallbacks_total").next().expect("a fallback");
    let labels = ["requested_model", "fallback_model", "exception_status", "exception_class"];
    assert_eq!(labels.map(|label| &*fell_back.labels[label]), ["a", "b", "429", "Openai.RateLimitError"]);
    let text = stage.admin().get("/metrics").text();
    for secret in
        ["sk-upstream", "sk-wrong", "nobody-knows-this-model", gatewright_tests::gateway::MASTER_KEY]
    {
        assert!(!text.contains(secret), "{secret} stands in the text");
    }
    for name in ["litellm_cache_hits_metric_total{", "litellm_cache_misses_metric_total{"] {
        assert!(!text.contains(name), "there is no cache");
    }
}

#[test]
fn whoever_asks_for_open_metrics_gets_them() {
    let stage = Stage::start();
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let answer = stage.admin().header("accept", accept).get("/metrics");
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(answer.text().ends_with("# EOF\n"));
}

#[test]
fn metadata_and_tags_of_keys_are_labels_where_somebody_wants_them() {
    let stage = Stage::with(
        ", custom_prometheus_metadata_labels: [metadata.cost.center, metadata.region], custom_prometheus_tags: [prod]",
    );
    let team =
        stage.admin().made("/team/new", json!({"metadata": {"region": "eu", "cost": {"center": "1"}}}));
    let said = json!({"cost": {"center": "42"}, "tags": ["prod"]});
    let key = stage.key(json!({"team_id": team["team_id"], "metadata": said}));
    assert_eq!(key.chat("b", "hi").status, 200);
    stage.books(1);
    let told = Told::by(&stage.admin());
    for name in ["litellm_spend_metric_total", "litellm_proxy_total_requests_metric_total"] {
        let sample = told.of(name).next().expect("a series");
        let labels =
            ["metadata_cost_center", "metadata_region", "tag_prod"].map(|label| &*sample.labels[label]);
        assert_eq!(labels, ["42", "eu", "true"], "{name}: the key's own, else its team's");
    }
}

#[test]
fn a_series_that_nothing_is_added_to_ends() {
    let ends = ", prometheus_metrics_ttl_seconds: 1, prometheus_metrics_cleanup_interval_seconds: 0";
    let stage = Stage::with(ends);
    let key = stage.key(json!({}));
    assert_eq!(key.chat("b", "hi").status, 200);
    let gone = || Told::by(&stage.admin()).of("litellm_spend_metric_total").next().is_none().then_some(());
    poll(PATIENCE, gone).expect("a series that ends");
    assert_eq!(key.chat("b", "hi").status, 200);
    poll(PATIENCE, gone).expect("and ends again");
}

#[test]
fn budgets_are_told_before_their_holders_call() {
    let mut stage = Stage::with(", prometheus_initialize_budget_metrics: true");
    let admin = stage.admin();
    let team =
        admin.made("/team/new", json!({"team_alias": "red", "max_budget": 9, "budget_duration": "30d"}));
    admin.made("/key/generate", json!({"key_alias": "first", "max_budget": 5}));
    admin.made("/key/generate", json!({"key_alias": "free"}));
    admin.made("/user/new", json!({"user_id": "u1", "max_budget": 3, "auto_create_key": false}));
    stage.gateway.kill();
    stage.gateway.restart();
    let told = |told: &Told, name: &str, label: &str| {
        told.of(name)
            .map(|sample| (sample.labels[label].clone(), sample.value.clone()))
            .collect::<BTreeMap<String, String>>()
    };
    let one = |label: &str, value: &str| BTreeMap::from([(label.to_owned(), value.to_owned())]);
    let all = poll(PATIENCE, || {
        let all = Told::by(&stage.admin());
        let is_read = all.of("litellm_user_max_budget_metric").next().is_some();
        is_read.then_some(all)
    });
    let all = all.expect("budgets that nobody has spent of");
    assert_eq!(told(&all, "litellm_api_key_max_budget_metric", "api_key_alias"), one("first", "5"));
    assert_eq!(told(&all, "litellm_remaining_api_key_budget_metric", "api_key_alias"), one("first", "5"));
    assert_eq!(told(&all, "litellm_team_max_budget_metric", "team_alias"), one("red", "9"));
    assert_eq!(told(&all, "litellm_user_max_budget_metric", "user"), one("u1", "3"));
    let hours = told(&all, "litellm_team_budget_remaining_hours_metric", "team");
    assert!(hours.contains_key(team["team_id"].as_str().unwrap()), "{hours:?}");
}
