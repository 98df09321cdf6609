//! The scenarios, and what each may cost.

/// One kind of traffic.
pub(crate) struct Scenario {
    /// How `--only` and the report call it.
    pub(crate) name: &'static str,
    /// The first part of the mock's path, and the gateway's model.
    pub(crate) model: &'static str,
    /// The path below it.
    pub(crate) upstream_path: &'static str,
    /// Bytes of a request.
    pub(crate) size: usize,
    /// What is counted.
    pub(crate) unit: Unit,
    /// How many clients ask at once.
    pub(crate) clients: usize,
    /// Whose key they have.
    pub(crate) caller: Caller,
    /// The most it may cost, as a multiple of the bare proxy's CPU.
    pub(crate) goal: f64,
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Whole answers.
    Request,
    /// Pieces of text in streams.
    Event,
}

/// Whose key is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The master key: no limit applies.
    Master,
    /// A virtual key with limits of every kind and a budget, all so high that nothing is refused.
    Limited(Ledger),
}

/// Where the gateway keeps its keys and its ledger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ledger {
    /// In a file of its own: the default.
    Sqlite,
    /// In a server.
    Postgres,
    /// In a server, and what is counted in a Redis that replicas share.
    Shared,
}

/// The servers that a gateway is told of, and how many calls it takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Servers {
    /// The URL of a PostgreSQL.
    pub(crate) database: Option<String>,
    /// The port of a Redis.
    pub(crate) redis: Option<u16>,
    /// How many calls it takes at a time, and as many wait.
    pub(crate) door: Option<usize>,
    /// What it does besides.
    pub(crate) besides: Option<Besides>,
}

/// What a gateway does besides answering calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Besides {
    /// It tells LiteLLM's metrics.
    Metrics,
    /// It traces every call.
    Traces,
}

/// The plain call once more, in another way.
pub(crate) struct Variant {
    /// How `--only` and the report call it.
    pub(crate) name: &'static str,
    /// The gateway's model.
    pub(crate) model: &'static str,
    /// What the gateway does besides; where that is nothing, it is the same gateway.
    pub(crate) besides: Option<Besides>,
    /// The most it may cost, as a multiple of the plain call's CPU.
    pub(crate) goal: f64,
}

/// All of them, in the order of the report.
pub(crate) const VARIANTS: [Variant; 3] = [
    Variant { name: "kept", model: KEPT, besides: None, goal: 0.7 },
    Variant { name: "metrics", model: "plain", besides: Some(Besides::Metrics), goal: 1.03 },
    Variant { name: "traces", model: "plain", besides: Some(Besides::Traces), goal: 1.25 },
];

const OPENAI: &str = "/v1/chat/completions";
const ANTHROPIC: &str = "/v1/messages";

/// All of them, in the order of the report.
pub(crate) const ALL: [Scenario; 10] = [
    plain("plain-1k", "plain", OPENAI, 1_000, 1.3),
    plain("plain-60k", "plain", OPENAI, 60_000, 1.5),
    stream("stream-paced", "paced", OPENAI, 100, 1.3),
    stream("stream-burst", "burst", OPENAI, 16, 0.5),
    plain("translated-1k", "translated", ANTHROPIC, 1_000, 1.8),
    stream("translated-paced", "translated-paced", ANTHROPIC, 100, 1.8),
    stream("translated-burst", "translated-burst", ANTHROPIC, 16, 1.8),
    limited("full-sqlite", Ledger::Sqlite, 1.6),
    limited("full-postgres", Ledger::Postgres, 1.6),
    limited("full-redis", Ledger::Shared, 2.2),
];

/// The model whose answers are kept. This one and the next are of no scenario.
pub(crate) const KEPT: &str = "kept";

/// The model whose answers take their time.
pub(crate) const SLOW: &str = "slow";

/// What the bare proxy costs once it keeps the gateway's ledger: no gateway with that promise costs less.
pub(crate) const FLOOR: Scenario = plain("floor-1k", "plain", OPENAI, 1_000, 1.3);

const fn plain(
    name: &'static str,
    model: &'static str,
    upstream_path: &'static str,
    size: usize,
    goal: f64,
) -> Scenario {
    Scenario {
        name,
        model,
        upstream_path,
        size,
        unit: Unit::Request,
        clients: 16,
        caller: Caller::Master,
        goal,
    }
}

/// The plain call with everything that applies to a virtual key.
const fn limited(name: &'static str, ledger: Ledger, goal: f64) -> Scenario {
    Scenario { caller: Caller::Limited(ledger), ..plain(name, "plain", OPENAI, 1_000, goal) }
}

const fn stream(
    name: &'static str,
    model: &'static str,
    upstream_path: &'static str,
    clients: usize,
    goal: f64,
) -> Scenario {
    Scenario {
        name,
        model,
        upstream_path,
        size: 1_000,
        unit: Unit::Event,
        clients,
        caller: Caller::Master,
        goal,
    }
}

// === impl Unit ===

impl Unit {
    /// Its name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Event => "event",
        }
    }
}

/// The gateway's configuration: one model for each of the mock's answers, everything else at its default.
pub(crate) fn config(mock: &str, master_key: &str, servers: &Servers) -> String {
    let mut text = String::from("model_list:\n");
    for Scenario { model, upstream_path, .. } in ALL {
        let (name, base) = match upstream_path == OPENAI {
            true => ("openai/gpt-4o", format!("http://{mock}/{model}/v1")),
            false => ("anthropic/claude-sonnet-4-5", format!("http://{mock}/{model}")),
        };
        // Two scenarios may share a model.
        if text.contains(&format!("model_name: {model}\n")) {
            continue;
        }
        text.push_str(&format!(
            "  - model_name: {model}\n    litellm_params:\n      model: {name}\n      api_base: {base}\n      \
             api_key: sk-upstream\n",
        ));
    }
    for model in [SLOW, KEPT] {
        text.push_str(&format!(
            "  - model_name: {model}\n    litellm_params:\n      model: openai/gpt-4o\n      \
             api_base: http://{mock}/{model}/v1\n      api_key: sk-upstream\n"
        ));
    }
    // Only the calls that ask for it are answered from what was kept.
    text.push_str("litellm_settings:\n  cache: true\n  cache_params: {type: local, mode: default_off}\n");
    if servers.besides == Some(Besides::Metrics) {
        text.push_str("  callbacks: [prometheus]\n");
    }
    text.push_str(&format!("general_settings:\n  master_key: {master_key}\n"));
    if let Some(calls) = servers.door {
        text.push_str(&format!(
            "  max_in_flight_requests_per_worker: {calls}\n  max_queued_requests_per_worker: {calls}\n"
        ));
    }
    if let Some(url) = &servers.database {
        text.push_str(&format!("  database_url: {url}\n"));
    }
    if let Some(port) = servers.redis {
        text.push_str(&format!("router_settings:\n  redis_host: 127.0.0.1\n  redis_port: {port}\n"));
    }
    text
}
