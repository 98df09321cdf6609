//! A JSON object as its bytes and an index; edits splice, everything else stays byte for byte.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use smallvec::SmallVec;

use super::scan::{self, Fault};
use crate::{Error, ErrorKind, Result};

/// How large an object may be.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimits {
    /// Nesting below the top level; at most 128.
    pub depth: u32,
    /// Top-level fields.
    pub fields: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self { depth: scan::DEEPEST, fields: 256 }
    }
}

/// A JSON object: the bytes as they came, an index of its top-level fields, and the edits made since.
#[derive(Clone)]
pub struct Json {
    source: Bytes,
    fields: Vec<Field>,
    edited: bool,
}

#[derive(Clone)]
struct Field {
    at: scan::Field,
    value: Value,
}

#[derive(Clone)]
enum Value {
    Source,
    New(Box<New>),
    Gone,
}

/// A field that was set; `key` only where the client did not send the field.
#[derive(Clone)]
struct New {
    key: Option<Box<str>>,
    value: Bytes,
}

/// One field of an object as it stands.
pub struct JsonField<'a> {
    /// Its name.
    pub key: Cow<'a, str>,
    /// Its value's raw JSON text.
    pub raw: &'a [u8],
}

/// Runs of source shorter than this are copied: an own piece in a vectored write costs more.
const COPY_BELOW: usize = 4096;

// === impl Json ===

impl Json {
    /// Indexes `source`. Duplicate keys are refused: two `model` keys would let the gateway authorise one model and
    /// the upstream serve another.
    pub fn parse(source: Bytes, limits: JsonLimits) -> Result<Self> {
        let mut fields: Vec<Field> = Vec::with_capacity(12);
        let scanned = scan::object(&source, limits.depth, |at| {
            if fields.len() >= limits.fields {
                return Err(Fault { at: at.start as usize, why: "too many fields" });
            }
            if fields.iter().any(|other| same_keys(&source, other.at, at)) {
                return Err(Fault { at: at.start as usize, why: "duplicate field" });
            }
            fields.push(Field { at, value: Value::Source });
            Ok(())
        });
        match scanned {
            Ok(()) => Ok(Self { source, fields, edited: false }),
            Err(Fault { at, why }) => {
                Err(Error::new(ErrorKind::InvalidRequest, format!("invalid JSON body: {why} at byte {at}")))
            }
        }
    }

    /// The raw JSON text of a field.
    pub fn raw(&self, key: &str) -> Option<&[u8]> {
        self.fields.iter().find(|field| self.is_named(field, key)).and_then(|field| self.value_of(field))
    }

    /// A field read as `T`; `None` where it is absent or `null`. Fails naming the field.
    pub fn get<'a, T: Deserialize<'a>>(&'a self, key: &str) -> Result<Option<T>> {
        self.raw(key).map_or(Ok(None), |raw| typed(key, raw))
    }

    /// A field that holds a string.
    pub fn string(&self, key: &str) -> Result<Option<Cow<'_, str>>> {
        match self.raw(key) {
            // The common case without escapes borrows from the body.
            Some([b'"', inner @ .., b'"']) if memchr::memchr(b'\\', inner).is_none() => {
                std::str::from_utf8(inner)
                    .map(|text| Some(Cow::Borrowed(text)))
                    .map_err(|_| Error::new(ErrorKind::InvalidRequest, format!("'{key}' is not valid UTF-8")))
            }
            _ => Ok(self.get::<String>(key)?.map(Cow::Owned)),
        }
    }

    /// A field that holds a boolean; absent and `null` are `false`.
    pub fn flag(&self, key: &str) -> Result<bool> {
        self.raw(key).map_or(Ok(false), |raw| flag(key, raw))
    }

    /// Whether the field is there and not `null`.
    pub fn has(&self, key: &str) -> bool {
        self.raw(key).is_some_and(|raw| raw != b"null")
    }

    /// Sets a field to raw JSON text, in its old place or at the end.
    pub fn set(&mut self, key: &str, value: impl Into<Bytes>) {
        self.edited = true;
        let value = value.into();
        let place = self.fields.iter().position(|field| self.is_named(field, key));
        match place.and_then(|i| self.fields.get_mut(i)) {
            Some(field) => {
                let key = match &mut field.value {
                    Value::New(new) => new.key.take(),
                    Value::Source | Value::Gone => None,
                };
                field.value = Value::New(Box::new(New { key, value }));
            }
            None => {
                let at = scan::Field { start: 0, key_end: 0, value: 0, end: 0, plain: false };
                self.fields
                    .push(Field { at, value: Value::New(Box::new(New { key: Some(key.into()), value })) });
            }
        }
    }

    /// Sets a field to a string.
    pub fn set_string(&mut self, key: &str, text: &str) {
        self.set(key, quoted(text));
    }

    /// Sets a field to a number, unless it holds a smaller one.
    pub fn lower(&mut self, key: &str, most: u64) {
        if self.get::<u64>(key).ok().flatten().is_none_or(|said| said > most) {
            self.set(key, most.to_string());
        }
    }

    /// Takes a field out and answers its raw text.
    pub fn remove(&mut self, key: &str) -> Option<Bytes> {
        let i = self.fields.iter().position(|field| self.is_named(field, key))?;
        let field = self.fields.get_mut(i)?;
        self.edited = true;
        match std::mem::replace(&mut field.value, Value::Gone) {
            Value::Source => Some(self.source.slice(field.at.value as usize..field.at.end as usize)),
            Value::New(new) => Some(new.value),
            Value::Gone => None,
        }
    }

    /// The length of what the client sent, in bytes.
    pub fn source_len(&self) -> usize {
        self.source.len()
    }

    /// The fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = JsonField<'_>> {
        self.fields.iter().filter_map(|field| {
            let raw = self.value_of(field)?;
            let key = field.own_key().map_or_else(|| key_text(&self.source, field.at), Cow::Borrowed);
            Some(JsonField { key, raw })
        })
    }

    /// The names of the fields, in order.
    pub fn keys(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.fields().map(|field| field.key)
    }

    /// The whole object as it stands now, as pieces to be written one after the other. Long runs of the client's
    /// bytes are not copied.
    pub fn pieces(&self) -> SmallVec<[Bytes; 4]> {
        if !self.edited {
            return SmallVec::from_iter([self.source.clone()]);
        }
        let mut out =
            Pieces { source: &self.source, done: SmallVec::new(), scratch: BytesMut::with_capacity(256) };
        out.scratch.put_u8(b'{');
        let mut first = true;
        let mut run: Option<(u32, u32)> = None;
        for field in &self.fields {
            if let (Value::Source, Some((_, end))) = (&field.value, &mut run) {
                *end = field.at.end;
                continue;
            }
            if matches!(field.value, Value::Gone) {
                out.flush_run(run.take());
                continue;
            }
            out.flush_run(run.take());
            if !std::mem::take(&mut first) {
                out.scratch.put_u8(b',');
            }
            match &field.value {
                Value::New(new) => {
                    match &new.key {
                        Some(key) => out.scratch.put_slice(&quoted(key)),
                        None => out.scratch.put_slice(slice(&self.source, field.at.start, field.at.key_end)),
                    }
                    out.scratch.put_u8(b':');
                    out.scratch.put_slice(&new.value);
                }
                Value::Source | Value::Gone => run = Some((field.at.start, field.at.end)),
            }
        }
        out.flush_run(run);
        out.scratch.put_u8(b'}');
        out.done.push(out.scratch.freeze());
        out.done
    }

    /// The whole object as it stands now in one piece.
    pub fn to_bytes(&self) -> Bytes {
        let mut pieces = self.pieces();
        if pieces.len() == 1 {
            return pieces.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
        pieces.iter().for_each(|piece| whole.put_slice(piece));
        whole.freeze()
    }

    fn value_of<'a>(&'a self, field: &'a Field) -> Option<&'a [u8]> {
        match &field.value {
            Value::Source => Some(slice(&self.source, field.at.value, field.at.end)),
            Value::New(new) => Some(&new.value),
            Value::Gone => None,
        }
    }

    fn is_named(&self, field: &Field, key: &str) -> bool {
        match (field.own_key(), &field.value) {
            (_, Value::Gone) => false,
            (Some(own), _) => own == key,
            (None, _) => same_key(&self.source, field.at, key),
        }
    }
}

impl Field {
    /// Its key, where the client did not send it.
    fn own_key(&self) -> Option<&str> {
        match &self.value {
            Value::New(new) => new.key.as_deref(),
            Value::Source | Value::Gone => None,
        }
    }
}

impl<'a> JsonField<'a> {
    /// It read as `T`; `None` where it is `null`. Fails naming the field.
    pub fn get<T: Deserialize<'a>>(&self) -> Result<Option<T>> {
        typed(&self.key, self.raw)
    }

    /// It read as a boolean; `null` is `false`.
    pub fn flag(&self) -> Result<bool> {
        flag(&self.key, self.raw)
    }
}

struct Pieces<'a> {
    source: &'a Bytes,
    done: SmallVec<[Bytes; 4]>,
    scratch: BytesMut,
}

impl Pieces<'_> {
    fn flush_run(&mut self, run: Option<(u32, u32)>) {
        let Some((start, end)) = run else { return };
        if ((end - start) as usize) < COPY_BELOW {
            self.scratch.put_slice(slice(self.source, start, end));
            return;
        }
        self.done.push(self.scratch.split().freeze());
        self.done.push(self.source.slice(start as usize..end as usize));
    }
}

fn typed<'a, T: Deserialize<'a>>(key: &str, raw: &'a [u8]) -> Result<Option<T>> {
    serde_json::from_slice(raw).map_err(|err| invalid(key, &err))
}

fn flag(key: &str, raw: &[u8]) -> Result<bool> {
    match raw {
        b"false" | b"null" => Ok(false),
        b"true" => Ok(true),
        _ => Ok(typed::<bool>(key, raw)?.unwrap_or_default()),
    }
}

fn slice(source: &Bytes, start: u32, end: u32) -> &[u8] {
    source.get(start as usize..end as usize).unwrap_or_default()
}

/// The key as it stands between its quotes.
fn spelled(source: &Bytes, at: scan::Field) -> &[u8] {
    slice(source, at.start + 1, at.key_end.saturating_sub(1))
}

/// The key's text. An escaped or invalid key is decoded as far as it can be, so that no spelling hides a duplicate.
fn key_text(source: &Bytes, at: scan::Field) -> Cow<'_, str> {
    let spelled = spelled(source, at);
    if at.plain
        && let Ok(text) = std::str::from_utf8(spelled)
    {
        return Cow::Borrowed(text);
    }
    match serde_json::from_slice::<String>(slice(source, at.start, at.key_end)) {
        Ok(text) => Cow::Owned(text),
        Err(_) => String::from_utf8_lossy(spelled),
    }
}

fn same_key(source: &Bytes, at: scan::Field, key: &str) -> bool {
    match at.plain {
        // Most keys differ in their length already.
        true => at.key_length() == key.len() && spelled(source, at) == key.as_bytes(),
        false => key_text(source, at) == key,
    }
}

fn same_keys(source: &Bytes, one: scan::Field, other: scan::Field) -> bool {
    match one.plain && other.plain {
        true => one.key_length() == other.key_length() && spelled(source, one) == spelled(source, other),
        false => key_text(source, one) == key_text(source, other),
    }
}

fn quoted(text: &str) -> Bytes {
    serde_json::to_vec(text).map(Bytes::from).unwrap_or_default()
}

/// Tells a client that a field is not what it must be.
pub fn invalid(field: &str, err: &serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("invalid value for '{field}': {}", in_words(err)))
        .with_param(field.to_owned())
}

/// What serde says, for a client: without the place, which counts from the field and would mislead, and without names of
/// Rust's types.
pub fn in_words(err: &serde_json::Error) -> String {
    let text = err.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let Some((found, expected)) = text.rsplit_once("expected ") else { return text.to_owned() };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        name if name.starts_with("struct ") => "an object",
        other => other,
    };
    format!("{found}expected {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Json> {
        Json::parse(Bytes::copy_from_slice(text.as_bytes()), JsonLimits::default())
    }

    #[test]
    fn a_wrong_type_is_told_in_words() {
        #[derive(Debug, Deserialize)]
        struct Inner {}
        fn why<T: for<'a> Deserialize<'a> + std::fmt::Debug>(value: &str) -> String {
            let json = parse(&format!(r#"{{"k":{value}}}"#)).unwrap();
            json.get::<T>("k").unwrap_err().message().trim_start_matches("invalid value for 'k': ").to_owned()
        }
        assert_eq!(
            why::<u32>("-1"),
            "invalid value: integer `-1`, expected a whole number that is not negative"
        );
        assert_eq!(why::<f64>(r#""5""#), r#"invalid type: string "5", expected a number"#);
        assert_eq!(why::<Vec<u8>>("7"), "invalid type: integer `7`, expected a list");
        assert_eq!(why::<Inner>("7"), "invalid type: integer `7`, expected an object");
        assert_eq!(why::<f64>("1e999"), "number out of range");
    }

    #[test]
    fn edits_splice_and_leave_the_rest_byte_for_byte() {
        type Edit = fn(&mut Json);
        let cases: [(&str, Edit, &str); 10] = [
            (
                r#"{ "a" : 1.50 , "model":"x","z":[1, 2] }"#,
                |j| j.set_string("model", "y"),
                r#"{"a" : 1.50,"model":"y","z":[1, 2]}"#,
            ),
            (r#"{"a":1,"b":2}"#, |j| drop(j.remove("a")), r#"{"b":2}"#),
            (r#"{"a":1,"b":2,"c":3}"#, |j| drop(j.remove("b")), r#"{"a":1,"c":3}"#),
            (r#"{"a":1}"#, |j| drop(j.remove("a")), "{}"),
            ("{}", |j| j.set("n", "1"), r#"{"n":1}"#),
            (
                r#"{"a":1}"#,
                |j| {
                    j.set("n", "1");
                    j.set("n", "2")
                },
                r#"{"a":1,"n":2}"#,
            ),
            (r#"{"a":9}"#, |j| j.lower("a", 7), r#"{"a":7}"#),
            (r#"{"a":5}"#, |j| j.lower("a", 7), r#"{"a":5}"#),
            (r#"{"a":null}"#, |j| j.lower("a", 7), r#"{"a":7}"#),
            (r#" {"a":{"b":"}"}} "#, |_| {}, r#" {"a":{"b":"}"}} "#),
        ];
        for (text, edit, want) in cases {
            let mut json = parse(text).unwrap();
            edit(&mut json);
            assert_eq!(json.to_bytes(), want, "{text}");
            assert_eq!(json.pieces().concat(), want.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_long_run_is_not_copied() {
        let text = format!(r#"{{"model":"x","messages":"{}"}}"#, "a".repeat(2 * COPY_BELOW));
        let mut json = parse(&text).unwrap();
        json.set_string("model", "y");
        let pieces = json.pieces();
        let range = json.source.as_ptr_range();
        assert!(pieces.iter().any(|p| p.len() > COPY_BELOW && range.contains(&p.as_ptr())));
        assert_eq!(pieces.concat(), text.replace(r#""x""#, r#""y""#).into_bytes());
    }

    #[test]
    fn bad_bodies_are_refused_with_the_place() {
        let deep = format!(r#"{{"a":{}}}"#, "[".repeat(200));
        for (text, why) in [
            (r#"{"model":"a","model":"b"}"#, "duplicate field at byte 13"),
            (r#"{"model":"a","mod\u0065l":"b"}"#, "duplicate field"),
            ("[1]", "expected a JSON object"),
            ("", "expected a JSON object"),
            (r#"{"a":1"#, "expected a comma"),
            (r#"{"a":[1}}"#, "mismatched bracket"),
            (r#"{"a":"x"#, "unterminated string"),
            (r#"{"a":nope}"#, "expected a value"),
            (r#"{"a":1} x"#, "unexpected text"),
            (r#"{"a":1,}"#, "expected a field name"),
            (deep.as_str(), "nested too deeply"),
        ] {
            let message = parse(text).err().map(|e| e.message().to_owned()).unwrap_or_default();
            assert!(message.contains(why), "{text}: {message}");
        }
    }

    #[test]
    fn values_are_read_by_type() {
        let json = parse(r#"{"s":"a\nb","t":true,"n":null,"f":0.5,"plain":"x"}"#).unwrap();
        assert_eq!(json.string("s").unwrap().as_deref(), Some("a\nb"));
        assert_eq!(json.string("plain").unwrap().as_deref(), Some("x"));
        assert!(json.flag("t").unwrap() && !json.flag("n").unwrap() && !json.flag("absent").unwrap());
        assert!(!json.has("n"));
        assert_eq!(json.get::<f64>("f").unwrap(), Some(0.5));
        assert_eq!(json.get::<u32>("s").unwrap_err().param(), Some("s"));
        assert_eq!(json.keys().collect::<Vec<_>>(), ["s", "t", "n", "f", "plain"]);
    }
}
