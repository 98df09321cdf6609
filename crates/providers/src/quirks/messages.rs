//! Quirks that reach into messages. A body is only decoded where it holds what a quirk is about.

use gatewright_catalogue::Quirk;
use gatewright_core::{Json, Losses, Result};
use memchr::memmem;
use serde_json::{Map, Value};

/// Edits messages and tools.
pub(super) fn apply(quirks: &[Quirk], body: &mut Json, losses: &mut Losses) -> Result<()> {
    let found = |quirk: &&Quirk| {
        let holds = |field: &str, word: &str| {
            body.raw(field).is_some_and(|raw| memmem::find(raw, word.as_bytes()).is_some())
        };
        match quirk {
            Quirk::Role { from, .. } => holds("messages", from),
            Quirk::FlattenText | Quirk::TextOnlyContent => holds("messages", "\"type\""),
            Quirk::NoCacheMarks => holds("messages", "cache_control") || holds("tools", "cache_control"),
            Quirk::NoSpeakerNames => holds("messages", "\"name\""),
            Quirk::DropFromMessages(fields) => {
                fields.iter().any(|field| holds("messages", &format!("\"{field}\"")))
            }
            Quirk::ReasoningField(_) => holds("messages", "reasoning_content"),
            _ => false,
        }
    };
    let wanted: Vec<&Quirk> = quirks.iter().filter(found).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut messages: Vec<Value> = body.get("messages")?.unwrap_or_default();
    for (i, message) in messages.iter_mut().enumerate() {
        let Value::Object(message) = message else { continue };
        for quirk in &wanted {
            edit(message, quirk, i, losses);
        }
    }
    body.set("messages", Value::Array(messages).to_string());
    if wanted.contains(&&Quirk::NoCacheMarks)
        && let Some(mut tools) = body.get::<Vec<Value>>("tools")?
    {
        tools.iter_mut().for_each(unmark);
        body.set("tools", Value::Array(tools).to_string());
    }
    Ok(())
}

fn edit(message: &mut Map<String, Value>, quirk: &Quirk, i: usize, losses: &mut Losses) {
    match quirk {
        Quirk::Role { from, to } if message.get("role").and_then(Value::as_str) == Some(from) => {
            message.insert("role".to_owned(), to.as_str().into());
        }
        Quirk::FlattenText => flatten(message),
        Quirk::TextOnlyContent => {
            keep_text(message, i, losses);
            flatten(message);
        }
        Quirk::NoCacheMarks => {
            message.remove("cache_control");
            if let Some(Value::Array(parts)) = message.get_mut("content") {
                parts.iter_mut().for_each(unmark);
            }
        }
        Quirk::NoSpeakerNames => {
            let is_tool = message.get("role").and_then(Value::as_str) == Some("tool");
            if !is_tool && message.remove("name").is_some() {
                losses.add(format!("messages[{i}].name"));
            }
        }
        Quirk::DropFromMessages(fields) => {
            for field in fields {
                if message.remove(field).is_some_and(|value| !value.is_null()) {
                    losses.add(format!("messages.{field}"));
                }
            }
        }
        Quirk::ReasoningField(field) if field != "reasoning_content" => {
            if let Some(text) = message.remove("reasoning_content") {
                message.entry(field.clone()).or_insert(text);
            }
        }
        _ => {}
    }
}

/// A content whose parts are all text becomes one string.
fn flatten(message: &mut Map<String, Value>) {
    let Some(Value::Array(parts)) = message.get("content") else { return };
    let texts: Option<String> = parts.iter().map(part_text).collect();
    if let Some(text) = texts {
        message.insert("content".to_owned(), text.into());
    }
}

fn keep_text(message: &mut Map<String, Value>, i: usize, losses: &mut Losses) {
    let Some(Value::Array(parts)) = message.get_mut("content") else { return };
    parts.retain(|part| {
        let keep = part_text(part).is_some();
        if !keep {
            let kind = part.get("type").and_then(Value::as_str).unwrap_or("part");
            losses.add(format!("messages[{i}].content[{kind}]"));
        }
        keep
    });
}

fn part_text(part: &Value) -> Option<&str> {
    let is_text = part.get("type").and_then(Value::as_str) == Some("text");
    part.get("text").and_then(Value::as_str).filter(|_| is_text)
}

fn unmark(value: &mut Value) {
    let Value::Object(map) = value else { return };
    map.remove("cache_control");
    if let Some(function) = map.get_mut("function") {
        unmark(function);
    }
}
