//! Parts into content blocks of requests and answers. A block is an object with one field, whose name says what it is.

use std::borrow::Cow;

use gatewright_core::Losses;
use gatewright_core::chat::{CacheMark, MediaKind, Part, ToolCall, ToolResult};
use serde::Serialize;
use serde_json::Value;

use super::citations;
use super::media::{self, MediaOut};
use super::words::{self, CachePoint};
use crate::arguments::Arguments;

/// The longest id of a tool call.
const LONGEST_ID: usize = 64;

/// One content block.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'a> {
    Text(Cow<'a, str>),
    CitationsContent {
        content: [Piece<'a>; 1],
        citations: Vec<Value>,
    },
    Image(MediaOut<'a>),
    Document(MediaOut<'a>),
    Video(MediaOut<'a>),
    Audio(MediaOut<'a>),
    #[serde(rename_all = "camelCase")]
    ToolUse {
        tool_use_id: Cow<'a, str>,
        name: &'a str,
        input: Arguments<'a>,
    },
    #[serde(rename_all = "camelCase")]
    ToolResult {
        tool_use_id: Cow<'a, str>,
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'static str>,
    },
    ReasoningContent(Reasoning<'a>),
    CachePoint(CachePoint),
    #[serde(untagged)]
    Own(&'a Value),
}

#[derive(Serialize)]
pub(super) struct Piece<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Reasoning<'a> {
    ReasoningText {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<&'a str>,
    },
    RedactedContent(&'a str),
}

/// Writes the blocks of one turn after the other.
pub(super) struct Writer<'l> {
    pub(super) losses: &'l mut Losses,
    /// Whether the model knows a prompt cache.
    pub(super) caches: bool,
    documents: usize,
}

// === impl Writer ===

impl<'l> Writer<'l> {
    pub(super) fn new(caches: bool, losses: &'l mut Losses) -> Self {
        Self { losses, caches, documents: 0 }
    }

    /// The parts of a request's turn.
    pub(super) fn blocks<'a>(&mut self, parts: &'a [Part]) -> Vec<Block<'a>> {
        let mut blocks = Vec::with_capacity(parts.len());
        for part in parts {
            let Some(block) = self.block(part) else { continue };
            blocks.push(block);
            self.mark(&mut blocks, cache_of(part));
        }
        blocks
    }

    /// Asks for everything so far to be cached, where the model can.
    pub(super) fn mark(&mut self, blocks: &mut Vec<Block<'_>>, mark: Option<CacheMark>) {
        let Some(mark) = mark else { return };
        match self.caches {
            true if !matches!(blocks.last(), None | Some(Block::CachePoint(_))) => {
                blocks.push(Block::CachePoint(mark.into()));
            }
            true => {}
            false => self.losses.add("messages.cache_control"),
        }
    }

    /// `None` where the API would refuse or cannot carry it.
    fn block<'a>(&mut self, part: &'a Part) -> Option<Block<'a>> {
        match part {
            // The API refuses text without a letter in it.
            Part::Text { text, .. } | Part::Refusal(text) if text.trim().is_empty() => None,
            Part::Text { text, .. } | Part::Refusal(text) => Some(Block::Text(text.into())),
            Part::Media(media) => {
                let is_document = media.kind == MediaKind::Document && !media::is_picture(media);
                self.documents += usize::from(is_document);
                let out = MediaOut::new(media, self.documents, self.losses)?;
                Some(match media.kind {
                    MediaKind::Image | MediaKind::Document if !is_document => Block::Image(out),
                    MediaKind::Image | MediaKind::Document => Block::Document(out),
                    MediaKind::Video => Block::Video(out),
                    MediaKind::Audio => Block::Audio(out),
                })
            }
            Part::ToolCall(call) => Some(Block::of_call(call)),
            Part::ToolResult(result) => Some(self.result(result)),
            Part::Reasoning { text, signature: Some(signature) } => {
                let signature = Some(signature.as_str());
                Some(Block::ReasoningContent(Reasoning::ReasoningText { text, signature }))
            }
            // Reasoning of another provider: without its maker's signature it is refused.
            Part::Reasoning { signature: None, .. } => {
                self.losses.add("messages.reasoning");
                None
            }
            Part::RedactedReasoning { data } => {
                Some(Block::ReasoningContent(Reasoning::RedactedContent(data)))
            }
            Part::Other(value) if words::is_own_block(value) => Some(Block::Own(value)),
            Part::Other(value) => {
                let kind = value.get("type").and_then(Value::as_str).unwrap_or("other");
                self.losses.add(format!("messages.{kind}"));
                None
            }
        }
    }

    fn result<'a>(&mut self, result: &'a ToolResult) -> Block<'a> {
        let mut content = Vec::with_capacity(result.parts.len());
        for part in &result.parts {
            match self.block(part) {
                Some(
                    block @ (Block::Text(_)
                    | Block::Image(_)
                    | Block::Document(_)
                    | Block::Video(_)
                    | Block::Own(_)),
                ) => content.push(block),
                Some(_) => self.losses.add("messages.tool_result"),
                None => {}
            }
        }
        // The API wants the list, and takes it empty. Success is understood; only some models know the word.
        let status = result.is_error.then_some("error");
        Block::ToolResult { tool_use_id: call_id(&result.id), content, status }
    }
}

// === impl Block ===

impl<'a> Block<'a> {
    /// A part of an answer; `None` for what holds nothing.
    pub(super) fn of_reply(part: &'a Part) -> Option<Self> {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) if text.is_empty() => None,
            Part::Text { text, citations, .. } if !citations.is_empty() => Some(Self::CitationsContent {
                content: [Piece { text }],
                citations: citations.iter().filter_map(citations::wire).collect(),
            }),
            Part::Text { text, .. } | Part::Refusal(text) => Some(Self::Text(text.into())),
            Part::ToolCall(call) => Some(Self::of_call(call)),
            Part::Reasoning { text, signature } => {
                let signature = signature.as_deref();
                Some(Self::ReasoningContent(Reasoning::ReasoningText { text, signature }))
            }
            Part::RedactedReasoning { data } => {
                Some(Self::ReasoningContent(Reasoning::RedactedContent(data)))
            }
            Part::Other(value) if words::is_own_block(value) => Some(Self::Own(value)),
            Part::Media(_) | Part::ToolResult(_) | Part::Other(_) => None,
        }
    }

    fn of_call(call: &'a ToolCall) -> Self {
        Self::ToolUse {
            tool_use_id: call_id(&call.id),
            name: &call.name,
            input: Arguments::new(&call.arguments),
        }
    }
}

fn cache_of(part: &Part) -> Option<CacheMark> {
    match part {
        Part::Text { cache, .. } => *cache,
        Part::Media(media) => media.cache,
        Part::ToolCall(call) => call.cache,
        Part::ToolResult(result) => result.cache,
        Part::Reasoning { .. } | Part::RedactedReasoning { .. } | Part::Refusal(_) | Part::Other(_) => None,
    }
}

/// Ids of other providers may be longer or hold what the API refuses; calls and results are changed alike, so they still
/// match. Of a long one the end is kept, where ids differ.
fn call_id(id: &str) -> Cow<'_, str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
    if id.len() <= LONGEST_ID && id.chars().all(is_fine) {
        return Cow::Borrowed(id);
    }
    let fine: String = id.chars().map(|c| if is_fine(c) { c } else { '_' }).collect();
    Cow::Owned(fine.get(fine.len().saturating_sub(LONGEST_ID)..).unwrap_or_default().to_owned())
}
