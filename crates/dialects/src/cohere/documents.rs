//! Documents that the model may cite: beside the messages on the wire, in the user's turn in a conversation.

use gatewright_core::chat::{Extra, Media, MediaKind, MediaSource, Part, Role, Turn};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::citation::document_name;

/// A document on the wire.
#[derive(Serialize)]
pub(super) struct DocumentOut {
    id: String,
    data: Value,
}

/// Gives the documents to the question that they are for: the last one that is no tool's result.
pub(super) fn read(documents: Vec<Value>, cited: bool, turns: &mut Vec<Turn>) {
    if documents.is_empty() {
        return;
    }
    let asks = |turn: &Turn| {
        turn.role == Role::User && !turn.parts.iter().any(|part| matches!(part, Part::ToolResult(_)))
    };
    let documents = documents.into_iter().enumerate();
    let parts = documents.map(|(index, document)| Part::Media(media(document, index, cited)));
    match turns.iter_mut().rfind(|turn| asks(turn)) {
        Some(turn) => drop(turn.parts.splice(0..0, parts)),
        None => turns.push(Turn::new(Role::User, parts.collect())),
    }
}

fn media(document: Value, index: usize, cited: bool) -> Media {
    let mut extra = Extra::new();
    if cited {
        extra.insert("citations".into(), json!({"enabled": true}));
    }
    let (id, data) = match document {
        Value::Object(mut fields) if fields.contains_key("data") => {
            (fields.shift_remove("id"), fields.shift_remove("data").unwrap_or_default())
        }
        other => (None, other),
    };
    // A name that its place gives it is none of its own.
    let own = id.filter(|id| !id.is_null() && *id != document_name(index));
    extra.extend(own.map(|id| ("id".to_owned(), id)));
    let title = data.get("title").and_then(Value::as_str).map(str::to_owned);
    let text = text(&data);
    // What is more than a title and a text comes back as it is.
    if let Value::Object(fields) = &data
        && fields.keys().any(|key| !matches!(key.as_str(), "title" | "text"))
    {
        extra.insert("data".into(), data);
    }
    Media { kind: MediaKind::Document, source: MediaSource::Text(text), name: title, cache: None, extra }
}

/// What of a document, or of a tool's result, is text; one that names none is shown whole.
pub(super) fn text(data: &Value) -> String {
    match data {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let known = ["text", "snippet", "content"].into_iter().find_map(|key| fields.get(key)?.as_str());
            known.map_or_else(|| data.to_string(), str::to_owned)
        }
        other => other.to_string(),
    }
}

/// The document of a turn on the wire, the `index`-th of the request.
pub(super) fn written(media: &Media, text: &str, index: usize) -> DocumentOut {
    let id =
        media.extra.get("id").and_then(Value::as_str).map_or_else(|| document_name(index), str::to_owned);
    let data = media.extra.get("data").cloned().unwrap_or_else(|| {
        let mut data = Map::new();
        data.extend(media.name.as_deref().map(|title| ("title".to_owned(), title.into())));
        data.insert("text".into(), text.into());
        Value::Object(data)
    });
    DocumentOut { id, data }
}
