//! The canonical conversation: a superset of the dialects with a place for what it does not know.

mod answer;
mod event;
mod request;
mod turn;

pub use answer::{Answer, Choice, Finish};
pub use event::{Delta, Event, PartKind};
pub use request::{Chat, Effort, Output, Reasoning, Sampling, Tool, ToolChoice};
pub use turn::{CacheMark, Media, MediaKind, MediaSource, Part, Role, ToolCall, ToolResult, Turn};

/// Fields that only one dialect knows, kept as they came.
pub type Extra = serde_json::Map<String, serde_json::Value>;
