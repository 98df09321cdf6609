//! Settings from the variables that OpenTelemetry standardises, and from the ones that LiteLLM's users already set.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use gatewright_core::Secret;
use http::{HeaderName, HeaderValue, Uri};

use crate::{Batch, Format, Logs, Otlp, Sampler, Settings};

const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
const TRACES_PATH: &str = "/v1/traces";

/// A variable whose value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable's name.
    pub variable: &'static str,
    /// What is wrong with it; never its value, which may be a credential.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.why)
    }
}

// === impl Settings ===

impl Settings {
    /// Reads the variables through `variable`; all problems at once where there are any.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<Problem>> {
        let mut env = Environment { variable, problems: Vec::new() };
        let resource = env.pairs("OTEL_RESOURCE_ATTRIBUTES");
        let named = resource.iter().find(|(key, _)| key == "service.name").map(|(_, name)| name.clone());
        let mut settings = Self { logs: env.logs(), traces: env.traces(resource), ..Self::default() };
        if let Some(name) = env.text("OTEL_SERVICE_NAME").or(named) {
            settings.service_name = name;
        }
        settings.propagate = match env.text("OTEL_PROPAGATORS") {
            Some(list) => list.split(',').any(|name| name.trim() == "tracecontext"),
            None => settings.traces.is_some(),
        };
        match env.problems.is_empty() {
            true => Ok(settings),
            false => Err(env.problems),
        }
    }
}

struct Environment<F> {
    variable: F,
    problems: Vec<Problem>,
}

// === impl Environment ===

impl<F: Fn(&str) -> Option<String>> Environment<F> {
    fn logs(&mut self) -> Logs {
        let default = Logs::default();
        let level = self.text("LITELLM_LOG").and_then(|name| self.level(&name));
        let filter = self.text("RUST_LOG").or(level).unwrap_or(default.filter);
        let format = if self.flag("JSON_LOGS") { Format::Json } else { default.format };
        Logs { format, filter }
    }

    /// LiteLLM's level names are Python's; they are meant for the gateway's own lines.
    fn level(&mut self, name: &str) -> Option<String> {
        let level = match name.to_ascii_uppercase().as_str() {
            "DEBUG" => "debug",
            "INFO" => "info",
            "WARNING" | "WARN" => "warn",
            "ERROR" | "CRITICAL" => "error",
            _ => {
                self.problem("LITELLM_LOG", "expected DEBUG, INFO, WARNING or ERROR");
                return None;
            }
        };
        Some(format!("{},gatewright={level}", if level == "error" { "error" } else { "warn" }))
    }

    fn traces(&mut self, resource: Vec<(String, String)>) -> Option<Otlp> {
        if self.flag("OTEL_SDK_DISABLED") {
            return None;
        }
        let wanted = self.exporter()?;
        let endpoint = self.endpoint(wanted)?;
        self.protocol();
        Some(Otlp {
            headers: self.headers(),
            timeout: self.timeout(),
            batch: self.batch(),
            resource: resource.into_iter().filter(|(key, _)| key != "service.name").collect(),
            sampler: self.sampler(),
            ..Otlp::new(endpoint)
        })
    }

    /// `None`: no exporter; else whether one was asked for by name, which makes the endpoint optional.
    fn exporter(&mut self) -> Option<bool> {
        let (variable, name) = match self.text("OTEL_TRACES_EXPORTER") {
            Some(name) => ("OTEL_TRACES_EXPORTER", name),
            None => ("OTEL_EXPORTER", self.text("OTEL_EXPORTER").unwrap_or_default()),
        };
        match name.as_str() {
            "" => Some(false),
            "otlp" | "otlp_http" | "http/protobuf" => Some(true),
            "none" => None,
            _ => {
                self.problem(variable, "only otlp over http/protobuf is supported");
                None
            }
        }
    }

    fn endpoint(&mut self, wanted: bool) -> Option<Uri> {
        let traces = self.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let base = self.text("OTEL_EXPORTER_OTLP_ENDPOINT");
        let (variable, text) = match (traces, base, self.text("OTEL_ENDPOINT")) {
            (Some(whole), ..) => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", whole),
            (None, Some(base), _) => ("OTEL_EXPORTER_OTLP_ENDPOINT", below(&base)),
            (None, None, Some(either)) if either.ends_with(TRACES_PATH) => ("OTEL_ENDPOINT", either),
            (None, None, Some(base)) => ("OTEL_ENDPOINT", below(&base)),
            (None, None, None) if wanted => ("OTEL_TRACES_EXPORTER", below(DEFAULT_ENDPOINT)),
            (None, None, None) => return None,
        };
        match text.parse::<Uri>() {
            Ok(uri) if uri.authority().is_some() && matches!(uri.scheme_str(), Some("http" | "https")) => {
                Some(uri)
            }
            _ => {
                self.problem(variable, "expected an http:// or https:// URL");
                None
            }
        }
    }

    fn protocol(&mut self) {
        for variable in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            match self.text(variable).as_deref() {
                None => {}
                Some("http/protobuf") => return,
                Some(_) => return self.problem(variable, "only http/protobuf is supported"),
            }
        }
    }

    fn headers(&mut self) -> Vec<(HeaderName, Secret)> {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_HEADERS"];
        let Some(variable) = names.into_iter().find(|name| self.text(name).is_some()) else {
            return Vec::new();
        };
        let mut headers = Vec::new();
        for (name, value) in self.pairs(variable) {
            match (HeaderName::from_str(&name), HeaderValue::from_str(&value)) {
                (Ok(name), Ok(_)) => headers.push((name, value.into())),
                _ => self.problem(variable, "not a header"),
            }
        }
        headers
    }

    fn timeout(&mut self) -> Duration {
        let general = self.millis("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000);
        let timeout = self.millis("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", general);
        Duration::from_millis(timeout.min(self.millis("OTEL_BSP_EXPORT_TIMEOUT", 30_000)))
    }

    fn batch(&mut self) -> Batch {
        let Batch { queue, size, .. } = Batch::default();
        Batch {
            schedule_delay: Duration::from_millis(self.millis("OTEL_BSP_SCHEDULE_DELAY", 5_000)),
            queue: self.number("OTEL_BSP_MAX_QUEUE_SIZE", queue),
            size: self.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", size),
        }
    }

    fn sampler(&mut self) -> Sampler {
        let share = match self.number("OTEL_TRACES_SAMPLER_ARG", 1.0) {
            share if (0.0..=1.0).contains(&share) => share,
            _ => {
                self.problem("OTEL_TRACES_SAMPLER_ARG", "expected a share between 0 and 1");
                1.0
            }
        };
        match self.text("OTEL_TRACES_SAMPLER").as_deref() {
            None | Some("parentbased_always_on") => Sampler::Parent(1.0),
            Some("parentbased_always_off") => Sampler::Parent(0.0),
            Some("parentbased_traceidratio") => Sampler::Parent(share),
            Some("traceidratio") => Sampler::Ratio(share),
            Some("always_on") => Sampler::Always,
            Some("always_off") => Sampler::Never,
            Some(_) => {
                self.problem("OTEL_TRACES_SAMPLER", "not a sampler of the specification");
                Sampler::Parent(1.0)
            }
        }
    }

    /// `key=value` pairs, separated by commas, values percent-encoded.
    fn pairs(&mut self, variable: &'static str) -> Vec<(String, String)> {
        let list = self.text(variable).unwrap_or_default();
        let mut pairs = Vec::new();
        for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').map(|(key, value)| (key.trim(), percent_decoded(value.trim()))) {
                Some((key, Some(value))) if !key.is_empty() => pairs.push((key.into(), value)),
                _ => self.problem(variable, "expected key=value pairs, separated by commas"),
            }
        }
        pairs
    }

    fn millis(&mut self, variable: &'static str, default: u64) -> u64 {
        self.number(variable, default)
    }

    fn number<T: FromStr>(&mut self, variable: &'static str, default: T) -> T {
        let Some(text) = self.text(variable) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.problem(variable, "expected a number");
            default
        })
    }

    fn flag(&self, variable: &str) -> bool {
        self.text(variable).is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    }

    /// An empty variable counts as an unset one, as the specification asks.
    fn text(&self, variable: &str) -> Option<String> {
        (self.variable)(variable).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn problem(&mut self, variable: &'static str, why: &str) {
        self.problems.push(Problem { variable, why: why.into() });
    }
}

fn below(base: &str) -> String {
    format!("{}{TRACES_PATH}", base.trim_end_matches('/'))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<Problem>> {
        Settings::from_env(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn endpoint(variables: &[(&str, &str)]) -> Option<String> {
        read(variables).unwrap().traces.map(|otlp| otlp.endpoint.to_string())
    }

    #[test]
    fn spans_go_where_the_variables_say_and_nowhere_by_default() {
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
        for (variables, expected) in [
            (&[][..], None),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], None),
            (&[base], Some("http://c:4318/v1/traces")),
            (&[base, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/x")], Some("https://t/x")),
            (&[("OTEL_ENDPOINT", "http://c/v1/traces")], Some("http://c/v1/traces")),
            (&[("OTEL_ENDPOINT", "http://c")], Some("http://c/v1/traces")),
            (&[("OTEL_TRACES_EXPORTER", "otlp")], Some("http://localhost:4318/v1/traces")),
            (&[base, ("OTEL_TRACES_EXPORTER", "none")], None),
            (&[base, ("OTEL_SDK_DISABLED", "true")], None),
        ] {
            assert_eq!(endpoint(variables).as_deref(), expected, "{variables:?}");
        }
    }

    #[test]
    fn everything_about_the_export_can_be_set() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc, x-team = a"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("OTEL_BSP_SCHEDULE_DELAY", "200"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "16"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=lab"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ])
        .unwrap();
        let otlp = settings.traces.unwrap();
        let headers: Vec<_> =
            otlp.headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
        assert_eq!(settings.service_name, "other");
        assert_eq!(headers, [("authorization", "Basic abc"), ("x-team", "a")]);
        assert_eq!(otlp.timeout, Duration::from_millis(1500));
        assert_eq!(otlp.batch, Batch { schedule_delay: Duration::from_millis(200), queue: 16, size: 8 });
        assert_eq!(otlp.resource, [("deployment.environment.name".into(), "lab".into())]);
        assert_eq!(otlp.sampler, Sampler::Parent(0.25));
        assert_eq!(read(&[("OTEL_SERVICE_NAME", "mine")]).unwrap().service_name, "mine");
    }

    #[test]
    fn a_trace_context_travels_with_spans_or_where_it_is_asked_for() {
        let on = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c");
        for (variables, travels) in [
            (&[][..], false),
            (&[on], true),
            (&[on, ("OTEL_PROPAGATORS", "none")], false),
            (&[("OTEL_PROPAGATORS", "baggage, tracecontext")], true),
        ] {
            assert_eq!(read(variables).unwrap().propagate, travels, "{variables:?}");
        }
    }

    #[test]
    fn logs_follow_rust_log_then_litellm_log() {
        for (variables, filter) in [
            (&[][..], "warn,gatewright=info"),
            (&[("LITELLM_LOG", "DEBUG")], "warn,gatewright=debug"),
            (&[("LITELLM_LOG", "error")], "error,gatewright=error"),
            (&[("LITELLM_LOG", "DEBUG"), ("RUST_LOG", "trace")], "trace"),
        ] {
            assert_eq!(read(variables).unwrap().logs.filter, filter, "{variables:?}");
        }
        assert_eq!(read(&[("JSON_LOGS", "True")]).unwrap().logs.format, Format::Json);
    }

    #[test]
    fn all_problems_are_told_at_once_and_no_value_is_repeated() {
        let problems = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "sk-secret"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
            ("OTEL_TRACES_SAMPLER", "coin"),
            ("OTEL_TRACES_SAMPLER_ARG", "7"),
            ("LITELLM_LOG", "loud"),
        ])
        .err()
        .unwrap();
        assert_eq!(problems.len(), 6, "{problems:?}");
        assert!(problems.iter().all(|problem| !problem.to_string().contains("sk-secret")));
    }
}
