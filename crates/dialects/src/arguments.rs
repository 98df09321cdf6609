//! A tool call's arguments as an object, for the dialects that take nothing else.

use std::borrow::Cow;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::serialize_raw;

/// A tool call's arguments; a model that has none may write nothing or `null`. What is no object, because the model wrote
/// bad JSON, is kept as the text of one field, `invalid_arguments`: nothing is lost, and nobody takes it for an argument.
pub(crate) enum Arguments<'a> {
    Object(Cow<'a, str>),
    Empty,
    Invalid(&'a str),
}

// === impl Arguments ===

impl<'a> Arguments<'a> {
    /// Reads the text of a tool call's arguments.
    pub(crate) fn new(text: &'a str) -> Self {
        let text = text.trim();
        if text.is_empty() || text == "null" {
            return Self::Empty;
        }
        match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) if text.starts_with('{') => Self::Object(in_one_line(raw.get())),
            _ => Self::Invalid(text),
        }
    }
}

/// The same JSON without line breaks, which would end an event of a stream: they stand between its values only.
fn in_one_line(json: &str) -> Cow<'_, str> {
    match json.contains(['\n', '\r']) {
        true => json.replace(['\n', '\r'], " ").into(),
        false => json.into(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_an_object_in_one_line_whatever_the_model_wrote() {
        for (text, want) in [
            ("", "{}"),
            (" null\n", "{}"),
            ("{\"a\": 1.50}", "{\"a\": 1.50}"),
            ("{\r\n  \"a\": \"x\\ny\"\n}", "{    \"a\": \"x\\ny\" }"),
            ("[1]", "{\"invalid_arguments\":\"[1]\"}"),
            ("{\n", "{\"invalid_arguments\":\"{\"}"),
        ] {
            let mut out = bytes::BytesMut::new();
            crate::json::put_json(&mut out, &Arguments::new(text));
            assert_eq!(std::str::from_utf8(&out), Ok(want), "{text:?}");
        }
    }
}
