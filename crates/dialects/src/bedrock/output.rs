//! How a request asks for JSON: natively, through a forced tool, or in words.
//!
//! As with Anthropic's own API: a model that takes schemas gets the schema, another one a tool named [`JSON_TOOL`] whose
//! arguments are the answer, and what neither can carry is asked for in words.

use gatewright_core::chat::{Chat, Output, ToolChoice};
use gatewright_core::{Losses, ModelFacts};
use serde::Serialize;
use serde_json::Value;

use super::content_encode::Block;
use super::tools::{Choice, Config, Spec, ToolOut};
use crate::anthropic::output::{OBJECT_IN_WORDS, SCHEMA_IN_WORDS, TOOL_IN_WORDS};
use crate::anthropic::schema;
use crate::anthropic::words::JSON_TOOL;

/// How JSON is asked for.
pub(super) enum Plan<'a> {
    /// It is not.
    Text,
    /// `outputConfig.textFormat`.
    Native(Format<'a>),
    /// The tool, with what it is for and its schema; in words too where it is not forced.
    Tool { description: Option<&'a str>, schema: &'a Value, in_words: bool },
    /// In words alone.
    Words(String),
}

/// `outputConfig.textFormat`.
#[derive(Serialize)]
pub(super) struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    structure: Structure<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Structure<'a> {
    json_schema: Definition<'a>,
}

#[derive(Serialize)]
struct Definition<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// As a text, not as an object.
    schema: String,
}

// === impl Plan ===

impl<'a> Plan<'a> {
    /// Decides.
    pub(super) fn new(chat: &'a Chat, model: &ModelFacts, thinks: bool, losses: &mut Losses) -> Self {
        let (name, description, schema) = match &chat.output {
            Output::Text => return Self::Text,
            Output::JsonObject => return Self::Words(OBJECT_IN_WORDS.to_owned()),
            Output::JsonSchema { name, description, schema, .. } => (name, description.as_deref(), schema),
        };
        if model.structured_output && schema::can_be_closed(schema) {
            let schema = schema::restricted(schema).to_string();
            let json_schema = Definition { name, description, schema };
            return Self::Native(Format { kind: "json_schema", structure: Structure { json_schema } });
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
            Self::Words(words) => system.push(Block::Text(words.clone().into())),
            Self::Tool { in_words: true, .. } => system.push(Block::Text(TOOL_IN_WORDS.into())),
            Self::Tool { .. } | Self::Native(_) | Self::Text => {}
        }
    }

    /// Adds the tool, and makes the model use it.
    pub(super) fn force(&self, config: &mut Config<'a>, chat: &Chat) {
        let Self::Tool { description, schema, in_words } = self else { return };
        let description = description.unwrap_or("Gives the final answer.");
        config.tools.push(ToolOut::ToolSpec(Spec::plain(JSON_TOOL, description, schema)));
        let alone = chat.tools.is_empty() || chat.tool_choice == Some(ToolChoice::None);
        config.tool_choice = Some(match config.tool_choice.take() {
            // A tool that the client itself forces comes first; the answer follows in a later turn.
            Some(choice @ Choice::Tool { .. }) => choice,
            _ if *in_words => Choice::Auto {},
            _ if alone => Choice::Tool { name: JSON_TOOL.into() },
            // Either one of the client's tools, or the answer.
            _ => Choice::Any {},
        });
    }
}
