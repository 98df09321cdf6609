//! Conversations.

use gatewright_core::chat::{Chat, Media, Output, Part, Tool, Turn};
use serde_json::Value;

use crate::media;
use crate::text::Meter;

/// What frames a whole conversation: 3 tokens of OpenAI's, up to 60 of the templates of open models.
pub(crate) const FRAME: u64 = 16;
/// What frames one turn: its role and the marks around it.
const TURN: u64 = 4;
/// What frames one tool call or result: its id, its name, the marks around it.
const CALL: u64 = 24;
/// The instructions that come with the first tool: Anthropic's count 346 tokens and more, others' about 250.
pub(crate) const TOOLS: u64 = 400;
/// What frames one tool.
const TOOL: u64 = 24;
/// The instructions that come with a schema for the answer; observed at Anthropic's.
pub(crate) const SCHEMA: u64 = 500;
/// The instructions of a tool that the provider runs: Anthropic's count 700 for the larger ones.
const HOSTED: u64 = 700;
/// The instructions that come with citations; observed at Anthropic's.
pub(crate) const CITATIONS: u64 = 600;
/// A part whose content only the provider can read (redacted reasoning): base64 of what it counts as text.
const OPAQUE_BYTES_A_TOKEN: usize = 4;

/// How many tokens the input of a conversation has, about; rarely below the true count.
pub fn estimate(chat: &Chat) -> u64 {
    let mut meter = Meter::default();
    meter.add(FRAME);
    for turn in &chat.turns {
        count_turn(turn, &mut meter);
    }
    if chat.turns.iter().flat_map(|turn| &turn.parts).any(is_cited) {
        meter.add(CITATIONS);
    }
    if !chat.tools.is_empty() {
        meter.add(TOOLS);
    }
    for tool in &chat.tools {
        count_tool(tool, &mut meter);
    }
    if let Output::JsonSchema { name, description, schema, .. } = &chat.output {
        meter.add(SCHEMA);
        count_text(name, &mut meter);
        count_text(description.as_deref().unwrap_or_default(), &mut meter);
        count_json(schema, &mut meter);
    }
    meter.tokens()
}

fn is_cited(part: &Part) -> bool {
    let asked = |media: &Media| {
        media.extra.get("citations").and_then(|c| c.get("enabled")) == Some(&Value::Bool(true))
    };
    matches!(part, Part::Media(media) if asked(media))
}

fn count_turn(turn: &Turn, meter: &mut Meter) {
    meter.add(TURN);
    if let Some(name) = &turn.name {
        count_text(name, meter);
    }
    for part in &turn.parts {
        count_part(part, meter);
    }
}

fn count_part(part: &Part, meter: &mut Meter) {
    match part {
        Part::Text { text, .. } | Part::Refusal(text) | Part::Reasoning { text, .. } => {
            count_text(text, meter)
        }
        Part::Media(media) => media::count(media, meter),
        Part::ToolCall(call) => {
            meter.add(CALL);
            count_text(&call.name, meter);
            count_text(&call.arguments, meter);
        }
        Part::ToolResult(result) => {
            meter.add(CALL);
            for part in &result.parts {
                count_part(part, meter);
            }
        }
        Part::RedactedReasoning { data } => {
            meter.add(u64::try_from(data.len() / OPAQUE_BYTES_A_TOKEN).unwrap_or(u64::MAX));
        }
        Part::Other(value) => count_json(value, meter),
    }
}

fn count_tool(tool: &Tool, meter: &mut Meter) {
    match tool {
        Tool::Function { name, description, parameters, .. } => {
            meter.add(TOOL);
            count_text(name, meter);
            count_text(description.as_deref().unwrap_or_default(), meter);
            if let Some(parameters) = parameters {
                count_json(parameters, meter);
            }
        }
        Tool::Hosted(value) => {
            meter.add(HOSTED);
            count_json(value, meter);
        }
    }
}

fn count_text(text: &str, meter: &mut Meter) {
    meter.part();
    meter.feed(text.as_bytes());
}

fn count_json(value: &Value, meter: &mut Meter) {
    meter.part();
    // The meter takes every byte, and a value can always be written.
    let _ = serde_json::to_writer(meter, value);
}
