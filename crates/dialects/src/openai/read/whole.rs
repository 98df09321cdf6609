//! The shape of a whole answer; what only some have becomes a tree.

use std::borrow::Cow;

use gatewright_core::chat::Part;
use serde_json::{Map, Value};

use super::message::{Message, keep};
use crate::scan::Scanner;

/// An answer. Fields of another kind than they should be stay in `rest`.
#[derive(Default)]
pub(super) struct RawAnswer<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) model: Cow<'a, str>,
    pub(super) object: Option<Cow<'a, str>>,
    pub(super) created: Option<u64>,
    pub(super) service_tier: Option<Cow<'a, str>>,
    pub(super) choices: Option<Vec<RawChoice<'a>>>,
    pub(super) usage: Option<&'a [u8]>,
    pub(super) rest: Map<String, Value>,
}

/// One of its choices, with what its message says.
#[derive(Default)]
pub(super) struct RawChoice<'a> {
    pub(super) index: Option<u32>,
    pub(super) finish_reason: Cow<'a, str>,
    pub(super) stop_reason: Option<Cow<'a, str>>,
    pub(super) content: Vec<Part>,
    /// What else the message has.
    pub(super) message: Map<String, Value>,
    pub(super) rest: Map<String, Value>,
}

// === impl RawAnswer ===

impl<'a> RawAnswer<'a> {
    /// Reads one; `None` where it is no JSON object.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let mut answer = Self::default();
        let mut s = Scanner::new(body);
        s.object(|s, field| {
            match (&*field.name()?, s.peek()?) {
                (b"id", b'"') => answer.id = s.text()?,
                (b"model", b'"') => answer.model = s.text()?,
                (b"service_tier", b'"') => answer.service_tier = Some(s.text()?),
                (b"object", _) => answer.object = s.text_or_skip()?,
                (b"created", _) => answer.created = s.value::<Value>()?.as_u64(),
                (b"choices", b'[') => answer.choices = Some(choices(s)?),
                (b"usage", _) => {
                    let at = s.skip()?;
                    answer.usage = Some(s.slice(&at));
                }
                (key, _) => keep(&mut answer.rest, key, s)?,
            }
            Some(())
        })?;
        s.end()?;
        Some(answer)
    }
}

fn choices<'a>(s: &mut Scanner<'a>) -> Option<Vec<RawChoice<'a>>> {
    let mut choices = Vec::with_capacity(1);
    s.array(|s| {
        choices.push(RawChoice::read(s)?);
        Some(())
    })?;
    Some(choices)
}

// === impl RawChoice ===

impl<'a> RawChoice<'a> {
    fn read(s: &mut Scanner<'a>) -> Option<Self> {
        let mut choice = Self::default();
        if s.peek()? != b'{' {
            return s.skip().map(|_| choice);
        }
        s.object(|s, field| {
            match (&*field.name()?, s.peek()?) {
                (b"index", _) => {
                    choice.index = s.value::<Value>()?.as_u64().and_then(|index| index.try_into().ok())
                }
                (b"finish_reason", b'"') => choice.finish_reason = s.text()?,
                (b"stop_reason", b'"') => choice.stop_reason = Some(s.text()?),
                (b"message", b'{') => {
                    if let Message::Fields { content, rest, .. } = Message::read(s)? {
                        (choice.content, choice.message) = (content, rest);
                    }
                }
                (key, _) => keep(&mut choice.rest, key, s)?,
            }
            Some(())
        })?;
        Some(choice)
    }
}
