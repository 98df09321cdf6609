//! Attributes in the form that they leave in: each is written once, behind the others, and nothing is copied for it before.

use std::sync::Arc;

use serde_json::json;

use crate::span::event;
use crate::wire;

/// Where a key stands in an attribute, and where its value does.
const KEY: u64 = 1;
const VALUE: u64 = 2;

/// Where the kinds of values stand in one.
const TEXT: u64 = 1;
const FLAG: u64 = 2;
const WHOLE: u64 = 3;
const REAL: u64 = 4;
const TEXTS: u64 = 5;

/// Attributes of a span or of one of its events, behind whatever of its message is written already.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) message: Vec<u8>,
    /// Where attributes stand in that message.
    pub(crate) field: u64,
    /// How many more there may be.
    pub(crate) room: u32,
    /// How many had no room.
    pub(crate) dropped: u32,
}

/// What an attribute says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Flag(bool),
    Whole(i64),
    Real(f64),
    /// Texts, as they are written.
    Texts(&'a [u8]),
}

// === impl Attributes ===

impl Attributes {
    /// Those of an event: it has few, and all of them ours.
    pub(crate) fn of_event() -> Self {
        Self { field: event::ATTRIBUTES, room: u32::MAX, ..Self::default() }
    }

    /// Tells one more, where there is room.
    pub(crate) fn put<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) {
        self.put_value(key, value.into());
    }

    /// Nearly all are short enough for lengths of one byte: what stands around key and value is known then.
    fn put_value(&mut self, key: &str, value: Value<'_>) {
        if !self.enter() {
            return;
        }
        let (of_value, out) = (value.len(), &mut self.message);
        let length = wire::len_of(key.len()) + wire::len_of(of_value);
        out.reserve(length + 16);
        if length < 0x80 {
            let numbers = [length, key.len(), of_value];
            let [length, of_key, of_value] = numbers.map(|number| number.to_le_bytes()[0]);
            out.extend_from_slice(&[wire::tag(self.field), length, wire::tag(KEY), of_key]);
            out.extend_from_slice(key.as_bytes());
            if let Value::Text(text) = value {
                out.extend_from_slice(&[wire::tag(VALUE), of_value, wire::tag(TEXT), of_value - 2]);
                out.extend_from_slice(text.as_bytes());
            } else {
                out.extend_from_slice(&[wire::tag(VALUE), of_value]);
                value.write(out);
            }
            return;
        }
        wire::begin(out, self.field, length);
        wire::bytes(out, KEY, key.as_bytes());
        wire::begin(out, VALUE, of_value);
        value.write(out);
    }

    /// Tells one that is a list.
    pub(crate) fn put_texts(&mut self, key: &str, texts: impl IntoIterator<Item: AsRef<str>>) {
        if !self.enter() {
            return;
        }
        wire::nested(&mut self.message, self.field, |out| {
            wire::bytes(out, KEY, key.as_bytes());
            wire::nested(out, VALUE, |out| {
                wire::nested(out, TEXTS, |out| {
                    for text in texts {
                        let text = text.as_ref().as_bytes();
                        wire::begin(out, 1, wire::len_of(text.len()));
                        wire::bytes(out, TEXT, text);
                    }
                });
            });
        });
    }

    /// Tells what is told under a name under another one too; tells whether it is told at all.
    pub(crate) fn again(&mut self, known: &str, key: &str) -> bool {
        let Some(value) = self.value_of(known).map(<[u8]>::to_vec) else { return false };
        if self.enter() {
            wire::nested(&mut self.message, self.field, |out| {
                wire::bytes(out, KEY, key.as_bytes());
                wire::bytes(out, VALUE, &value);
            });
        }
        true
    }

    /// What is told under a name.
    pub(crate) fn find(&self, key: &str) -> Option<Value<'_>> {
        self.value_of(key).and_then(Value::read)
    }

    /// All that is told so far.
    pub(crate) fn told(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        read(&self.message, self.field)
    }

    fn value_of(&self, key: &str) -> Option<&[u8]> {
        let pair = raw(&self.message, self.field).find(|(other, _)| *other == key.as_bytes())?;
        Some(pair.1)
    }

    fn enter(&mut self) -> bool {
        let fits = self.room > 0;
        match fits {
            true => self.room -= 1,
            false => self.dropped += 1,
        }
        fits
    }
}

/// The attributes that stand in this field of a message.
pub(crate) fn read(message: &[u8], field: u64) -> impl Iterator<Item = (&str, Value<'_>)> {
    raw(message, field).filter_map(|(key, value)| Some((std::str::from_utf8(key).ok()?, Value::read(value)?)))
}

fn raw(message: &[u8], field: u64) -> impl Iterator<Item = (&[u8], &[u8])> {
    wire::fields(message).filter(move |found| found.number == field).map(|pair| {
        wire::fields(pair.bytes).fold((&[][..], &[][..]), |(key, value), part| match part.number {
            KEY => (part.bytes, value),
            _ => (key, part.bytes),
        })
    })
}

// === impl Value ===

impl<'a> Value<'a> {
    fn read(value: &'a [u8]) -> Option<Self> {
        let field = wire::fields(value).next()?;
        Some(match field.number {
            TEXT => Self::Text(std::str::from_utf8(field.bytes).ok()?),
            FLAG => Self::Flag(field.value == 1),
            WHOLE => Self::Whole(field.value.cast_signed()),
            REAL => Self::Real(f64::from_bits(field.value)),
            TEXTS => Self::Texts(field.bytes),
            _ => return None,
        })
    }

    fn len(self) -> usize {
        match self {
            Self::Text(text) => wire::len_of(text.len()),
            Self::Flag(_) => 2,
            Self::Whole(number) => 1 + wire::varint_len(number.cast_unsigned()),
            Self::Real(_) => 9,
            Self::Texts(texts) => wire::len_of(texts.len()),
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => wire::bytes(out, TEXT, text.as_bytes()),
            Self::Flag(flag) => wire::number(out, FLAG, u64::from(flag)),
            Self::Whole(number) => wire::number(out, WHOLE, number.cast_unsigned()),
            Self::Real(number) => wire::fixed_64(out, REAL, number.to_bits()),
            Self::Texts(texts) => wire::bytes(out, TEXTS, texts),
        }
    }

    /// The texts of a list.
    pub(crate) fn texts(self) -> impl Iterator<Item = &'a str> {
        let list = if let Self::Texts(list) = self { list } else { &[] };
        wire::fields(list).filter_map(|value| match Value::read(value.bytes)? {
            Self::Text(text) => Some(text),
            _ => None,
        })
    }

    /// The same in JSON.
    pub(crate) fn json(self) -> serde_json::Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Flag(flag) => json!(flag),
            Self::Whole(number) => json!(number),
            Self::Real(number) => json!(number),
            Self::Texts(_) => self.texts().collect(),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Arc<str>> for Value<'a> {
    fn from(text: &'a Arc<str>) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Whole(number)
    }
}

/// Counts: none of them comes near the end of what an attribute can say.
impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(room: u32) -> Attributes {
        Attributes { message: b"\x0a\x01h".to_vec(), field: 9, room, dropped: 0 }
    }

    #[test]
    fn what_is_told_is_found_again() {
        let long = "x".repeat(300);
        let mut told = attributes(9);
        told.put("text", &long);
        told.put("flag", false);
        told.put("whole", -1_i64);
        told.put("real", 0.5);
        told.put_texts("texts", ["a", &long]);
        for (key, value) in [
            ("text", Value::Text(&long)),
            ("flag", Value::Flag(false)),
            ("whole", Value::Whole(-1)),
            ("real", Value::Real(0.5)),
        ] {
            assert_eq!(told.find(key), Some(value), "{key}");
        }
        assert_eq!(told.find("texts").unwrap().json(), json!(["a", long]));
        assert_eq!(told.told().count(), 5);
        assert!(told.again("texts", "once more") && !told.again("nothing", "at all"));
        assert_eq!(told.find("once more").unwrap().json(), json!(["a", long]));
        assert_eq!(Value::from(u64::MAX), Value::Whole(i64::MAX));
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut told = attributes(1);
        told.put("a", 1_u64);
        told.put("b", 1_u64);
        told.put_texts("d", ["1"]);
        told.again("a", "e");
        let keys: Vec<_> = told.told().map(|(key, _)| key).collect();
        assert_eq!((keys, told.dropped), (vec!["a"], 3));
    }
}
