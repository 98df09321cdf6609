//! What can be set: how logs look, and where spans go.

use std::time::Duration;

use gatewright_core::Secret;
use http::{HeaderName, Uri};

/// Everything that [`init`](crate::init) needs to know.
#[derive(Clone)]
pub struct Settings {
    /// `service.name` of every span.
    pub service_name: String,
    /// What the log says, and how.
    pub logs: Logs,
    /// Where spans go; `None` makes no spans at all.
    pub traces: Option<Otlp>,
    /// Whether a client's W3C trace context is continued towards the upstream, spans or not.
    pub propagate: bool,
}

/// What the log says, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// How a line looks.
    pub format: Format,
    /// Which lines there are: `target=level` directives, separated by commas.
    pub filter: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Pretty,
}

/// A receiver of spans that speaks OTLP over HTTP with protobuf bodies.
#[derive(Clone)]
pub struct Otlp {
    /// The whole URL, path included.
    pub endpoint: Uri,
    /// Sent with every export: credentials, mostly.
    pub headers: Vec<(HeaderName, Secret)>,
    /// The longest that one export may take.
    pub timeout: Duration,
    /// How spans are gathered before they leave.
    pub batch: Batch,
    /// What every span says about this process, beside the service's name.
    pub resource: Vec<(String, String)>,
    /// Which traces are recorded.
    pub sampler: Sampler,
}

/// How spans are gathered before they leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The longest that a span waits for company.
    pub schedule_delay: Duration,
    /// Spans that may wait; more are dropped.
    pub queue: usize,
    /// The most spans in one export.
    pub size: usize,
}

/// Which traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampler {
    /// All of them.
    Always,
    /// None: contexts still travel.
    Never,
    /// This share, chosen by the trace's id.
    Ratio(f64),
    /// As the client says; what has no client's word, in this share.
    Parent(f64),
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self { service_name: "gatewright".into(), logs: Logs::default(), traces: None, propagate: false }
    }
}

impl Default for Logs {
    fn default() -> Self {
        Self { format: Format::default(), filter: "warn,gatewright=info".into() }
    }
}

// === impl Otlp ===

impl Otlp {
    /// A receiver with the defaults of the OpenTelemetry specification.
    pub fn new(endpoint: Uri) -> Self {
        Self {
            endpoint,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            batch: Batch::default(),
            resource: Vec::new(),
            sampler: Sampler::Parent(1.0),
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self { schedule_delay: Duration::from_secs(5), queue: 2048, size: 512 }
    }
}
