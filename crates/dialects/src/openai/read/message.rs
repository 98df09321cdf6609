//! A message of a request or of an answer, before its role says what it means.

use std::borrow::Cow;

use gatewright_core::chat::Part;
use serde_json::{Map, Value};

use super::part;
use crate::scan::Scanner;

/// A message. What every message has is read at once; what few have becomes a tree, unless it says nothing.
pub(super) enum Message<'a> {
    Fields {
        role: Option<Cow<'a, str>>,
        content: Vec<Part>,
        rest: Map<String, Value>,
    },
    /// No message at all.
    Other,
}

// === impl Message ===

impl<'a> Message<'a> {
    /// Reads one.
    pub(super) fn read(s: &mut Scanner<'a>) -> Option<Self> {
        if s.peek()? != b'{' {
            return s.value::<Value>().map(|_| Self::Other);
        }
        let (mut role, mut content, mut rest) = (None, Vec::new(), Map::new());
        s.object(|s, field| {
            match &*field.name()? {
                b"role" => role = s.text_or_skip()?,
                b"content" => content = part::content(s)?,
                key => keep(&mut rest, key, s)?,
            }
            Some(())
        })?;
        Some(Self::Fields { role, content, rest })
    }
}

/// Keeps a field as a tree.
pub(super) fn keep(rest: &mut Map<String, Value>, key: &[u8], s: &mut Scanner<'_>) -> Option<()> {
    let value: Value = s.value()?;
    if !value.is_null() {
        rest.insert(std::str::from_utf8(key).ok()?.to_owned(), value);
    }
    Some(())
}
