//! A tool call's arguments as the API wants them.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::serialize_raw;

/// A tool call's arguments: the API takes an object and nothing else. What is none, because the model wrote bad JSON,
/// is kept as the text of one field, `invalid_arguments`: nothing is lost, and nobody takes it for an argument.
pub(crate) enum Arguments<'a> {
    Object(&'a str),
    Empty,
    Invalid(&'a str),
}

// === impl Arguments ===

impl<'a> Arguments<'a> {
    /// Reads the text of a tool call's arguments.
    pub(crate) fn new(text: &'a str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::Empty;
        }
        match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) if text.starts_with('{') => Self::Object(raw.get()),
            _ => Self::Invalid(text),
        }
    }
}

impl Serialize for Arguments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(json) => serialize_raw(json, serializer),
            Self::Empty => serializer.serialize_map(Some(0))?.end(),
            Self::Invalid(text) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("invalid_arguments", text)?;
                map.end()
            }
        }
    }
}
