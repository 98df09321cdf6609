//! The body of a call: the client's bytes, with an index of the top-level fields where they are JSON.

mod form;
mod json;
mod omit;
mod scan;

use bytes::Bytes;

pub use form::{Form, FormField};
pub use json::{Json, JsonField, JsonLimits, in_words, invalid};

/// What a client sent, kept as bytes until someone asks.
#[derive(Clone)]
pub enum Body {
    /// A JSON object with an index.
    Json(Json),
    /// A form with files in it.
    Form(Form),
    /// Anything else, forwarded as it is.
    Opaque(Bytes),
}

impl Body {
    /// The JSON object, where it is one.
    pub fn json(&self) -> Option<&Json> {
        match self {
            Self::Json(json) => Some(json),
            Self::Form(_) | Self::Opaque(_) => None,
        }
    }

    /// The form, where it is one.
    pub fn form(&self) -> Option<&Form> {
        match self {
            Self::Form(form) => Some(form),
            Self::Json(_) | Self::Opaque(_) => None,
        }
    }
}
