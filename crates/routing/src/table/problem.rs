//! What is wrong with a configuration, in words for its author.

use std::fmt;
use std::sync::Arc;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The deployment, group or alias it is about.
    pub about: Arc<str>,
    /// What is wrong with it.
    pub what: String,
}

// === impl Problem ===

impl Problem {
    pub(super) fn new(about: &Arc<str>, what: impl Into<String>) -> Self {
        Self { about: about.clone(), what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.what)
    }
}

impl std::error::Error for Problem {}
