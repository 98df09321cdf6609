//! The shape of a whole answer; what only some have stays a tree.

use gatewright_core::chat::Part;
use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::any::{Any, FromAny, Key};
use super::message::Message;

/// An answer.
pub(super) enum RawAnswer {
    Fields {
        /// `None` where they are no list.
        choices: Option<Vec<RawChoice>>,
        usage: Option<Box<RawValue>>,
        rest: Map<String, Value>,
    },
    /// No answer at all.
    Other,
}

/// One of its choices, with what its message says.
#[derive(Default)]
pub(super) struct RawChoice {
    pub(super) content: Vec<Part>,
    /// What else the message has.
    pub(super) message: Map<String, Value>,
    pub(super) rest: Map<String, Value>,
}

struct Choices(Option<Vec<RawChoice>>);

impl FromAny for RawAnswer {
    fn object<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let (mut choices, mut usage, mut rest) = (Choices(None), None, Map::new());
        while let Some(Key(key)) = fields.next_key()? {
            match &*key {
                "choices" => Any(choices) = fields.next_value()?,
                "usage" => usage = fields.next_value()?,
                _ => drop(rest.insert(key.into_owned(), fields.next_value()?)),
            }
        }
        Ok(Self::Fields { choices: choices.0, usage, rest })
    }

    fn tree(_: Value) -> Self {
        Self::Other
    }
}

impl FromAny for Choices {
    fn list<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let mut choices = Vec::with_capacity(1);
        while let Some(Any(choice)) = items.next_element()? {
            choices.push(choice);
        }
        Ok(Self(Some(choices)))
    }

    fn tree(_: Value) -> Self {
        Self(None)
    }
}

impl FromAny for RawChoice {
    fn object<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let mut choice = Self::default();
        while let Some(Key(key)) = fields.next_key()? {
            if key != "message" {
                choice.rest.insert(key.into_owned(), fields.next_value()?);
                continue;
            }
            match fields.next_value()? {
                Any(Message::Fields { content, rest, .. }) => {
                    (choice.content, choice.message) = (content, rest)
                }
                Any(Message::Other(value)) => drop(choice.rest.insert(key.into_owned(), value)),
            }
        }
        Ok(choice)
    }

    fn tree(_: Value) -> Self {
        Self::default()
    }
}
