//! What is wrong with a configuration, all of it at once.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but not as written.
    Warning,
    /// The gateway does not start with it.
    Error,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where: `model_list[2].litellm_params.api_bse`.
    pub path: String,
    /// What, in words for the operator.
    pub message: String,
}

/// The problems found so far.
#[derive(Clone, Debug, Default)]
pub struct Problems(Vec<Problem>);

// === impl Problem ===

impl Problem {
    /// Where and what, for whoever wrote it in a request.
    pub fn told(&self) -> String {
        format!("{}: {}", self.path, self.message)
    }
}

// === impl Problems ===

impl Problems {
    /// The gateway will not start.
    pub fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { severity: Severity::Error, path: path.into(), message: message.into() });
    }

    /// Something does not work as written.
    pub fn warn(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { severity: Severity::Warning, path: path.into(), message: message.into() });
    }

    /// Adds those that are not among them already.
    pub(super) fn add_new(&mut self, others: Self) {
        let new = others.0.into_iter().filter(|problem| !self.0.contains(problem)).collect::<Vec<_>>();
        self.0.extend(new);
    }

    /// All of them, in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// Those with which the gateway does not start.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter().filter(|problem| problem.severity == Severity::Error)
    }

    /// Whether the gateway can start.
    pub fn are_fatal(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{word}: {}: {}", self.path, self.message)
    }
}
