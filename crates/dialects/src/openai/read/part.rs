//! Pieces of content.

use gatewright_core::chat::{CacheMark, Media, MediaKind, MediaSource, Part};
use serde_json::{Map, Value};

use super::{extra_of, take_object, take_string, thought};
use crate::scan::Scanner;

/// Reads the `content` of a message.
pub(super) fn content(s: &mut Scanner<'_>) -> Option<Vec<Part>> {
    match s.peek()? {
        b'"' => Some(vec![Part::text(s.text()?)]),
        b'[' => {
            let mut parts = Vec::new();
            s.array(|s| {
                let plain = s.plain_text().map(Part::text);
                parts.push(match plain {
                    Some(text) => text,
                    None => part(s.value()?),
                });
                Some(())
            })?;
            Some(parts)
        }
        _ => match s.value()? {
            Value::Null => Some(Vec::new()),
            other => Some(vec![Part::text(other.to_string())]),
        },
    }
}

/// Reads a `cache_control` mark, as Anthropic writes it and LiteLLM's clients send it.
pub(super) fn take_mark(object: &mut Map<String, Value>) -> Option<CacheMark> {
    let mark = object.shift_remove("cache_control")?;
    match mark.get("ttl").and_then(Value::as_str) {
        Some("1h") => Some(CacheMark::OneHour),
        _ => mark.is_object().then_some(CacheMark::FiveMinutes),
    }
}

/// Sets a mark where the part can carry one.
pub(super) fn mark(part: &mut Part, mark: CacheMark) {
    match part {
        Part::Text { cache, .. } => *cache = cache.or(Some(mark)),
        Part::Media(media) => media.cache = media.cache.or(Some(mark)),
        Part::ToolCall(call) => call.cache = call.cache.or(Some(mark)),
        Part::ToolResult(result) => result.cache = result.cache.or(Some(mark)),
        Part::Reasoning { .. } | Part::RedactedReasoning { .. } | Part::Refusal(_) | Part::Other(_) => {}
    }
}

fn part(value: Value) -> Part {
    let mut object = match value {
        Value::String(text) => return Part::text(text),
        Value::Object(object) => object,
        other => return Part::Other(other),
    };
    let kind = object.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let read = match kind.as_str() {
        "text" | "input_text" | "output_text" => text(&mut object),
        "image_url" | "input_image" => linked(&mut object, "image_url", MediaKind::Image),
        "video_url" => linked(&mut object, "video_url", MediaKind::Video),
        "input_audio" => audio(&mut object),
        "file" => file(&mut object),
        "refusal" => take_string(&mut object, "refusal").map(Part::Refusal),
        "thinking" | "redacted_thinking" => thought::block(&mut object),
        _ => None,
    };
    read.unwrap_or(Part::Other(Value::Object(object)))
}

fn text(object: &mut Map<String, Value>) -> Option<Part> {
    let text = take_string(object, "text")?;
    Some(Part::Text { text, citations: Vec::new(), cache: take_mark(object) })
}

/// `{"image_url": {"url", "detail"}}`, or the address alone.
fn linked(object: &mut Map<String, Value>, key: &str, kind: MediaKind) -> Option<Part> {
    let (url, inner) = match take_object(object, key) {
        Some(mut inner) => (take_string(&mut inner, "url")?, inner),
        None => (take_string(object, key)?, Map::new()),
    };
    let cache = take_mark(object);
    Some(Part::Media(Media { kind, source: source(url), name: None, cache, extra: extra_of(inner) }))
}

fn audio(object: &mut Map<String, Value>) -> Option<Part> {
    let mut inner = take_object(object, "input_audio")?;
    let data = take_string(&mut inner, "data")?;
    let media_type = match take_string(&mut inner, "format").as_deref() {
        Some("mp3") => "audio/mpeg".to_owned(),
        Some(format) => format!("audio/{format}"),
        None => "audio/wav".to_owned(),
    };
    Some(Part::Media(Media {
        kind: MediaKind::Audio,
        source: MediaSource::Base64 { media_type, data },
        name: None,
        cache: take_mark(object),
        extra: extra_of(inner),
    }))
}

fn file(object: &mut Map<String, Value>) -> Option<Part> {
    let mut inner = take_object(object, "file")?;
    let name = take_string(&mut inner, "filename");
    let format = take_string(&mut inner, "format");
    let source = match (take_string(&mut inner, "file_data"), take_string(&mut inner, "file_id")) {
        (Some(data), _) => file_source(data, name.as_deref(), format),
        (None, Some(id)) if is_link(&id) => source(id),
        (None, Some(id)) => MediaSource::File(id),
        (None, None) => return None,
    };
    let kind = match &source {
        MediaSource::Base64 { media_type, .. } if media_type.starts_with("image/") => MediaKind::Image,
        MediaSource::Base64 { media_type, .. } if media_type.starts_with("audio/") => MediaKind::Audio,
        MediaSource::Base64 { media_type, .. } if media_type.starts_with("video/") => MediaKind::Video,
        _ => MediaKind::Document,
    };
    Some(Part::Media(Media { kind, source, name, cache: take_mark(object), extra: extra_of(inner) }))
}

/// A file's bytes: a data URL, an address (OpenRouter takes one), or bare base64 as some clients send it.
fn file_source(data: String, name: Option<&str>, format: Option<String>) -> MediaSource {
    if is_link(&data) {
        return source(data);
    }
    let by_name = || match name.and_then(|n| n.rsplit_once('.')).map(|(_, end)| end) {
        Some("txt" | "md" | "csv") => "text/plain",
        _ => "application/pdf",
    };
    MediaSource::Base64 { media_type: format.unwrap_or_else(|| by_name().to_owned()), data }
}

fn is_link(text: &str) -> bool {
    ["data:", "http://", "https://", "gs://", "s3://"].iter().any(|scheme| text.starts_with(scheme))
}

/// An address, or the bytes that a data URL holds.
pub(in crate::openai) fn source(url: String) -> MediaSource {
    let inline = url.strip_prefix("data:").and_then(|rest| {
        let (head, data) = rest.split_once(',')?;
        let media_type = head.strip_suffix(";base64")?.split(';').next()?;
        let media_type = if media_type.is_empty() { "application/octet-stream" } else { media_type };
        Some(MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() })
    });
    inline.unwrap_or(MediaSource::Url(url))
}
