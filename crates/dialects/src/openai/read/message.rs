//! A message of a request or of an answer, before its role says what it means.

use gatewright_core::chat::Part;
use serde::de::MapAccess;
use serde_json::{Map, Value};

use super::any::{Any, FromAny, Key};
use super::part::Content;

/// A message. What every message has is read at once; what few have stays a tree.
pub(super) enum Message {
    Fields {
        role: Value,
        content: Vec<Part>,
        rest: Map<String, Value>,
    },
    /// No message at all.
    Other(Value),
}

impl FromAny for Message {
    fn object<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let (mut role, mut content, mut rest) = (Value::Null, Content::default(), Map::new());
        while let Some(Key(key)) = fields.next_key()? {
            match &*key {
                "role" => role = fields.next_value()?,
                "content" => Any(content) = fields.next_value()?,
                _ => drop(rest.insert(key.into_owned(), fields.next_value()?)),
            }
        }
        Ok(Self::Fields { role, content: content.0, rest })
    }

    fn tree(value: Value) -> Self {
        Self::Other(value)
    }
}
