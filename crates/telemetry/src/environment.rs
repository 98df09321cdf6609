//! Settings from the variables that OpenTelemetry standardises, and from the ones that LiteLLM's users already set.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use gatewright_core::Secret;
use http::{HeaderName, HeaderValue, Uri};

use crate::{Batch, Compression, Detail, Format, Logs, Otlp, Protocol, Sampler, Settings, SpanLimits};

const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
const DEFAULT_GRPC_ENDPOINT: &str = "http://localhost:4317";
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
        let (logs, detail) = (env.logs(), env.detail());
        let mut settings = Self { logs, detail, traces: env.traces(resource), ..Self::default() };
        if let Some(name) = env.text("OTEL_SERVICE_NAME").or(named) {
            settings.service_name = name;
        }
        let propagators = env.text("OTEL_PROPAGATORS");
        let listed =
            |name| propagators.as_deref().map(|list| list.split(',').any(|other| other.trim() == name));
        settings.propagate = listed("tracecontext").unwrap_or(settings.traces.is_some());
        // Baggage may say more than a provider should know, so it goes there only where that is asked for.
        settings.baggage = listed("baggage").unwrap_or(false);
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

    fn detail(&self) -> Detail {
        let is = |variable, words: &[&str]| {
            self.text(variable).is_some_and(|text| words.iter().any(|word| text.eq_ignore_ascii_case(word)))
        };
        let opted_in = self.text("OTEL_SEMCONV_STABILITY_OPT_IN").unwrap_or_default();
        Detail {
            content: is(
                "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
                &["true", "1", "span_only", "span_and_event"],
            ),
            latest: opted_in.split(',').any(|name| name.trim() == "gen_ai_latest_experimental"),
            ..Detail::default()
        }
    }

    fn traces(&mut self, mut resource: Vec<(String, String)>) -> Option<Otlp> {
        if self.flag("OTEL_SDK_DISABLED") {
            return None;
        }
        let (wanted, named) = self.exporter()?;
        let protocol = match named {
            Some(Protocol::Console) => Protocol::Console,
            named => self.protocol().or(named).unwrap_or_default(),
        };
        let endpoint = match protocol {
            Protocol::Console => Uri::default(),
            Protocol::Http | Protocol::Json | Protocol::Grpc => self.endpoint(wanted, protocol)?,
        };
        if let Some(name) = self.text("OTEL_ENVIRONMENT_NAME") {
            let names = ["deployment.environment", "deployment.environment.name"];
            resource.extend(names.map(|key| (key.to_owned(), name.clone())));
        }
        Some(Otlp {
            protocol,
            headers: self.headers(),
            timeout: self.timeout(),
            batch: self.batch(),
            resource: resource.into_iter().filter(|(key, _)| key != "service.name").collect(),
            sampler: self.sampler(),
            limits: self.limits(),
            compression: self.compression(),
            ..Otlp::new(endpoint)
        })
    }

    /// `None`: no exporter; else whether one was asked for by name, which makes the endpoint optional, and what its name
    /// says that it speaks.
    fn exporter(&mut self) -> Option<(bool, Option<Protocol>)> {
        let (variable, name) = match self.text("OTEL_TRACES_EXPORTER") {
            Some(name) => ("OTEL_TRACES_EXPORTER", name),
            None => ("OTEL_EXPORTER", self.text("OTEL_EXPORTER").unwrap_or_default()),
        };
        match name.as_str() {
            "" => Some((false, None)),
            "otlp" => Some((true, None)),
            "otlp_http" | "http/protobuf" => Some((true, Some(Protocol::Http))),
            "http/json" => Some((true, Some(Protocol::Json))),
            "otlp_grpc" | "grpc" => Some((true, Some(Protocol::Grpc))),
            "console" => Some((true, Some(Protocol::Console))),
            "none" => None,
            _ => {
                self.problem(variable, "expected otlp, otlp_http, otlp_grpc, console or none");
                None
            }
        }
    }

    fn endpoint(&mut self, wanted: bool, protocol: Protocol) -> Option<Uri> {
        let is_grpc = protocol == Protocol::Grpc;
        let below = |base: &str| if is_grpc { with_scheme(base) } else { below(base) };
        let traces = self.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let base = self.text("OTEL_EXPORTER_OTLP_ENDPOINT");
        let (variable, text) = match (traces, base, self.text("OTEL_ENDPOINT")) {
            (Some(whole), ..) if is_grpc => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", with_scheme(&whole)),
            (Some(whole), ..) => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", whole),
            (None, Some(base), _) => ("OTEL_EXPORTER_OTLP_ENDPOINT", below(&base)),
            (None, None, Some(either)) if either.ends_with(TRACES_PATH) => ("OTEL_ENDPOINT", either),
            (None, None, Some(base)) => ("OTEL_ENDPOINT", below(&base)),
            (None, None, None) if wanted => {
                let default = if is_grpc { DEFAULT_GRPC_ENDPOINT } else { DEFAULT_ENDPOINT };
                ("OTEL_TRACES_EXPORTER", below(default))
            }
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

    fn protocol(&mut self) -> Option<Protocol> {
        let variables = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
        let (variable, said) = variables.into_iter().find_map(|name| Some((name, self.text(name)?)))?;
        match said.as_str() {
            "http/protobuf" => Some(Protocol::Http),
            "http/json" => Some(Protocol::Json),
            "grpc" => Some(Protocol::Grpc),
            _ => {
                self.problem(variable, "expected grpc, http/protobuf or http/json");
                None
            }
        }
    }

    fn compression(&mut self) -> Compression {
        let variables = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
        let said = variables.into_iter().find_map(|name| Some((name, self.text(name)?)));
        match said {
            None => Compression::None,
            Some((variable, said)) => match said.as_str() {
                "none" => Compression::None,
                "gzip" => Compression::Gzip,
                _ => {
                    self.problem(variable, "expected gzip or none");
                    Compression::None
                }
            },
        }
    }

    /// What is said of spans counts before what is said of everything.
    fn limits(&mut self) -> SpanLimits {
        let SpanLimits { attributes, events } = SpanLimits::default();
        let attributes = self.number("OTEL_ATTRIBUTE_COUNT_LIMIT", attributes);
        SpanLimits {
            attributes: self.number("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", attributes),
            events: self.number("OTEL_SPAN_EVENT_COUNT_LIMIT", events),
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
        let Batch { queue, queue_bytes, size, .. } = Batch::default();
        Batch {
            schedule_delay: Duration::from_millis(self.millis("OTEL_BSP_SCHEDULE_DELAY", 5_000)),
            queue: self.number("OTEL_BSP_MAX_QUEUE_SIZE", queue),
            queue_bytes,
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

/// The address of a gRPC receiver is often told without a scheme.
fn with_scheme(address: &str) -> String {
    let address = address.trim_end_matches('/');
    if address.contains("://") { address.to_owned() } else { format!("http://{address}") }
}

pub(crate) fn percent_decoded(text: &str) -> Option<String> {
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
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "9"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "8"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ])
        .unwrap();
        let otlp = settings.traces.unwrap();
        let headers: Vec<_> =
            otlp.headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
        assert_eq!(settings.service_name, "other");
        assert_eq!(headers, [("authorization", "Basic abc"), ("x-team", "a")]);
        assert_eq!(otlp.timeout, Duration::from_millis(1500));
        let batch =
            Batch { schedule_delay: Duration::from_millis(200), queue: 16, size: 8, ..Batch::default() };
        assert_eq!(otlp.batch, batch);
        assert_eq!(otlp.resource, [("deployment.environment.name".into(), "lab".into())]);
        assert_eq!(otlp.sampler, Sampler::Parent(0.25));
        assert_eq!(otlp.limits, SpanLimits { attributes: 9, events: 8 });
        assert_eq!(otlp.compression, Compression::Gzip);
        assert_eq!(read(&[("OTEL_SERVICE_NAME", "mine")]).unwrap().service_name, "mine");
    }

    #[test]
    fn what_the_receiver_speaks_is_said_by_its_protocol_or_its_name() {
        let speaks = |variables: &[(&str, &str)]| {
            let otlp = read(variables).unwrap().traces.unwrap();
            (otlp.protocol, otlp.endpoint.to_string())
        };
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        for (variables, protocol, endpoint) in [
            (&[base][..], Protocol::Http, "http://c:4317/v1/traces"),
            (&[base, grpc], Protocol::Grpc, "http://c:4317/"),
            (&[base, ("OTEL_EXPORTER", "otlp_grpc")], Protocol::Grpc, "http://c:4317/"),
            (&[("OTEL_ENDPOINT", "c:4317"), grpc], Protocol::Grpc, "http://c:4317/"),
            (&[("OTEL_EXPORTER", "otlp_grpc")], Protocol::Grpc, "http://localhost:4317/"),
            (
                &[base, grpc, ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")],
                Protocol::Http,
                "http://c:4317/v1/traces",
            ),
            (
                &[base, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
                Protocol::Json,
                "http://c:4317/v1/traces",
            ),
            (&[("OTEL_EXPORTER", "console")], Protocol::Console, "/"),
            (&[base, ("OTEL_TRACES_EXPORTER", "console")], Protocol::Console, "/"),
        ] {
            assert_eq!(speaks(variables), (protocol, endpoint.into()), "{variables:?}");
        }
    }

    #[test]
    fn nothing_that_was_said_is_told_unless_it_is_asked_for() {
        const CAPTURE: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
        for (variables, content) in [
            (&[][..], false),
            (&[(CAPTURE, "true")], true),
            (&[(CAPTURE, "SPAN_ONLY")], true),
            (&[(CAPTURE, "event_only")], false),
            (&[(CAPTURE, "false")], false),
        ] {
            assert_eq!(read(variables).unwrap().detail.content, content, "{variables:?}");
        }
        let opted = [("OTEL_SEMCONV_STABILITY_OPT_IN", "http, gen_ai_latest_experimental")];
        assert!(read(&opted).unwrap().detail.latest && !read(&[]).unwrap().detail.latest);
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
            let listed = variables.iter().any(|(_, value)| value.contains("baggage"));
            assert_eq!(read(variables).unwrap().baggage, listed, "{variables:?}");
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
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/xml"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "sk-secret"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
            ("OTEL_TRACES_SAMPLER", "coin"),
            ("OTEL_TRACES_SAMPLER_ARG", "7"),
            ("LITELLM_LOG", "loud"),
        ])
        .err()
        .unwrap();
        assert_eq!(problems.len(), 7, "{problems:?}");
        assert!(problems.iter().all(|problem| !problem.to_string().contains("sk-secret")));
    }
}
