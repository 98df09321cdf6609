//! What becomes of the record of a call: what its client asks, and what its caller's own settings say.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::Secret;

/// What a client asks to become of the record of its call.
#[derive(Clone, Debug, Default)]
pub struct RecordWishes {
    /// There shall be none.
    pub skip: bool,
    /// It shall not hold what was asked and answered.
    pub redact: bool,
    /// Sinks that shall not get it, by their names.
    pub without: Vec<Arc<str>>,
    /// What the client noted with its request: an object.
    pub metadata: Option<Arc<Value>>,
}

/// What a caller's own settings say of the records of its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Where they go besides the operator's sinks.
    pub sinks: Vec<OwnSink>,
    /// Whether they are without what was asked and answered.
    pub redact: bool,
}

/// A sink of a caller's own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OwnSink {
    /// What kind it is, by LiteLLM's name: `langfuse`.
    pub name: Arc<str>,
    /// Whether it gets calls that succeeded.
    pub success: bool,
    /// Whether it gets calls that failed.
    pub failure: bool,
    /// Where it is and how it is entered: `langfuse_host`, `langfuse_secret_key`.
    pub vars: Vec<(Arc<str>, Secret)>,
}

impl fmt::Debug for OwnSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSink").field("name", &self.name).finish_non_exhaustive()
    }
}
