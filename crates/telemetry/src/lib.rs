#![doc = include_str!("../README.md")]

mod settings;
pub use settings::{Batch, Compression, Detail, Format, Logs, Otlp, Protocol, Settings};

mod sampling;
pub use sampling::Sampler;

mod environment;
pub use environment::Problem;

mod lane;

mod tracer;
pub use tracer::Tracer;

mod attributes;
mod span;
mod spare;
mod times;
mod wire;
pub use span::SpanLimits;

mod decided;
mod described;
mod ending;
mod traced;
pub use traced::{Pricing, Traced};

mod content;
mod open_inference;

mod refused;
pub use refused::Refusal;

mod upstream;
pub use upstream::UpstreamSpan;

pub mod semconv;

mod baggage;
mod context;

mod guard;
pub use guard::{Guard, InitError, init};

mod console;
mod envelope;
mod export;
mod grpc;
mod json;
mod queue;
mod written;
pub use queue::{SpanCounts, SpanFigures};

mod metrics;
pub use metrics::{
    AlertFigures, Balances, BudgetFigures, CacheFigures, DeploymentFigures, DoorFigures, Figures, Kind,
    Label, LedgerFigures, Meter, MeteredCalls, Metric, MetricGroup, MetricSettings, MirrorFigures, OMITTED,
    Omitted, RedisFigures, TextFormat,
};

mod logs;
