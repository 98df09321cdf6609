//! Events of a stream as an upstream sends them.

use std::borrow::Cow;

use gatewright_core::Result;
use serde::Deserialize;

use super::citation::CitationIn;
use super::logprobs::Piece;
use super::reply_decode;
use super::usage::UsageIn;

#[derive(Deserialize)]
pub(super) struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(super) struct MessageStart {
    #[serde(default)]
    pub(super) id: String,
}

/// An event that changes one field of the message.
#[derive(Deserialize)]
pub(super) struct Change<M> {
    #[serde(default)]
    pub(super) index: u32,
    pub(super) delta: Option<Delta<M>>,
    pub(super) logprobs: Option<Piece>,
}

#[derive(Deserialize)]
pub(super) struct Delta<M> {
    pub(super) message: Option<M>,
}

#[derive(Deserialize)]
pub(super) struct ContentOf {
    pub(super) content: Option<Content>,
}

#[derive(Deserialize)]
pub(super) struct Content {
    pub(super) text: Option<String>,
    pub(super) thinking: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct PlanOf {
    pub(super) tool_plan: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CallOf {
    pub(super) tool_calls: Option<Call>,
}

#[derive(Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    pub(super) id: String,
    pub(super) function: Option<Function>,
}

#[derive(Deserialize)]
pub(super) struct Function {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: String,
}

#[derive(Deserialize)]
pub(super) struct CitationOf {
    pub(super) citations: Option<CitationIn>,
}

#[derive(Deserialize)]
pub(super) struct MessageEnd<'a> {
    #[serde(borrow)]
    pub(super) delta: Option<End<'a>>,
}

#[derive(Deserialize)]
pub(super) struct End<'a> {
    #[serde(borrow)]
    pub(super) finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) error: Option<Cow<'a, str>>,
    pub(super) usage: Option<UsageIn>,
}

// === impl Change ===

impl<M> Change<M> {
    /// What it changes.
    pub(super) fn message(self) -> Option<M> {
        self.delta?.message
    }
}

/// Reads an event's data.
pub(super) fn read<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T> {
    serde_json::from_slice(data).map_err(|err| reply_decode::malformed(&err))
}

/// The event's name; some proxies leave it out, and then its data tells it. What is no event of the dialect has none.
pub(super) fn name<'a>(name: &'a str, data: &'a [u8]) -> Cow<'a, str> {
    match name {
        "" => serde_json::from_slice::<Typed<'_>>(data).map(|typed| typed.kind).unwrap_or_default(),
        name => Cow::Borrowed(name),
    }
}
