//! Values that mostly come in one form, which is read without a tree, and that may come in any other.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// What can be read out of any value: the form that is usual directly, all others out of their tree.
pub(super) trait FromAny: Sized {
    /// Reads a text.
    fn text(text: &str) -> Self {
        Self::tree(text.into())
    }

    /// Reads a list.
    fn list<'de, A: SeqAccess<'de>>(items: A) -> Result<Self, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(items)).map(Self::tree)
    }

    /// Reads an object.
    fn object<'de, A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(fields)).map(Self::tree)
    }

    /// Reads whatever has no reader of its own.
    fn tree(value: Value) -> Self;
}

/// What was read out of any value.
#[derive(Default)]
pub(super) struct Any<T>(pub(super) T);

/// The name of a field.
#[derive(serde::Deserialize)]
pub(super) struct Key<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'de, T: FromAny> Deserialize<'de> for Any<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms(PhantomData)).map(Self)
    }
}

struct Forms<T>(PhantomData<T>);

impl<'de, T: FromAny> Visitor<'de> for Forms<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(T::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
        T::list(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::object(fields)
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::tree(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        Ok(T::tree(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        Ok(T::tree(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        Ok(T::tree(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        Ok(T::tree(value.into()))
    }
}
