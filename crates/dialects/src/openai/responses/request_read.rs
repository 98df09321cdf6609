//! A client's request.

use gatewright_core::body::{JsonField, in_words};
use gatewright_core::chat::{Chat, Effort, Output, Part, Reasoning, Role, ToolChoice, Turn};
use gatewright_core::{Error, ErrorKind, Json, Result};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::items_read::{Item, item};
use super::tools;
use crate::openai::read::tool::choice;

/// What only the provider knows that made it or keeps it: such a request cannot be carried to another dialect.
const KEPT_THERE: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// Reads a request.
pub(super) fn read(body: &Json) -> Result<Chat> {
    if let Some(field) = KEPT_THERE.into_iter().find(|field| body.has(field)) {
        let words = format!("'{field}' is known only to a provider that speaks this API itself");
        return Err(Error::new(ErrorKind::Unsupported, words).with_param(field));
    }
    if body.raw("background") == Some(b"true") {
        let words = "'background' needs a provider that speaks this API itself";
        return Err(Error::new(ErrorKind::Unsupported, words).with_param("background"));
    }
    let mut chat = Chat::default();
    if let Some(text) = body.string("instructions")? {
        chat.turns.push(Turn::new(Role::System, vec![Part::text(text)]));
    }
    input(body, &mut chat.turns)?;
    for field in body.fields() {
        take(&field, &mut chat)?;
    }
    Ok(chat)
}

fn input(body: &Json, turns: &mut Vec<Turn>) -> Result<()> {
    let wrong = |words: String| Error::new(ErrorKind::InvalidRequest, words).with_param("input");
    let raw = body.raw("input").filter(|raw| *raw != b"null");
    let Some(raw) = raw else { return Err(wrong("Missing required parameter: 'input'.".to_owned())) };
    if raw.first() == Some(&b'"') {
        let text = body.string("input")?.unwrap_or_default();
        turns.push(Turn::new(Role::User, vec![Part::text(text)]));
        return Ok(());
    }
    let items: Vec<&RawValue> = body.get("input")?.unwrap_or_default();
    for (at, raw) in items.into_iter().enumerate() {
        let item =
            item(raw).map_err(|err| wrong(format!("invalid value for 'input[{at}]': {}", in_words(&err))))?;
        push(item, turns);
    }
    Ok(())
}

/// What the model did stands in items of its own; together they are one turn.
fn push(item: Item, turns: &mut Vec<Turn>) {
    let (role, mut parts) = match item {
        Item::Message(role, content) => {
            let bare = |part| match part {
                // No provider wants back what its answer rests on.
                Part::Text { text, .. } => Part::text(text),
                other => other,
            };
            (role, content.parts.into_iter().map(bare).collect())
        }
        Item::Model(part) => (Role::Assistant, vec![part]),
        Item::Result(result) => (Role::User, vec![Part::ToolResult(result)]),
        Item::Nothing => return,
    };
    match turns.last_mut() {
        // A model that said nothing is left out.
        _ if role == Role::Assistant && parts.is_empty() => {}
        Some(last) if role == Role::Assistant && last.role == role => last.parts.append(&mut parts),
        _ => turns.push(Turn::new(role, parts)),
    }
}

fn take(field: &JsonField<'_>, chat: &mut Chat) -> Result<()> {
    match &*field.key {
        // What is read above, and what concerns only what is kept of the answer or how it is told.
        "model"
        | "instructions"
        | "input"
        | "store"
        | "include"
        | "metadata"
        | "background"
        | "stream_options"
        | "previous_response_id"
        | "conversation"
        | "prompt" => {}
        // One that is disabled is what every other dialect does.
        "truncation" if field.raw == br#""disabled""# => {}
        "stream" => chat.stream = field.flag()?,
        "temperature" => chat.sampling.temperature = field.get()?,
        "top_p" => chat.sampling.top_p = field.get()?,
        "top_logprobs" => {
            chat.sampling.top_logprobs = field.get()?;
            chat.sampling.logprobs = chat.sampling.top_logprobs.map(|_| true);
        }
        "max_output_tokens" => chat.max_output = field.get()?,
        "parallel_tool_calls" => chat.parallel_tool_calls = field.get()?,
        "user" => chat.user = field.get()?,
        "service_tier" => chat.service_tier = field.get()?,
        "tools" => tools::read(field.get()?.unwrap_or_default(), chat),
        "tool_choice" => chat.tool_choice = field.get::<Value>()?.as_ref().map(chosen),
        "text" => text(field, chat)?,
        "reasoning" => reasoning(field, chat)?,
        key => chat.extra.extend(field.get::<Value>()?.map(|value| (key.to_owned(), value))),
    }
    Ok(())
}

/// A tool that the provider runs has no name elsewhere; that some tool must be called can still be said.
fn chosen(value: &Value) -> ToolChoice {
    choice(value).unwrap_or(ToolChoice::Required)
}

fn text(field: &JsonField<'_>, chat: &mut Chat) -> Result<()> {
    let mut text: Map<String, Value> = field.get()?.unwrap_or_default();
    if let Some(Value::Object(format)) = text.shift_remove("format") {
        let said = |key: &str| format.get(key).and_then(Value::as_str).map(str::to_owned);
        chat.output = match format.get("type").and_then(Value::as_str) {
            Some("json_object") => Output::JsonObject,
            Some("json_schema") => Output::JsonSchema {
                name: said("name").unwrap_or_default(),
                description: said("description"),
                schema: format.get("schema").cloned().unwrap_or_default(),
                strict: format.get("strict").and_then(Value::as_bool),
            },
            _ => Output::Text,
        };
    }
    text.retain(|_, value| !value.is_null());
    // `verbosity` has the same name as a field of its own.
    chat.extra.append(&mut text);
    Ok(())
}

fn reasoning(field: &JsonField<'_>, chat: &mut Chat) -> Result<()> {
    let Some(wanted) = field.get::<Map<String, Value>>()? else { return Ok(()) };
    let said = |key: &str| wanted.get(key).and_then(Value::as_str);
    let effort = said("effort").and_then(Effort::parse);
    let summary = said("summary").or_else(|| said("generate_summary"));
    if effort.is_some() || summary.is_some() {
        let display = summary.map(|_| "summarized".to_owned());
        chat.reasoning = Some(Reasoning { effort, display, ..Reasoning::default() });
    }
    Ok(())
}
