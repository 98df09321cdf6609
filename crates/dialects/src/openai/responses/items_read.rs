//! Items of a conversation, as clients send them and upstreams answer with them.

use std::borrow::Cow;

use gatewright_core::chat::{Part, Role, ToolCall, ToolResult};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Result, Value};

use super::content::Content;
use super::custom;

/// Every item that is known, flattened: which fields are there depends on `type`.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    summary: Option<&'a RawValue>,
    encrypted_content: Option<String>,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    input: Option<String>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
}

/// One item.
pub(super) enum Item {
    /// Somebody says something.
    Message(Role, Content),
    /// The model thinks, calls a tool, or does what only this dialect knows.
    Model(Part),
    /// A tool answered.
    Result(ToolResult),
    /// Reasoning of which neither a word nor anything that its maker could read is left.
    Nothing,
}

/// Items that are read by their fields, whatever else they have.
const KNOWN: [&str; 6] = [
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
];

/// Reads an item. What is not known stands as it is.
pub(super) fn item(raw: &RawValue) -> Result<Item> {
    let wire = match serde_json::from_str::<Wire<'_>>(raw.get()) {
        Ok(wire) => wire,
        Err(err) => {
            let value: Value = serde_json::from_str(raw.get())?;
            let known = value.get("type").and_then(Value::as_str).is_none_or(|kind| KNOWN.contains(&kind));
            return if known { Err(err) } else { Ok(Item::Model(Part::Other(value))) };
        }
    };
    match wire.kind.as_deref() {
        None | Some("message") => message(&wire),
        Some("reasoning") => reasoning(wire),
        Some("function_call") => Ok(Item::Model(Part::ToolCall(ToolCall {
            id: need(wire.call_id, "call_id")?,
            name: need(wire.name, "name")?,
            arguments: wire.arguments.unwrap_or_default(),
            cache: None,
        }))),
        Some("custom_tool_call") => Ok(Item::Model(Part::ToolCall(ToolCall {
            id: need(wire.call_id, "call_id")?,
            name: need(wire.name, "name")?,
            arguments: custom::arguments(&wire.input.unwrap_or_default()),
            cache: None,
        }))),
        Some("function_call_output" | "custom_tool_call_output") => Ok(Item::Result(ToolResult {
            id: need(wire.call_id, "call_id")?,
            parts: wire.output.map(Content::read).transpose()?.unwrap_or_default().parts,
            is_error: false,
            cache: None,
        })),
        Some(_) => Ok(Item::Model(Part::Other(serde_json::from_str(raw.get())?))),
    }
}

fn message(wire: &Wire<'_>) -> Result<Item> {
    let role = match wire.role.as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        Some(other) => return Err(wrong(format_args!("unknown role '{other}'"))),
        None => return Err(wrong(format_args!("expected a role"))),
    };
    Ok(Item::Message(role, wire.content.map(Content::read).transpose()?.unwrap_or_default()))
}

/// A summary that is there, if only an empty text, is reasoning in clear with what proves it; without one only its maker
/// can read it.
fn reasoning(wire: Wire<'_>) -> Result<Item> {
    let summary = wire.summary.map(Content::read).transpose()?.unwrap_or_default().parts;
    let content = wire.content.map(reasoning_content).transpose()?.unwrap_or_default();
    let told: Vec<&str> = summary
        .iter()
        .filter_map(|part| match part {
            Part::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .chain(content.iter().map(String::as_str))
        .collect();
    let sealed = wire.encrypted_content.filter(|sealed| !sealed.is_empty());
    Ok(match (told.is_empty(), sealed) {
        (true, Some(data)) => Item::Model(Part::RedactedReasoning { data }),
        (true, None) => Item::Nothing,
        (false, signature) => Item::Model(Part::Reasoning { text: told.join("\n\n"), signature }),
    })
}

#[derive(Deserialize)]
struct Thought {
    text: String,
}

fn reasoning_content(raw: &RawValue) -> Result<Vec<String>> {
    let parts: Option<Vec<Thought>> = serde_json::from_str(raw.get())?;
    Ok(parts.unwrap_or_default().into_iter().map(|part| part.text).collect())
}

fn need(field: Option<String>, name: &str) -> Result<String> {
    field.ok_or_else(|| wrong(format_args!("an item has no '{name}'")))
}

fn wrong(words: std::fmt::Arguments<'_>) -> serde_json::Error {
    serde::de::Error::custom(words)
}
