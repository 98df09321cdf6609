//! What is asked of an embedding model: the port through which the cache reaches one.

use std::sync::Arc;

use gatewright_core::Call;

use super::Asking;

/// Turns a text into numbers that are alike where texts mean the like.
pub trait Embed: Send + Sync + 'static {
    /// The numbers for `text`, on the account of whoever makes `call`. Fails with a [`Fault`](super::Fault) that says
    /// whether the model is away, or the text or its caller is at fault.
    fn embed<'a>(&'a self, text: Arc<str>, call: &'a Call) -> Asking<'a, Vec<f32>>;
}
