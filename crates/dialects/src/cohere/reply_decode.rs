//! An upstream's whole answer into the canonical one.

use std::borrow::Cow;

use gatewright_core::chat::{Answer, Choice, Extra, Part, ToolCall};
use gatewright_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::citation::CitationIn;
use super::usage::UsageIn;
use super::{error, logprobs, plan, words};

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    message: Option<Message>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    usage: Option<UsageIn>,
    logprobs: Option<Vec<logprobs::Piece>>,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    content: Option<Content>,
    tool_plan: Option<String>,
    tool_calls: Option<Vec<Call>>,
    citations: Option<Vec<CitationIn>>,
}

/// What the model said: a request may have a string here.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(Deserialize)]
struct Block {
    text: Option<String>,
    thinking: Option<String>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    id: String,
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    #[serde(default)]
    name: String,
    arguments: Option<String>,
}

/// Reads the answer.
pub(super) fn reply(body: &[u8]) -> Result<Answer> {
    let Reply { id, message, finish_reason, usage, logprobs, error } =
        serde_json::from_slice(body).map_err(|err| malformed(&err))?;
    let word = finish_reason.unwrap_or_default();
    if let Some(failure) = words::failure(&word, error.as_deref()) {
        return Err(failure);
    }
    let Some(message) = message else { return Err(error::inside(body)) };
    Ok(Answer {
        id: id.into_owned(),
        choices: vec![Choice {
            index: 0,
            parts: message.parts(),
            finish: words::finish(&word),
            stop_sequence: None,
            logprobs: logprobs.filter(|pieces| !pieces.is_empty()).map(|pieces| logprobs::read(&pieces)),
            extra: Extra::new(),
        }],
        usage: usage.as_ref().map(UsageIn::usage),
        ..Answer::default()
    })
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

// === impl Message ===

impl Message {
    /// What was said, in order: the plan and the thoughts, the text, the calls.
    pub(super) fn parts(self) -> Vec<Part> {
        let mut parts = Vec::new();
        let plan = self.tool_plan.filter(|plan| !plan.is_empty());
        parts.extend(plan.map(plan::block).map(Part::Other));
        let mut blocks = self.content.map(Content::parts).unwrap_or_default();
        cite(&mut blocks, self.citations.unwrap_or_default());
        parts.extend(blocks.into_iter().filter(says_something));
        parts.extend(self.tool_calls.into_iter().flatten().map(Call::part));
        parts
    }
}

impl Content {
    /// One part a block, so that the places of citations hold.
    fn parts(self) -> Vec<Part> {
        match self {
            Self::Text(text) => vec![Part::text(text)],
            Self::Blocks(blocks) => blocks.into_iter().map(Block::part).collect(),
        }
    }
}

impl Block {
    fn part(self) -> Part {
        match self.thinking {
            Some(text) => Part::Reasoning { text, signature: None },
            None => Part::text(self.text.unwrap_or_default()),
        }
    }
}

impl Call {
    fn part(self) -> Part {
        let Function { name, arguments } =
            self.function.unwrap_or(Function { name: String::new(), arguments: None });
        Part::ToolCall(ToolCall { id: self.id, name, arguments: arguments.unwrap_or_default(), cache: None })
    }
}

/// Gives citations to the text that they are about: the block that they name, else the first text.
fn cite(blocks: &mut [Part], citations: Vec<CitationIn>) {
    let first = blocks.iter().position(|part| matches!(part, Part::Text { .. }));
    for citation in citations.into_iter().filter(CitationIn::is_about_text) {
        let named = citation.content_index.filter(|at| matches!(blocks.get(*at), Some(Part::Text { .. })));
        if let Some(at) = named.or(first)
            && let Some(Part::Text { citations, .. }) = blocks.get_mut(at)
        {
            citations.extend(citation.read());
        }
    }
}

fn says_something(part: &Part) -> bool {
    !matches!(part, Part::Text { text, .. } | Part::Reasoning { text, .. } if text.is_empty())
}
