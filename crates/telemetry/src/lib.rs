#![doc = include_str!("../README.md")]

mod settings;
pub use settings::{Batch, Format, Logs, Otlp, Sampler, Settings};

mod environment;
pub use environment::Problem;

mod tracer;
pub use tracer::Tracer;

mod decided;
mod traced;
pub use traced::{Pricing, Traced};

mod upstream;
pub use upstream::UpstreamSpan;

pub mod semconv;

mod context;

mod guard;
pub use guard::{Guard, InitError, init};

mod export;

mod metrics;
pub use metrics::{BudgetFigures, DoorFigures, Figures, LedgerFigures, MirrorFigures, RedisFigures};

mod sink_figures;
pub use sink_figures::SinkFigures;

mod logs;
