//! What Prometheus is told: LiteLLM's metrics under their names, and figures of our own.

mod beside;
pub use beside::{AlertFigures, CacheFigures};

mod figures;
pub use figures::{
    BudgetFigures, DeploymentFigures, DoorFigures, Figures, LedgerFigures, MirrorFigures, RedisFigures,
};

mod label;
pub use label::Label;

mod table;
pub use table::{Kind, Metric};

mod omitted;
pub use omitted::{OMITTED, Omitted};

mod settings;
pub use settings::{MetricGroup, MetricSettings};

mod text;
pub use text::TextFormat;

mod cell;

mod family;

mod series;

mod words;

mod route;

mod marks;

mod meter;
pub use meter::{Balances, Meter};

mod call;
pub use call::MeteredCalls;

mod attempt;

mod standing;
