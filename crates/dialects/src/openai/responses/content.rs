//! Content parts of messages and of tool results.

use std::borrow::Cow;

use gatewright_core::Losses;
use gatewright_core::chat::{Extra, Media, MediaKind, MediaSource, Part};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Error, Map, Result, Value, json};

use crate::openai::read::part::source;
use crate::openai::read::reply::citation;

/// Every part that is known, flattened: which fields are there depends on `type`.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    text: Option<String>,
    refusal: Option<String>,
    annotations: Option<Vec<Value>>,
    logprobs: Option<Value>,
    image_url: Option<String>,
    detail: Option<Value>,
    file_id: Option<String>,
    file_url: Option<String>,
    file_data: Option<String>,
    filename: Option<String>,
    input_audio: Option<Sound>,
}

#[derive(Deserialize)]
struct Sound {
    data: String,
    format: String,
}

/// What a message says.
#[derive(Default)]
pub(super) struct Content {
    pub(super) parts: Vec<Part>,
    /// Annotations that are no citations of the web.
    pub(super) annotations: Vec<Value>,
    /// Likelihoods of its tokens.
    pub(super) logprobs: Vec<Value>,
}

// === impl Content ===

impl Content {
    /// Reads a string or a list of parts. What is not known stands as it is.
    pub(super) fn read(raw: &RawValue) -> Result<Self> {
        let mut content = Self::default();
        match raw.get().as_bytes().first() {
            Some(b'"') => content.parts.push(Part::text(serde_json::from_str::<String>(raw.get())?)),
            Some(b'[') => {
                for part in serde_json::from_str::<Vec<&RawValue>>(raw.get())? {
                    content.take(part)?;
                }
            }
            Some(b'n') => {}
            _ => return Err(serde::de::Error::custom("expected a string or a list of content parts")),
        }
        Ok(content)
    }

    fn take(&mut self, raw: &RawValue) -> Result<()> {
        let wire = match serde_json::from_str::<Wire<'_>>(raw.get()) {
            Ok(wire) => wire,
            Err(err) => return self.unknown(raw, err),
        };
        let part = match &*wire.kind {
            "input_text" | "output_text" | "text" | "summary_text" => {
                Some(self.text(wire.text, wire.annotations, wire.logprobs))
            }
            "refusal" => wire.refusal.map(Part::Refusal),
            "input_image" => image(wire),
            "input_file" => file(wire),
            "input_audio" => wire.input_audio.map(sound),
            _ => None,
        };
        self.parts.push(match part {
            Some(part) => part,
            None => Part::Other(serde_json::from_str(raw.get())?),
        });
        Ok(())
    }

    /// A part that is not known may use the same names for other things.
    fn unknown(&mut self, raw: &RawValue, err: Error) -> Result<()> {
        const KNOWN: [&str; 6] =
            ["input_text", "output_text", "refusal", "input_image", "input_file", "input_audio"];
        let value: Value = serde_json::from_str(raw.get())?;
        match value.get("type").and_then(Value::as_str) {
            Some(kind) if !KNOWN.contains(&kind) => self.parts.push(Part::Other(value)),
            _ => return Err(err),
        }
        Ok(())
    }

    fn text(
        &mut self,
        text: Option<String>,
        annotations: Option<Vec<Value>>,
        logprobs: Option<Value>,
    ) -> Part {
        let text = text.unwrap_or_default();
        let mut citations = Vec::new();
        for annotation in annotations.unwrap_or_default() {
            match citation(&annotation, &text) {
                Some(citation) => citations.push(citation),
                None => self.annotations.push(annotation),
            }
        }
        if let Some(Value::Array(tokens)) = logprobs {
            self.logprobs.extend(tokens);
        }
        Part::Text { text, citations, cache: None }
    }
}

fn image(wire: Wire<'_>) -> Option<Part> {
    let source = match (wire.image_url, wire.file_id) {
        (Some(url), _) => source(url),
        (None, id) => MediaSource::File(id?),
    };
    let mut extra = Extra::new();
    extra.extend(wire.detail.filter(|detail| !detail.is_null()).map(|detail| ("detail".to_owned(), detail)));
    Some(Part::Media(Media { kind: MediaKind::Image, source, name: None, cache: None, extra }))
}

fn file(wire: Wire<'_>) -> Option<Part> {
    let source = match (wire.file_data, wire.file_url, wire.file_id) {
        (Some(data), ..) if data.starts_with("data:") => source(data),
        (Some(data), ..) => MediaSource::Base64 { media_type: "application/pdf".to_owned(), data },
        (None, Some(url), _) => MediaSource::Url(url),
        (None, None, id) => MediaSource::File(id?),
    };
    let (kind, extra) = (MediaKind::Document, Extra::new());
    Some(Part::Media(Media { kind, source, name: wire.filename, cache: None, extra }))
}

fn sound(sound: Sound) -> Part {
    let media_type = match sound.format.as_str() {
        "mp3" => "audio/mpeg".to_owned(),
        format => format!("audio/{format}"),
    };
    let source = MediaSource::Base64 { media_type, data: sound.data };
    Part::Media(Media { kind: MediaKind::Audio, source, name: None, cache: None, extra: Extra::new() })
}

// === Writing ===

/// A part of a user's message or of a tool's result; `None`, and told to `losses`, where the dialect has no form for it.
pub(super) fn input(part: &Part, losses: &mut Losses) -> Option<Value> {
    match part {
        Part::Text { text, citations, cache } => {
            losses.add_if(cache.is_some(), "messages.cache_control");
            losses.add_if(!citations.is_empty(), "messages.citations");
            Some(json!({"type": "input_text", "text": text}))
        }
        Part::Refusal(text) => Some(json!({"type": "input_text", "text": text})),
        Part::Media(media) => {
            losses.add_if(media.cache.is_some(), "messages.cache_control");
            written_media(media, losses)
        }
        Part::Other(value) if is_own(value) => Some(value.clone()),
        Part::Other(_) => {
            losses.add("server_tool_blocks");
            None
        }
        Part::ToolCall(_) | Part::ToolResult(_) | Part::Reasoning { .. } | Part::RedactedReasoning { .. } => {
            None
        }
    }
}

/// Parts that were read from this dialect and that no canonical part stands for.
fn is_own(value: &Value) -> bool {
    value.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("input_"))
}

fn written_media(media: &Media, losses: &mut Losses) -> Option<Value> {
    let mut wire = Map::new();
    let mut put = |key: &str, value: Value| drop(wire.insert(key.to_owned(), value));
    match (media.kind, &media.source) {
        (_, MediaSource::Text(text)) => {
            losses.add_if(media.name.is_some(), "messages.document.title");
            put("type", "input_text".into());
            put("text", text.as_str().into());
        }
        (MediaKind::Image, source) => {
            put("type", "input_image".into());
            match source {
                MediaSource::File(id) => put("file_id", id.as_str().into()),
                source => put("image_url", address(source).into()),
            }
            put("detail", media.extra.get("detail").cloned().unwrap_or_else(|| "auto".into()));
        }
        (MediaKind::Document, source) => {
            put("type", "input_file".into());
            match source {
                MediaSource::File(id) => put("file_id", id.as_str().into()),
                MediaSource::Url(url) => put("file_url", url.as_str().into()),
                source => {
                    // Bytes without a name are refused.
                    put("filename", media.name.as_deref().unwrap_or("document.pdf").into());
                    put("file_data", address(source).into());
                }
            }
        }
        (MediaKind::Audio, MediaSource::Base64 { media_type, data }) => {
            let format = match media_type.as_str() {
                "audio/mpeg" | "audio/mp3" => "mp3",
                "audio/x-wav" | "audio/wave" => "wav",
                other => other.strip_prefix("audio/").unwrap_or(other),
            };
            put("type", "input_audio".into());
            put("input_audio", json!({"data": data, "format": format}));
        }
        (MediaKind::Audio, _) => {
            losses.add("audio_url");
            return None;
        }
        (MediaKind::Video, _) => {
            losses.add("video_url");
            return None;
        }
    }
    Some(Value::Object(wire))
}

fn address(source: &MediaSource) -> String {
    match source {
        MediaSource::Url(text) | MediaSource::Text(text) | MediaSource::File(text) => text.clone(),
        MediaSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
    }
}
