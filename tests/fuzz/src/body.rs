//! A JSON object that is edited: what was not touched stays byte for byte, and serde reads the same in it.

use std::fmt;

use bytes::Bytes;
use gatewright_core::{Json, JsonLimits};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dice::Dice;

/// Every field of an object in order, doubles too.
struct Fields(Vec<(String, Box<RawValue>)>);

/// What a field must be after the edits.
#[derive(Clone)]
struct Expected {
    key: String,
    /// The whole field where it was not touched, else the value alone.
    text: Vec<u8>,
    touched: bool,
}

const KEYS: &[&str] =
    &["model", "stream", "messages", "a", "", "é", "\"", "\\", "\\u0061", "\n", "\u{1F600}", "stream_options"];
const VALUES: &[&str] = &["1", "null", "\"x\"", "[1, {\"a\":2}]", "{}", "true", "-1.50e+3", "\"\\u00e9\\\"}\""];

/// Checks one input.
pub fn check(data: &[u8]) {
    let source = Bytes::copy_from_slice(data);
    let parsed = Json::parse(source.clone(), JsonLimits::default());
    let serde = serde_json::from_slice::<Fields>(data).ok();
    let json = match (parsed, &serde) {
        (Ok(json), _) => json,
        (Err(err), Some(fields)) => return assert_may_refuse(err.message(), fields),
        (Err(_), None) => return,
    };
    assert_eq!(json.to_bytes(), source);
    if let Some(Fields(fields)) = serde {
        let keys: Vec<_> = json.keys().map(String::from).collect();
        assert_eq!(keys, fields.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
        for (key, raw) in &fields {
            assert_eq!(json.raw(key), Some(raw.get().as_bytes()), "{key:?}");
        }
    }
    read(&json);
    let mut dice = Dice::of(data);
    for _ in 0..3 {
        edit(json.clone(), &source, &mut dice);
    }
}

/// What serde takes may be refused for being ambiguous or too much, and for nothing else.
fn assert_may_refuse(why: &str, Fields(fields): &Fields) {
    let doubled = (1..fields.len()).any(|i| fields[..i].iter().any(|(key, _)| *key == fields[i].0));
    assert!(
        doubled && why.contains("duplicate field")
            || fields.len() > 256 && why.contains("too many fields")
            || why.contains("nested too deeply"),
        "{why}"
    );
}

fn read(json: &Json) {
    for key in json.keys() {
        let text = json.string(&key);
        if let (Ok(Some(text)), Ok(Some(value))) = (&text, json.get::<Value>(&key)) {
            assert_eq!(value.as_str(), Some(&**text), "{key:?}");
        }
        if let (Ok(true), Ok(value)) = (json.flag(&key), json.get::<bool>(&key)) {
            assert_eq!(value, Some(true), "{key:?}");
        }
        assert!(json.has(&key) || json.raw(&key).is_none_or(|raw| raw == b"null"));
    }
}

fn edit(mut json: Json, source: &[u8], dice: &mut Dice) {
    let text = std::str::from_utf8(source).is_ok();
    let mut expected = whole_fields(&json, source);
    for _ in 0..=dice.below(6) {
        let key = match expected.len() {
            0 => dice.pick(KEYS).to_owned(),
            some if dice.below(3) > 0 => expected[dice.below(some)].key.clone(),
            _ => dice.pick(KEYS).to_owned(),
        };
        let value = dice.pick(VALUES);
        match dice.below(4) {
            0 => remove(&mut json, &mut expected, &key, text),
            1 => {
                // A field that takes another name.
                let other = dice.pick(KEYS);
                if let Some(value) = json.remove(&key) {
                    expected.retain(|field| field.key != key);
                    json.set(other, value.clone());
                    put(&mut expected, other, &value);
                }
            }
            2 => {
                json.set_string(&key, value);
                put(&mut expected, &key, Value::from(value).to_string().as_bytes());
            }
            _ => {
                json.set(&key, value);
                put(&mut expected, &key, value.as_bytes());
            }
        }
        if text {
            assert_eq!(json.raw(&key).is_some(), expected.iter().any(|field| field.key == key), "{key:?}");
        }
        compare(&json, &expected, text);
    }
}

fn remove(json: &mut Json, expected: &mut Vec<Expected>, key: &str, text: bool) {
    let before = json.raw(key).map(<[u8]>::to_vec);
    let gone = json.remove(key).map(|gone| gone.to_vec());
    assert_eq!(gone, before, "{key:?}");
    assert!(!text || json.raw(key).is_none());
    expected.retain(|field| field.key != key);
}

fn put(expected: &mut Vec<Expected>, key: &str, value: &[u8]) {
    let new = Expected { key: key.to_owned(), text: value.to_vec(), touched: true };
    match expected.iter_mut().find(|field| field.key == key) {
        Some(field) => *field = new,
        None => expected.push(new),
    }
}

fn compare(json: &Json, expected: &[Expected], text: bool) {
    let whole = json.to_bytes();
    assert_eq!(json.pieces().concat(), whole);
    let limits = JsonLimits { fields: 1000, ..JsonLimits::default() };
    let again = Json::parse(whole.clone(), limits).unwrap_or_else(|err| panic!("{err}: {}", show(&whole)));
    // A key that is no text has no name that it could be found by.
    if !text {
        return;
    }
    let found = whole_fields(&again, &whole);
    assert_eq!(found.len(), expected.len(), "{}", show(&whole));
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.key, expected.key, "{}", show(&whole));
        assert_eq!(json.raw(&expected.key), again.raw(&expected.key), "{}", show(&whole));
        let text = if expected.touched { again.raw(&expected.key).unwrap_or_default() } else { &*found.text };
        assert_eq!(show(text), show(&expected.text), "{}", show(&whole));
    }
}

/// The fields as they stand in `source`, found by where their values lie in it.
fn whole_fields(json: &Json, source: &[u8]) -> Vec<Expected> {
    let mut end = source.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
    let mut fields = Vec::new();
    for key in json.keys() {
        let Some(value) = json.raw(&key) else { continue };
        let value_end = value.as_ptr_range().end.addr() - json_start(json);
        let gap = source[end..].iter().position(|byte| *byte == b'"').unwrap_or_default();
        let text = source[end + gap..value_end].to_vec();
        fields.push(Expected { key: key.into_owned(), text, touched: false });
        end = value_end;
    }
    fields
}

/// Where the bytes of an object that was not edited lie.
fn json_start(json: &Json) -> usize {
    json.pieces().first().map(|piece| piece.as_ptr().addr()).unwrap_or_default()
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Every)
    }
}

struct Every;

impl<'de> Visitor<'de> for Every {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}
