//! How a request asks for JSON: natively, through a forced tool, or in words.
//!
//! A model that takes schemas gets the schema. Another one gets a tool named [`JSON_TOOL`] whose arguments are the
//! answer; readers of answers turn its call back into text. While the model thinks, or where the client has tools of
//! its own to call, the tool is not forced alone. OpenAI's `json_object` has no counterpart: it is asked for in words,
//! as is a schema that neither way can carry.

use std::borrow::Cow;

use gatewright_core::chat::{Chat, Output, ToolChoice};
use gatewright_core::{Losses, ModelFacts};
use serde::Serialize;
use serde_json::Value;

use super::content_encode::Block;
use super::schema;
use super::tools::{Choice, Function, ToolOut};
use super::words::JSON_TOOL;

/// How JSON is asked for.
pub(super) enum Plan<'a> {
    /// It is not.
    Text,
    /// `output_config.format`.
    Native(Format<'a>),
    /// The tool, with what it is for and its schema; in words too where it is not forced.
    Tool { description: Option<&'a str>, schema: &'a Value, in_words: bool },
    /// In words alone.
    Words(String),
}

/// `output_config.format`.
#[derive(Serialize)]
pub(super) struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: Cow<'a, Value>,
}

// === impl Plan ===

impl<'a> Plan<'a> {
    /// Decides.
    pub(super) fn new(chat: &'a Chat, model: &ModelFacts, thinks: bool, losses: &mut Losses) -> Self {
        let (description, schema) = match &chat.output {
            Output::Text => return Self::Text,
            Output::JsonObject => return Self::Words(OBJECT_IN_WORDS.to_owned()),
            Output::JsonSchema { description, schema, .. } => (description.as_deref(), schema),
        };
        if model.structured_output && schema::can_be_closed(schema) {
            return Self::Native(Format {
                kind: "json_schema",
                schema: Cow::Owned(schema::restricted(schema)),
            });
        }
        if schema::is_object_schema(schema) {
            return Self::Tool { description, schema, in_words: thinks };
        }
        losses.add("response_format.json_schema");
        Self::Words(format!("{SCHEMA_IN_WORDS}{schema}"))
    }

    /// Adds what must be said in words.
    pub(super) fn instruct(&self, system: &mut Vec<Block<'a>>) {
        match self {
            Self::Words(words) => system.push(Block::text(words.clone())),
            Self::Tool { in_words: true, .. } => system.push(Block::text(TOOL_IN_WORDS)),
            Self::Tool { .. } | Self::Native(_) | Self::Text => {}
        }
    }

    /// Adds the tool.
    pub(super) fn add_tool(&self, tools: &mut Vec<ToolOut<'a>>) {
        if let Self::Tool { description, schema, .. } = self {
            let description = description.unwrap_or("Gives the final answer.");
            tools.push(ToolOut::Function(Function::plain(JSON_TOOL, Some(description), schema)));
        }
    }

    /// The choice of tools that makes the model use it.
    pub(super) fn force(&self, choice: Option<Choice<'a>>, chat: &Chat) -> Option<Choice<'a>> {
        let Self::Tool { in_words, .. } = self else { return choice };
        let alone = chat.tools.is_empty() || chat.tool_choice == Some(ToolChoice::None);
        match choice {
            // A tool that the client itself forces comes first; the answer follows in a later turn.
            Some(Choice::Tool { .. }) => choice,
            _ if *in_words => Some(Choice::Auto { disable_parallel_tool_use: None }),
            _ if alone => {
                Some(Choice::Tool { name: JSON_TOOL.into(), disable_parallel_tool_use: Some(true) })
            }
            // Either one of the client's tools, or the answer.
            _ => Some(Choice::Any {
                disable_parallel_tool_use: chat.parallel_tool_calls.map(|parallel| !parallel),
            }),
        }
    }
}

pub(crate) const OBJECT_IN_WORDS: &str =
    "Answer with one JSON object and nothing else: no other text before or after it, no code fence.";

pub(crate) const SCHEMA_IN_WORDS: &str = "Answer with JSON that follows this JSON schema and nothing else: no other text before \
                               or after it, no code fence. The schema: ";

pub(crate) const TOOL_IN_WORDS: &str =
    "Give your final answer only by calling the tool json_tool_call, not as text.";
