//! Writes JSON as `serde_json` does, several times as fast where texts are long: they are looked at eight bytes at a
//! time for what must be escaped, and most of them hold little of that.

mod serializer;

use std::fmt::{self, Write as _};

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_core::special;
use serde::Serialize;
use serde_json::{Map, Value};
use smallvec::SmallVec;

use serializer::Writer;
pub(crate) use serializer::serialize_raw;

/// An object that is being written, field by field.
pub(crate) struct Fields<'o> {
    out: &'o mut BytesMut,
    keys: SmallVec<[&'static str; 12]>,
}

// === impl Fields ===

impl<'o> Fields<'o> {
    /// Begins an object.
    pub(crate) fn open(out: &'o mut BytesMut) -> Self {
        out.put_u8(b'{');
        Self { out, keys: SmallVec::new() }
    }

    /// Begins a field; its value is what is written next.
    pub(crate) fn key(&mut self, key: &'static str) -> &mut BytesMut {
        separate(self.out, self.keys.len());
        self.keys.push(key);
        put_key(self.out, key);
        self.out
    }

    /// A field with a text.
    pub(crate) fn text(&mut self, key: &'static str, text: &str) {
        put_text(self.key(key), text);
    }

    /// A field with a value.
    pub(crate) fn value(&mut self, key: &'static str, value: &Value) {
        put_value(self.key(key), value);
    }

    /// A field with whatever can be written.
    pub(crate) fn json(&mut self, key: &'static str, value: &impl Serialize) {
        put_json(self.key(key), value);
    }

    /// A field with a list.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        items: impl IntoIterator<Item = T>,
        mut put: impl FnMut(&mut BytesMut, T),
    ) {
        let out = self.key(key);
        out.put_u8(b'[');
        for (place, item) in items.into_iter().enumerate() {
            separate(out, place);
            put(out, item);
        }
        out.put_u8(b']');
    }

    /// Ends the object with all fields that were not written yet. There must be one that was.
    pub(crate) fn close_with<'e>(self, extra: impl Iterator<Item = (&'e String, &'e Value)>) {
        for (key, value) in extra.filter(|(key, _)| !self.keys.contains(&key.as_str())) {
            self.out.put_u8(b',');
            put_text(self.out, key);
            self.out.put_u8(b':');
            put_value(self.out, value);
        }
        self.out.put_u8(b'}');
    }

    /// Ends the object.
    pub(crate) fn close(self) {
        self.out.put_u8(b'}');
    }
}

/// Whether a field says more than that it is not used.
pub(crate) fn tells(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// Writes what has a form of its own.
pub(crate) fn put_json(out: &mut BytesMut, value: &impl Serialize) {
    // Memory does not fail to be written to, and no type here refuses to be.
    let _ = value.serialize(Writer(out));
}

/// What has a form of its own, as bytes.
pub(crate) fn json(value: &impl Serialize) -> Bytes {
    let mut out = BytesMut::with_capacity(2048);
    put_json(&mut out, value);
    out.freeze()
}

/// Writes a value.
pub(crate) fn put_value(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Null => out.put_slice(b"null"),
        Value::Bool(true) => out.put_slice(b"true"),
        Value::Bool(false) => out.put_slice(b"false"),
        Value::Number(number) => match number.as_u64() {
            Some(number) => put_number(out, number),
            None => put(out, format_args!("{number}")),
        },
        Value::String(text) => put_text(out, text),
        Value::Array(items) => {
            out.put_u8(b'[');
            for (place, item) in items.iter().enumerate() {
                separate(out, place);
                put_value(out, item);
            }
            out.put_u8(b']');
        }
        Value::Object(fields) => put_object(out, fields),
    }
}

/// Writes an object.
pub(crate) fn put_object(out: &mut BytesMut, fields: &Map<String, Value>) {
    out.put_u8(b'{');
    for (place, (key, value)) in fields.iter().enumerate() {
        separate(out, place);
        put_text(out, key);
        out.put_u8(b':');
        put_value(out, value);
    }
    out.put_u8(b'}');
}

/// An object as bytes.
pub(crate) fn object(fields: &Map<String, Value>) -> Bytes {
    let mut out = BytesMut::with_capacity(1024);
    put_object(&mut out, fields);
    out.freeze()
}

/// Writes the name of a field, which holds nothing that has to be escaped.
pub(crate) fn put_key(out: &mut BytesMut, key: &'static str) {
    out.put_u8(b'"');
    out.put_slice(key.as_bytes());
    out.put_slice(b"\":");
}

/// Writes a text in quotes.
pub(crate) fn put_text(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.put_u8(b'"');
    let (mut done, mut at) = (0, 0);
    while let Some(next) = special(bytes, at) {
        out.put_slice(bytes.get(done..next).unwrap_or_default());
        put_escaped(out, bytes.get(next).copied().unwrap_or_default());
        at = next + 1;
        done = at;
    }
    out.put_slice(bytes.get(done..).unwrap_or_default());
    out.put_u8(b'"');
}

/// Writes a whole number that is not negative.
pub(crate) fn put_number(out: &mut BytesMut, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
        at -= 1;
        if number == 0 {
            break;
        }
    }
    out.put_slice(digits.get(at..).unwrap_or_default());
}

fn put(out: &mut BytesMut, text: fmt::Arguments<'_>) {
    // Memory does not fail to be written to.
    let _ = out.write_fmt(text);
}

fn separate(out: &mut BytesMut, place: usize) {
    if place > 0 {
        out.put_u8(b',');
    }
}

fn put_escaped(out: &mut BytesMut, byte: u8) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => return put(out, format_args!("\\u{byte:04x}")),
    };
    out.put_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: &Value) -> String {
        let mut out = BytesMut::new();
        put_value(&mut out, value);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn every_byte_at_every_place_of_a_word_is_written_as_serde_does() {
        for code in 0..0x300u32 {
            let Some(odd) = char::from_u32(code) else { continue };
            for before in 0..17 {
                let text = format!("{}{odd}{}", "a".repeat(before), "~é\u{7f}".repeat(3));
                assert_eq!(written(&text.clone().into()), serde_json::to_string(&text).unwrap());
            }
        }
    }

    proptest! {
        #[test]
        fn values_are_written_as_serde_does(texts in prop::collection::vec(".{0,40}", 0..6), number: f64, count: i64) {
            let list: Vec<Value> = texts.iter().map(|text| text.as_str().into()).collect();
            let fields = texts.iter().map(|text| (text.clone(), Value::from(number))).collect();
            let all = serde_json::json!([list, Value::Object(fields), count, null, true, {}, [], {"a": [false]}]);
            prop_assert_eq!(written(&all), serde_json::to_string(&all).unwrap());
        }
    }
}
