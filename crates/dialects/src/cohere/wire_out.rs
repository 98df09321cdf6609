//! Events of a stream as a client gets them.

use serde::Serialize;

use super::citation::CitationOut;
use super::logprobs::Piece;
use super::message_encode::{Block, Call};
use super::usage::UsageOut;

/// One event.
#[derive(Serialize)]
pub(super) struct Out<'a, D> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<D>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<Piece>,
}

/// What changes in the message.
#[derive(Serialize)]
pub(super) struct Change<M> {
    pub(super) message: M,
}

/// The message before anything is said.
#[derive(Serialize)]
pub(super) struct Empty {
    pub(super) role: &'static str,
    pub(super) content: [(); 0],
    pub(super) tool_plan: &'static str,
    pub(super) tool_calls: [(); 0],
    pub(super) citations: [(); 0],
}

/// A block of content that begins.
#[derive(Serialize)]
pub(super) struct Begun<'a> {
    pub(super) content: Block<'a>,
}

/// A piece of content.
#[derive(Serialize)]
pub(super) struct Said<'a> {
    pub(super) content: Piecemeal<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Piecemeal<'a> {
    Text(&'a str),
    Thinking(&'a str),
}

/// A plan for calls.
#[derive(Serialize)]
pub(super) struct Planned<'a> {
    pub(super) tool_plan: &'a str,
}

/// A call that begins.
#[derive(Serialize)]
pub(super) struct Called<'a> {
    pub(super) tool_calls: Call<'a>,
}

/// A piece of a call's arguments.
#[derive(Serialize)]
pub(super) struct Argued<'a> {
    pub(super) tool_calls: Arguments<'a>,
}

#[derive(Serialize)]
pub(super) struct Arguments<'a> {
    pub(super) function: Function<'a>,
}

#[derive(Serialize)]
pub(super) struct Function<'a> {
    pub(super) arguments: &'a str,
}

/// A citation.
#[derive(Serialize)]
pub(super) struct Cited<'a> {
    pub(super) citations: &'a CitationOut,
}

/// The end of the message.
#[derive(Serialize)]
pub(super) struct End<'a> {
    pub(super) finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<UsageOut>,
}

// === impl Out ===

impl<D> Out<'_, D> {
    /// An event about the block, call or citation with this number.
    pub(super) fn at(kind: &'static str, index: u32, delta: Option<D>) -> Self {
        Self { kind, id: None, index: Some(index), delta, logprobs: None }
    }
}
