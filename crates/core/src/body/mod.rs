//! The body of a call: the client's bytes, with an index of the top-level fields where they are JSON.

mod json;
mod scan;

use bytes::Bytes;

pub use json::{Json, JsonField, JsonLimits, in_words};

/// What a client sent, kept as bytes until someone asks.
#[derive(Clone)]
pub enum Body {
    /// A JSON object with an index.
    Json(Json),
    /// Anything else, forwarded as it is.
    Opaque(Bytes),
}

impl Body {
    /// The JSON object, where it is one.
    pub fn json(&self) -> Option<&Json> {
        match self {
            Self::Json(json) => Some(json),
            Self::Opaque(_) => None,
        }
    }
}
