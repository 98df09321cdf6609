//! The names of LiteLLM's callbacks: those that are sinks here, those that others read, and those that are not built in.

use crate::config::read::Section;

/// What a sink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any HTTP endpoint.
    Webhook,
    /// Langfuse, by its ingestion API.
    Langfuse,
    /// Langfuse, by its OpenTelemetry endpoint.
    LangfuseOtel,
    /// Helicone.
    Helicone,
    /// Lunary.
    Lunary,
    /// A store that speaks S3.
    S3,
    /// A file of JSON lines.
    File,
}

/// What a name of a list is.
pub(super) enum Name {
    /// A sink.
    Sink(Kind),
    /// Something that another part of the gateway reads.
    Elsewhere,
    /// Neither, and why.
    Unknown(String),
}

const SINKS: [(&str, Kind); 9] = [
    ("generic_api", Kind::Webhook),
    ("webhook", Kind::Webhook),
    ("langfuse", Kind::Langfuse),
    ("langfuse_otel", Kind::LangfuseOtel),
    ("helicone", Kind::Helicone),
    ("lunary", Kind::Lunary),
    ("s3_v2", Kind::S3),
    ("s3", Kind::S3),
    ("json_file", Kind::File),
];

/// Metrics, traces and alerts.
const ELSEWHERE: [&str; 6] =
    ["prometheus", "prometheus_system", "otel", "opentelemetry", "slack", "dynamic_rate_limiter"];

/// What else LiteLLM sends records to.
const NOT_BUILT: [&str; 55] = [
    "agentops",
    "argilla",
    "arize",
    "arize_phoenix",
    "athina",
    "aws_sqs",
    "azure_sentinel",
    "azure_storage",
    "bitbucket",
    "braintrust",
    "clickhouse",
    "cloudzero",
    "datadog",
    "datadog_llm_observability",
    "datadog_metrics",
    "deepeval",
    "dotprompt",
    "dynamodb",
    "focus",
    "galileo",
    "gcs_bucket",
    "gcs_pubsub",
    "gitlab",
    "greenscale",
    "humanloop",
    "lago",
    "langsmith",
    "langtrace",
    "levo",
    "literalai",
    "logfire",
    "mavvrik",
    "mlflow",
    "newrelic",
    "openmeter",
    "opik",
    "pagerduty",
    "pointfive",
    "posthog",
    "promptlayer",
    "resend_email",
    "rubrik",
    "sendgrid_email",
    "sentry",
    "signoz",
    "smtp_email",
    "supabase",
    "ternary",
    "traceloop",
    "vantage",
    "wandb",
    "weave_otel",
    "weights_biases",
    "zerobus",
    "anthropic_cache_control_hook",
];

/// How alike two names must be for one to be offered in place of the other.
const ALIKE: f64 = 0.85;

/// What this name is. One that the settings know is what they say.
pub(super) fn of(name: &str, said: &Section<'_>) -> Name {
    let typed = said.value(name).and_then(|own| own.get("callback_type")?.as_str());
    if let Some(kind) = kind(typed.unwrap_or(name)) {
        return Name::Sink(kind);
    }
    if ELSEWHERE.contains(&name) {
        return Name::Elsewhere;
    }
    if NOT_BUILT.contains(&name) {
        let words = format!("`{name}`, which LiteLLM has, is not built in: no record goes there");
        return Name::Unknown(words);
    }
    if name.contains('.') {
        let words = format!("`{name}`: Python is not run here; a sink of one's own is written in Rust");
        return Name::Unknown(words);
    }
    let names = SINKS.iter().map(|(name, _)| *name).chain(ELSEWHERE);
    let scored = names.map(|other| (strsim::jaro_winkler(other, name), other));
    let nearest = scored.filter(|(score, _)| *score >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    Name::Unknown(match nearest {
        Some((_, other)) => format!("there is no sink `{name}`; did you mean `{other}`?"),
        None => format!("there is no sink `{name}`; no record goes there"),
    })
}

/// The sink of this name.
pub(super) fn kind(name: &str) -> Option<Kind> {
    SINKS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}
