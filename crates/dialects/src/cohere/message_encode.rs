//! What a model said, as a message: for clients in an answer, for upstreams as an earlier turn.

use gatewright_core::chat::{Part, ToolCall};
use serde::Serialize;

use super::citation::{self, CitationOut};
use super::plan;

/// A message of the model.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    content: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_plan: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    citations: Vec<CitationOut>,
}

/// One block of its content.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str },
}

/// A call of a tool.
#[derive(Serialize)]
pub(super) struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) function: Function<'a>,
}

/// The function of a call.
#[derive(Serialize)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
}

// === impl Message ===

impl<'a> Message<'a> {
    /// Writes the parts that a model says; its thoughts only where they are wanted.
    pub(super) fn new(parts: &'a [Part], thoughts: bool) -> Self {
        let mut message = Self {
            role: "assistant",
            content: Vec::new(),
            tool_plan: None,
            tool_calls: Vec::new(),
            citations: Vec::new(),
        };
        let wanted = |part: &&Part| thoughts || !matches!(part, Part::Reasoning { .. });
        for part in parts.iter().filter(wanted) {
            message.say(part);
        }
        message
    }

    fn say(&mut self, part: &'a Part) {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) if text.is_empty() => {}
            Part::Text { text, citations, .. } => {
                let at = Some(self.content.len());
                self.citations.extend(citation::written(citations, text, at));
                self.content.push(Block::Text { text });
            }
            Part::Refusal(text) => self.content.push(Block::Text { text }),
            Part::Reasoning { text, .. } if text.is_empty() => {}
            Part::Reasoning { text, .. } => self.content.push(Block::Thinking { thinking: text }),
            Part::ToolCall(call) => self.tool_calls.push(Call::new(call)),
            Part::Other(block) => self.tool_plan = plan::of(block).or(self.tool_plan),
            Part::Media(_) | Part::ToolResult(_) | Part::RedactedReasoning { .. } => {}
        }
    }

    /// Whether it says nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.content.is_empty() && self.tool_calls.is_empty() && self.tool_plan.is_none()
    }
}

// === impl Call ===

impl<'a> Call<'a> {
    /// The call as one.
    pub(super) fn new(call: &'a ToolCall) -> Self {
        let function = Function { name: &call.name, arguments: arguments(&call.arguments) };
        Self { id: Some(&call.id), kind: "function", function }
    }
}

/// No arguments are an empty object. A model's bad JSON goes back as it came.
fn arguments(text: &str) -> &str {
    if text.is_empty() { "{}" } else { text }
}
