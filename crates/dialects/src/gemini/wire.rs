//! Answers as an upstream sends them, whole or as one event of a stream: both have the same form.

use std::borrow::Cow;

use gatewright_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::partial;
use super::usage::UsageIn;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub(super) candidates: Vec<Candidate<'a>>,
    pub(super) prompt_feedback: Option<Feedback>,
    pub(super) usage_metadata: Option<UsageIn>,
    #[serde(borrow)]
    pub(super) model_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) response_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// Why the prompt was not answered at all.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Feedback {
    pub(super) block_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
    /// A word; a number where the service was asked through a library for its binary protocol.
    pub(super) finish_reason: Option<Value>,
    pub(super) index: u32,
    pub(super) grounding_metadata: Option<Value>,
    pub(super) logprobs_result: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    pub(super) parts: Vec<&'a RawValue>,
}

/// Every part that is known, flattened: which field is there says what it is.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Piece<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Cow<'a, str>>,
    pub(super) thought: bool,
    #[serde(borrow, alias = "thought_signature")]
    pub(super) thought_signature: Option<Cow<'a, str>>,
    #[serde(borrow, alias = "function_call")]
    pub(super) function_call: Option<Called<'a>>,
    #[serde(borrow, alias = "function_response")]
    pub(super) function_response: Option<Responded<'a>>,
    #[serde(borrow, alias = "inline_data")]
    pub(super) inline_data: Option<Blob<'a>>,
    #[serde(borrow, alias = "file_data")]
    pub(super) file_data: Option<FileData<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Called<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
    /// Arguments in pieces, where a client asked for them so.
    pub(super) partial_args: Vec<partial::Piece>,
    /// Whether more pieces come.
    pub(super) will_continue: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Responded<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) parts: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    #[serde(borrow, alias = "mime_type")]
    pub(super) mime_type: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Cow<'a, str>,
    #[serde(borrow, alias = "display_name")]
    pub(super) display_name: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct FileData<'a> {
    #[serde(borrow, alias = "mime_type")]
    pub(super) mime_type: Cow<'a, str>,
    #[serde(borrow, alias = "file_uri")]
    pub(super) file_uri: Cow<'a, str>,
    #[serde(borrow, alias = "display_name")]
    pub(super) display_name: Option<Cow<'a, str>>,
}

// === impl Called ===

impl Called<'_> {
    /// The arguments as JSON text.
    pub(super) fn arguments(&self) -> String {
        match self.args.map(RawValue::get) {
            None | Some("null") => "{}".to_owned(),
            Some(args) => args.to_owned(),
        }
    }
}

/// Reads an answer or an event.
pub(super) fn read<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T> {
    serde_json::from_slice(data).map_err(|err| malformed(&err))
}

/// An answer that the dialect does not know. The parser's own words may quote the answer, so only its verdict and the
/// place are told.
pub(super) fn malformed(err: &serde_json::Error) -> Error {
    unreadable(format!("{:?} error at line {} column {}", err.classify(), err.line(), err.column()))
}

/// An answer that cannot be read; `detail` is for the log.
pub(super) fn unreadable(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadGateway, "the provider's answer could not be read").with_detail(detail)
}

/// The stream ended before the model did.
pub(super) fn cut() -> Error {
    Error::new(ErrorKind::Connection, "the provider closed the stream before the answer was whole")
}
