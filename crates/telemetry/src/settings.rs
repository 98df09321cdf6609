//! What can be set: how logs look, and where spans go.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::Secret;
use http::{HeaderName, Uri};

use crate::{Sampler, SpanLimits};

/// Everything that [`init`](crate::init) needs to know.
#[derive(Clone)]
pub struct Settings {
    /// `service.name` of every span.
    pub service_name: String,
    /// What the log says, and how.
    pub logs: Logs,
    /// Where spans go; `None` makes no spans at all.
    pub traces: Option<Otlp>,
    /// What spans tell.
    pub detail: Detail,
    /// Whether a client's W3C trace context is continued towards the upstream, spans or not.
    pub propagate: bool,
    /// Whether a client's W3C baggage goes to the upstream too.
    pub baggage: bool,
}

/// What spans tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Whether they tell what was asked and what was answered. Not by default: it is what people said.
    pub content: bool,
    /// The most bytes of each of the two that they tell; the rest is cut off. An answer takes up to 32 times as much while it
    /// comes.
    pub content_bytes: usize,
    /// Whether they tell who calls: key, team, user and so on.
    pub identities: bool,
    /// Whether names are those of the newest GenAI conventions where these differ from version 1.41.
    pub latest: bool,
    /// Whether they have OpenInference's attributes too.
    pub open_inference: bool,
    /// Members of the client's baggage that become attributes.
    pub baggage: Vec<Arc<str>>,
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

/// A receiver of spans.
#[derive(Clone)]
pub struct Otlp {
    /// The whole URL, path included; of gRPC the path below which services are, which is none mostly.
    pub endpoint: Uri,
    /// What it speaks.
    pub protocol: Protocol,
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
    /// How much there may be in one span.
    pub limits: SpanLimits,
    /// Whether exports are packed.
    pub compression: Compression,
}

/// What a receiver of spans speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over HTTP with protobuf bodies.
    #[default]
    Http,
    /// The same with bodies of JSON.
    Json,
    /// OTLP over gRPC: the transport must speak HTTP/2 without asking.
    Grpc,
    /// None: each span is a line of JSON on standard output.
    Console,
}

/// Whether exports are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// They go out as they are.
    #[default]
    None,
    /// They take a tenth of the way and some time of a core.
    Gzip,
}

/// How spans are gathered before they leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The longest that a span waits for company.
    pub schedule_delay: Duration,
    /// Spans that may wait or be on their way; more are dropped.
    pub queue: usize,
    /// Bytes that they may take; what comes when there is no room is dropped.
    pub queue_bytes: usize,
    /// The most spans in one export.
    pub size: usize,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            service_name: "gatewright".into(),
            logs: Logs::default(),
            traces: None,
            detail: Detail::default(),
            propagate: false,
            baggage: false,
        }
    }
}

impl Default for Detail {
    fn default() -> Self {
        Self {
            content: false,
            content_bytes: 64 * 1024,
            identities: true,
            latest: false,
            open_inference: false,
            baggage: Vec::new(),
        }
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
            protocol: Protocol::default(),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            batch: Batch::default(),
            resource: Vec::new(),
            sampler: Sampler::Parent(1.0),
            limits: SpanLimits::default(),
            compression: Compression::default(),
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self { schedule_delay: Duration::from_secs(5), queue: 2048, queue_bytes: 64 * 1024 * 1024, size: 512 }
    }
}
