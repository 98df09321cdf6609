//! Types that say themselves how they are written, in this crate's writer: most of what is written is text, of which
//! `serde_json` looks at every byte alone.

use std::fmt::{self, Display, Error, Formatter};

use bytes::{BufMut, BytesMut};
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{put_key, put_number, put_text, separate};

/// The name of a newtype whose text is JSON already.
const RAW: &str = "raw JSON";

/// Writes one value.
pub(super) struct Writer<'o>(pub(super) &'o mut BytesMut);

/// A list or an object that is being written.
pub(super) struct Open<'o> {
    out: &'o mut BytesMut,
    written: usize,
    close: &'static [u8],
}

/// Hands out text that is JSON already.
pub(crate) fn serialize_raw<S: Serializer>(json: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(RAW, json)
}

// === impl Writer ===

impl<'o> Writer<'o> {
    fn put(self, json: &[u8]) -> Result<(), Error> {
        self.0.put_slice(json);
        Ok(())
    }

    fn signed(self, number: i64) -> Result<(), Error> {
        if number < 0 {
            self.0.put_u8(b'-');
        }
        put_number(self.0, number.unsigned_abs());
        Ok(())
    }

    fn unsigned(self, number: u64) -> Result<(), Error> {
        put_number(self.0, number);
        Ok(())
    }

    fn open(self, open: u8, close: &'static [u8]) -> Result<Open<'o>, Error> {
        self.0.put_u8(open);
        Ok(Open { out: self.0, written: 0, close })
    }

    /// The variant of an enum that names itself from outside.
    fn variant(self, name: &str) -> Self {
        self.0.put_u8(b'{');
        put_text(self.0, name);
        self.0.put_u8(b':');
        self
    }
}

impl<'o> Serializer for Writer<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Open<'o>;
    type SerializeTuple = Open<'o>;
    type SerializeTupleStruct = Open<'o>;
    type SerializeTupleVariant = Open<'o>;
    type SerializeMap = Open<'o>;
    type SerializeStruct = Open<'o>;
    type SerializeStructVariant = Open<'o>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.put(if value { b"true" } else { b"false" })
    }

    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.signed(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.signed(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.signed(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.signed(value)
    }

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.unsigned(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.unsigned(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.unsigned(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.unsigned(value)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        serde_json::to_writer(self.0.writer(), &value).map_err(|_| Error)
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        serde_json::to_writer(self.0.writer(), &value).map_err(|_| Error)
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        put_text(self.0, value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.put(b"null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.put(b"null")
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.put(b"null")
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        match name {
            RAW => fmt::write(self.0, format_args!("{}", Bare(value))),
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let Self(out) = self.variant(variant);
        value.serialize(Writer(out))?;
        out.put_u8(b'}');
        Ok(())
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Open<'o>, Error> {
        self.open(b'[', b"]")
    }

    fn serialize_tuple(self, _length: usize) -> Result<Open<'o>, Error> {
        self.open(b'[', b"]")
    }

    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Open<'o>, Error> {
        self.open(b'[', b"]")
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Open<'o>, Error> {
        self.variant(variant).open(b'[', b"]}")
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Open<'o>, Error> {
        self.open(b'{', b"}")
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Open<'o>, Error> {
        self.open(b'{', b"}")
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Open<'o>, Error> {
        self.variant(variant).open(b'{', b"}}")
    }
}

// === impl Open ===

impl Open<'_> {
    fn next(&mut self) {
        separate(self.out, self.written);
        self.written += 1;
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.next();
        value.serialize(Writer(self.out))
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.next();
        put_key(self.out, key);
        value.serialize(Writer(self.out))
    }

    fn close(self) -> Result<(), Error> {
        self.out.put_slice(self.close);
        Ok(())
    }
}

/// Lists of every kind, objects of every kind.
macro_rules! open {
    ($($what:ident: $put:ident($($key:ident: $type:ty)?) as $as:ident;)*) => {
        $(impl $what for Open<'_> {
            type Ok = ();
            type Error = Error;

            fn $put<T: Serialize + ?Sized>(&mut self, $($key: $type,)? value: &T) -> Result<(), Error> {
                self.$as($($key,)? value)
            }

            fn end(self) -> Result<(), Error> {
                self.close()
            }
        })*
    };
}

open! {
    SerializeSeq: serialize_element() as item;
    SerializeTuple: serialize_element() as item;
    SerializeTupleStruct: serialize_field() as item;
    SerializeTupleVariant: serialize_field() as item;
    SerializeStruct: serialize_field(key: &'static str) as field;
    SerializeStructVariant: serialize_field(key: &'static str) as field;
}

impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Error;

    /// Keys are texts.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.item(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.out.put_u8(b':');
        value.serialize(Writer(self.out))
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

/// A text without its quotes.
struct Bare<'v, T: ?Sized>(&'v T);

impl<T: Serialize + ?Sized> Display for Bare<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::json::put_json;

    #[derive(Serialize)]
    struct All<'a> {
        text: &'a str,
        letter: char,
        #[serde(skip_serializing_if = "Option::is_none")]
        some: Option<bool>,
        none: Option<u8>,
        numbers: (i8, i64, u64, f32, f64),
        unit: (),
        wrapped: Wrapped,
        kinds: [Kind<'a>; 4],
        tagged: [Tagged<'a>; 3],
        #[serde(flatten)]
        rest: BTreeMap<&'a str, Value>,
    }

    #[derive(Serialize)]
    struct Wrapped(u16);

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind<'a> {
        Unit,
        Newtype(&'a str),
        Pair(i32, bool),
        Fields { a: u32 },
    }

    #[derive(Serialize)]
    #[serde(tag = "type")]
    enum Tagged<'a> {
        Unit,
        Fields {
            a: &'a str,
        },
        #[serde(untagged)]
        Own(Value),
    }

    proptest! {
        #[test]
        fn every_form_is_written_as_serde_json_does(text in ".{0,40}", n: i64, m: u64, float: f64, some: Option<bool>) {
            let all = All {
                text: &text,
                letter: text.chars().next().unwrap_or('"'),
                some,
                none: None,
                numbers: (-7, n, m, 0.5, float),
                unit: (),
                wrapped: Wrapped(9),
                kinds: [Kind::Unit, Kind::Newtype(&text), Kind::Pair(-1, true), Kind::Fields { a: 0 }],
                tagged: [Tagged::Unit, Tagged::Fields { a: &text }, Tagged::Own(json!({"b": [n, text]}))],
                rest: [("x", json!([])), ("y", json!({}))].into(),
            };
            let mut out = BytesMut::new();
            put_json(&mut out, &all);
            prop_assert_eq!(std::str::from_utf8(&out).unwrap(), serde_json::to_string(&all).unwrap());
        }
    }

    #[test]
    fn what_is_json_already_is_left_as_it_is() {
        struct Raw;
        impl Serialize for Raw {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serialize_raw(r#"{"a" : "\u00e9"}"#, serializer)
            }
        }
        let mut out = BytesMut::new();
        put_json(&mut out, &[Raw, Raw]);
        assert_eq!(out, r#"[{"a" : "\u00e9"},{"a" : "\u00e9"}]"#);
    }
}
