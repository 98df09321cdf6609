//! Reads typed values out of a section, leniently as YAML users expect, and reports what does not fit.

use std::time::Duration;

use serde_json::{Map, Value};

use super::problem::Problems;

/// A section of the file with its place in it.
pub(super) struct Section<'a> {
    pub(super) path: String,
    map: &'a Map<String, Value>,
}

// === impl Section ===

impl<'a> Section<'a> {
    pub(super) fn new(path: impl Into<String>, map: &'a Map<String, Value>) -> Self {
        Self { path: path.into(), map }
    }

    /// The value as it is; `null` is absent.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A text; numbers and booleans are texts too (`api_version: 2024-02`).
    pub(super) fn text(&self, key: &str, problems: &mut Problems) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => self.wrong(key, "a text", problems),
        }
    }

    /// A non-negative whole number; `100`, `"100"` and `100.0`.
    pub(super) fn count(&self, key: &str, problems: &mut Problems) -> Option<u64> {
        match self.number(key, problems)? {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked by the guard"
            )]
            number if number >= 0.0 && number.fract() == 0.0 && number < 9e15 => Some(number as u64),
            _ => self.wrong(key, "a whole number that is not negative", problems),
        }
    }

    /// A whole number; also one in quotes.
    pub(super) fn integer(&self, key: &str, problems: &mut Problems) -> Option<i64> {
        let number = match self.value(key)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.or_else(|| self.wrong(key, "a whole number", problems))
    }

    /// A number; also one in quotes.
    pub(super) fn number(&self, key: &str, problems: &mut Problems) -> Option<f64> {
        let number = match self.value(key)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.or_else(|| self.wrong(key, "a number", problems))
    }

    /// A duration in seconds.
    pub(super) fn seconds(&self, key: &str, problems: &mut Problems) -> Option<Duration> {
        let number = self.number(key, problems)?;
        Duration::try_from_secs_f64(number).ok().or_else(|| self.wrong(key, "a number of seconds", problems))
    }

    /// The longest that something may take, in seconds. Zero is as good as nothing said, as in LiteLLM.
    pub(super) fn deadline(&self, key: &str, problems: &mut Problems) -> Option<Duration> {
        self.seconds(key, problems).filter(|time| !time.is_zero())
    }

    /// A switch; also `yes`, `no`, `on`, `off` as YAML 1.1 reads them.
    pub(super) fn flag(&self, key: &str, problems: &mut Problems) -> Option<bool> {
        let word = match self.value(key)? {
            Value::Bool(flag) => return Some(*flag),
            Value::String(text) => text.trim().to_ascii_lowercase(),
            _ => String::new(),
        };
        match word.as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => self.wrong(key, "true or false", problems),
        }
    }

    /// A list of texts; one text is a list of one.
    pub(super) fn texts(&self, key: &str, problems: &mut Problems) -> Vec<String> {
        let list = match self.value(key) {
            None => return Vec::new(),
            Some(Value::String(text)) => return vec![text.clone()],
            Some(Value::Array(list)) => list,
            Some(_) => return self.wrong(key, "a list of texts", problems).unwrap_or_default(),
        };
        let texts: Option<Vec<String>> = list.iter().map(|v| v.as_str().map(str::to_owned)).collect();
        texts.or_else(|| self.wrong(key, "a list of texts", problems)).unwrap_or_default()
    }

    /// Reports that a key does not hold what it should.
    pub(super) fn wrong<T>(&self, key: &str, want: &str, problems: &mut Problems) -> Option<T> {
        problems.error(self.at(key), format!("expected {want}"));
        None
    }

    /// The place of a key.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
