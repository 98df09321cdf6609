//! One alert, before anybody is told.

use crate::{Event, Kind};

/// Something that people should look at. No prompt, no completion and no key is in it: it leaves the house.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What it is about.
    pub kind: Kind,
    /// Which one it is about (a model, a budget). Alerts of the same kind and subject are the same.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// What happened, in one line.
    pub title: String,
    /// What is known of it, in the order in which it is shown.
    pub facts: Vec<(&'static str, String)>,
    /// The same as LiteLLM's webhooks tell it, where they do.
    pub event: Option<Event>,
}

/// How bad it is, in LiteLLM's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Low,
    /// Calls may fail.
    Medium,
    /// Calls fail.
    High,
}

// === impl Alert ===

impl Alert {
    /// One without facts.
    pub fn new(kind: Kind, subject: impl Into<String>, severity: Severity, title: impl Into<String>) -> Self {
        let (subject, title) = (subject.into(), title.into());
        Self { kind, subject, severity, title, facts: Vec::new(), event: None }
    }

    /// With one more fact.
    #[must_use]
    pub fn fact(mut self, name: &'static str, value: impl ToString) -> Self {
        self.facts.push((name, value.to_string()));
        self
    }

    /// With one more fact, where it is known.
    #[must_use]
    pub fn fact_if(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.fact(name, value),
            None => self,
        }
    }

    /// With what a webhook tells.
    #[must_use]
    pub fn event(self, event: Event) -> Self {
        Self { event: Some(event), ..self }
    }
}

// === impl Severity ===

impl Severity {
    /// LiteLLM's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }
}
