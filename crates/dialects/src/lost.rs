//! Names of what a conversation loses on its way to a dialect that has no word for it.

use gatewright_core::Losses;
use gatewright_core::chat::{Extra, MediaKind, MediaSource, Turn};
use serde_json::{Map, Value};

use crate::json::tells;

/// The field that a medium was in.
pub(crate) fn medium(kind: MediaKind, source: &MediaSource) -> &'static str {
    match (kind, source) {
        (_, MediaSource::File(_)) => "file",
        (MediaKind::Image, _) => "image_url",
        (MediaKind::Document, MediaSource::Url(_)) => "document_url",
        (MediaKind::Document, _) => "document",
        (MediaKind::Audio, _) => "input_audio",
        (MediaKind::Video, _) => "video_url",
    }
}

/// A turn's fields of another dialect, but for those that say nothing.
pub(crate) fn fields(turn: &Turn, losses: &mut Losses) {
    for (key, value) in &turn.extra {
        let says_nothing = match value {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !says_nothing && key != "cache_control" {
            losses.add(format!("messages.{key}"));
        }
    }
}

/// Writes the fields that the upstream knows besides the common ones; those that it does not know are lost.
pub(crate) fn write_own(extra: &Extra, own: &[&str], body: &mut Map<String, Value>, losses: &mut Losses) {
    for (key, value) in extra {
        match own.contains(&key.as_str()) {
            true => drop(body.insert(key.clone(), value.clone())),
            false if tells(value) => losses.add(key.clone()),
            false => {}
        }
    }
}

/// Whether a client of OpenAI's says that it wants text, which it gets.
pub(crate) fn is_text_alone(key: &str, value: &Value) -> bool {
    key == "modalities" && value.as_array().is_some_and(|list| list.iter().all(|kind| kind == "text"))
}
