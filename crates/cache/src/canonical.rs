//! JSON in the one form that its spellings share: fields in the order of their names, no space between them.

use gatewright_core::end_of_string;

/// A field of an object: where its name and all of it stand in what was written.
struct Field {
    start: usize,
    name_end: usize,
    end: usize,
}

/// Appends `text`, which is valid JSON, with the fields of each object in the order of their names. Strings and numbers stay
/// as they are written: two spellings of one are two texts, which costs a hit and never gives a wrong one.
pub(crate) fn write(text: &[u8], out: &mut Vec<u8>) {
    value(text, skip(text, 0), out);
}

/// Writes the value that begins at `at`. Answers where it ends.
fn value(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    match text.get(at) {
        Some(b'{') => object(text, at, out),
        Some(b'[') => list(text, at, out),
        Some(b'"') => string(text, at, out),
        Some(_) => {
            let rest = text.get(at..).unwrap_or_default();
            let length = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']') || is_space(*byte));
            let length = length.unwrap_or(rest.len());
            out.extend_from_slice(rest.get(..length).unwrap_or_default());
            // What is no JSON must not keep the walk where it is.
            at + length.max(1)
        }
        None => at,
    }
}

fn object(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let mut fields: Vec<Field> = Vec::new();
    let mut sorted = true;
    out.push(b'{');
    let begin = out.len();
    let mut at = skip(text, at + 1);
    while let Some(byte) = text.get(at) {
        match byte {
            b'}' => {
                at += 1;
                break;
            }
            b',' => at = skip(text, at + 1),
            _ => {
                let start = out.len();
                at = skip(text, value(text, at, out));
                let name_end = out.len();
                out.push(b':');
                // Over the colon.
                at = skip(text, value(text, skip(text, at + 1), out));
                out.push(b',');
                let field = Field { start, name_end, end: out.len() };
                sorted &= fields.last().is_none_or(|last| named(out, last) <= named(out, &field));
                fields.push(field);
            }
        }
    }
    if !sorted {
        // Those with one name keep their order: readers take the last.
        fields.sort_by(|one, other| named(out, one).cmp(named(out, other)));
        let mut ordered = Vec::with_capacity(out.len() - begin);
        for field in &fields {
            ordered.extend_from_slice(out.get(field.start..field.end).unwrap_or_default());
        }
        out.truncate(begin);
        out.extend_from_slice(&ordered);
    }
    out.push(b'}');
    at
}

fn list(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    out.push(b'[');
    let mut at = skip(text, at + 1);
    while let Some(byte) = text.get(at) {
        match byte {
            b']' => {
                at += 1;
                break;
            }
            b',' => at = skip(text, at + 1),
            _ => {
                at = skip(text, value(text, at, out));
                out.push(b',');
            }
        }
    }
    out.push(b']');
    at
}

fn string(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let end = end_of_string(text, at + 1).unwrap_or(text.len());
    out.extend_from_slice(text.get(at..end).unwrap_or_default());
    end
}

fn named<'a>(out: &'a [u8], field: &Field) -> &'a [u8] {
    out.get(field.start..field.name_end).unwrap_or_default()
}

fn skip(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !is_space(*byte)).unwrap_or(rest.len())
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn canonical(text: &str) -> String {
        let mut out = Vec::new();
        write(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn spellings_of_one_text_are_one() {
        let want = r#"{"a":[1,{"x":"}","y":null,},],"b":"q\"",}"#;
        assert_eq!(canonical(r#"{"a":[1,{"x":"}","y":null}],"b":"q\""}"#), want);
        assert_eq!(canonical("{ \"b\" : \"q\\\"\",\n\"a\":[ 1 ,{\"y\":null , \"x\":\"}\"} ] }"), want);
    }

    #[test]
    fn what_differs_stays_apart() {
        for (one, other) in [
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":[[1],2]}"#, r#"{"a":[[1,2]]}"#),
            (r#"{"a":{},"b":1}"#, r#"{"a":{"b":1}}"#),
            (r#"{"a":" x"}"#, r#"{"a":"x"}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#),
        ] {
            assert_ne!(canonical(one), canonical(other), "{one} {other}");
        }
    }

    #[test]
    fn nonsense_comes_to_an_end() {
        for text in ["", "{", "[", "\"", "{\"a\"", "{\"a\":", "[,", "}", "{]", "[}", "{\"a\" 1}"] {
            canonical(text);
        }
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[a-c]{1,2}", inner), 0..5)
                    .prop_map(|fields| Value::Object(Map::from_iter(fields))),
            ]
        })
    }

    /// The same document with the fields of every object the other way round.
    fn turned(value: &Value) -> Value {
        match value {
            Value::Array(list) => list.iter().map(turned).collect(),
            Value::Object(map) => {
                Value::Object(map.iter().rev().map(|(key, value)| (key.clone(), turned(value))).collect())
            }
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn the_order_of_fields_does_not_matter_and_everything_else_does(one in document(), other in document()) {
            let form = |value: &Value| canonical(&value.to_string());
            prop_assert_eq!(form(&one), form(&turned(&one)));
            prop_assert_eq!(form(&one), canonical(&serde_json::to_string_pretty(&one).unwrap()));
            prop_assert_eq!(form(&one) == form(&other), one == other);
        }
    }
}
