//! The text that Prometheus reads, in both its forms.

use std::fmt::{Display, Write as _};

use super::table::Kind;

/// Which form of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextFormat {
    /// The classic one, 0.0.4.
    #[default]
    Plain,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// A text in the making.
pub(super) struct Text {
    out: String,
    format: TextFormat,
    /// The name that samples of the family have, without labels.
    sample: String,
}

// === impl TextFormat ===

impl TextFormat {
    /// The one that a client's `Accept` header asks for.
    pub fn accepted(accept: &str) -> Self {
        match accept.contains("application/openmetrics-text") {
            true => Self::OpenMetrics,
            false => Self::Plain,
        }
    }

    /// The type to send it with.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

// === impl Text ===

impl Text {
    pub(super) fn new(format: TextFormat, capacity: usize) -> Self {
        Self { out: String::with_capacity(capacity), format, sample: String::new() }
    }

    /// Begins a family: what follows are its samples.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let base = name.strip_suffix("_total").unwrap_or(name);
        let (typed, word) = match (kind, self.format) {
            (Kind::Count | Kind::Dollars, TextFormat::OpenMetrics) => (base.to_owned(), "counter"),
            (Kind::Count | Kind::Dollars, TextFormat::Plain) => (format!("{base}_total"), "counter"),
            (Kind::Seconds, _) => (name.to_owned(), "histogram"),
            (Kind::Level, _) => (name.to_owned(), "gauge"),
        };
        self.sample.clear();
        self.sample.push_str(match kind {
            Kind::Count | Kind::Dollars => base,
            Kind::Seconds | Kind::Level => name,
        });
        if matches!(kind, Kind::Count | Kind::Dollars) {
            self.sample.push_str("_total");
        }
        self.put(format_args!("# HELP {typed} {help}\n# TYPE {typed} {word}\n"));
    }

    /// One sample of the family; `labels` as they stand between the braces.
    pub(super) fn sample(&mut self, labels: &str, value: impl Display) {
        self.named("", labels, "", value);
    }

    /// The same with something behind the family's name, and behind the labels.
    pub(super) fn named(&mut self, suffix: &str, labels: &str, more: &str, value: impl Display) {
        self.out.push_str(&self.sample);
        self.out.push_str(suffix);
        if !labels.is_empty() || !more.is_empty() {
            self.out.push('{');
            self.out.push_str(labels);
            if !labels.is_empty() && !more.is_empty() {
                self.out.push(',');
            }
            self.out.push_str(more);
            self.out.push('}');
        }
        self.out.push(' ');
        self.put(format_args!("{value}"));
        self.out.push('\n');
    }

    /// All of it.
    pub(super) fn finish(mut self) -> String {
        if self.format == TextFormat::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn put(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing into a string does not fail.
        let _ = self.out.write_fmt(what);
    }
}

/// `name="value"`, with what must be escaped.
pub(super) fn push_label(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str(name);
    out.push_str("=\"");
    for letter in value.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
}
