//! Providers with behaviour of their own: one file each. Nowhere else is a provider told by its id.

pub(crate) mod mock;
mod vertex;

use gatewright_core::{Dialect, Json, Operation};

/// Edits a request of this dialect for this operation, when it is otherwise final.
pub(crate) type Shape = fn(&mut Json, Dialect, Operation);

/// How a provider's requests are edited, where its row cannot say it.
pub(crate) fn shape(provider: &str) -> Option<Shape> {
    match provider {
        "vertex_ai" => Some(vertex::shape),
        _ => None,
    }
}

/// A value of an address that follows from others; `known` looks those up.
pub(crate) fn value(provider: &str, name: &str, known: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    match provider {
        "vertex_ai" => vertex::value(name, known),
        _ => None,
    }
}
