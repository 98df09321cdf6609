//! Images, files, sound and film.

use gatewright_core::Losses;
use gatewright_core::chat::{Extra, Media, MediaKind, MediaSource};
use serde_json::{Map, Value, json};

/// What OpenAI's dialect knows beside the source itself, and what a document's text already holds.
const KNOWN: &[&str] = &["detail", "format", "content"];

/// A part of a message for it; `None`, and told to `losses`, where the dialect has no form for it.
pub(super) fn part(media: &Media, links: bool, losses: &mut Losses) -> Option<Map<String, Value>> {
    report(media, losses);
    let wire = match (media.kind, &media.source) {
        (_, MediaSource::Text(text)) => json!({"type": "text", "text": text}),
        (_, MediaSource::File(id)) => json!({"type": "file", "file": {"file_id": id}}),
        (MediaKind::Image, source) => linked("image_url", source, &media.extra),
        (MediaKind::Video, source) => linked("video_url", source, &media.extra),
        (MediaKind::Document, MediaSource::Url(url)) if !links => {
            losses.add("document_url");
            json!({"type": "text", "text": format!("[This document could not be attached: {url}]")})
        }
        (MediaKind::Document, source) => json!({"type": "file", "file": file(media, source)}),
        (MediaKind::Audio, MediaSource::Base64 { media_type, data }) => {
            json!({"type": "input_audio", "input_audio": {"data": data, "format": audio_format(media_type)}})
        }
        (MediaKind::Audio, MediaSource::Url(_)) => {
            losses.add("audio_url");
            return None;
        }
    };
    match wire {
        Value::Object(wire) => Some(wire),
        _ => None,
    }
}

fn report(media: &Media, losses: &mut Losses) {
    let is_text = matches!(media.source, MediaSource::Text(_));
    losses.add_if(is_text && media.name.is_some(), "messages.document.title");
    for (key, value) in &media.extra {
        if !KNOWN.contains(&key.as_str()) && tells(value) {
            losses.add(format!("messages.{}.{key}", word(media.kind)));
        }
    }
}

fn word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Audio => "input_audio",
        MediaKind::Video => "video_url",
    }
}

/// Whether a field says more than that something is off.
fn tells(value: &Value) -> bool {
    !value.is_null() && value != &json!({"enabled": false})
}

fn linked(kind: &str, source: &MediaSource, extra: &Extra) -> Value {
    let mut inner = Map::new();
    inner.insert("url".into(), url(source).into());
    let known = extra.iter().filter(|(key, _)| matches!(key.as_str(), "detail" | "format"));
    inner.extend(known.map(|(key, value)| (key.clone(), value.clone())));
    let mut wire = Map::new();
    wire.insert("type".into(), kind.into());
    wire.insert(kind.into(), Value::Object(inner));
    Value::Object(wire)
}

fn file(media: &Media, source: &MediaSource) -> Map<String, Value> {
    let mut inner = Map::new();
    // OpenAI refuses bytes without a name.
    let name =
        media.name.as_deref().or(matches!(source, MediaSource::Base64 { .. }).then_some("document.pdf"));
    if let Some(name) = name {
        inner.insert("filename".into(), name.into());
    }
    inner.insert("file_data".into(), url(source).into());
    inner
}

fn url(source: &MediaSource) -> String {
    match source {
        MediaSource::Url(url) | MediaSource::Text(url) | MediaSource::File(url) => url.clone(),
        MediaSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
    }
}

fn audio_format(media_type: &str) -> &str {
    match media_type {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/x-wav" | "audio/wave" => "wav",
        other => other.strip_prefix("audio/").unwrap_or(other),
    }
}
