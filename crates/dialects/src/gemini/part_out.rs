//! Parts as they are written, in requests and in answers.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gatewright_core::chat::{Media, MediaKind, MediaSource, ToolCall};
use serde::Serialize;
use serde_json::Value;

use crate::arguments::Arguments;

/// One part.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum PartOut<'a> {
    /// What only this dialect knows, as it stands.
    Own(&'a Value),
    /// Anything else.
    Made(Box<Made<'a>>),
}

/// A part of which one field says what it is.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_response: Option<Answered<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<Blob<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<FileData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct Call<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    name: &'a str,
    args: Arguments<'a>,
}

/// What a tool answered; `response` is an object.
#[derive(Serialize)]
pub(super) struct Answered<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) response: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blob<'a> {
    mime_type: Cow<'a, str>,
    data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileData<'a> {
    mime_type: &'static str,
    file_uri: &'a str,
}

// === impl PartOut ===

impl<'a> PartOut<'a> {
    /// A text.
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Made { text: Some(text.into()), ..Made::default() }.into()
    }

    /// A thought.
    pub(super) fn thought(text: &'a str, thought_signature: Option<Cow<'a, str>>) -> Self {
        Made { text: Some(text.into()), thought: true, thought_signature, ..Made::default() }.into()
    }

    /// A signature whose text was said before.
    pub(super) fn signature(signature: impl Into<Cow<'a, str>>) -> Self {
        Made { text: Some("".into()), thought_signature: Some(signature.into()), ..Made::default() }.into()
    }

    /// A call of a tool.
    pub(super) fn call(call: &'a ToolCall, thought_signature: Option<Cow<'a, str>>) -> Self {
        let wire = Call { id: &call.id, name: &call.name, args: Arguments::new(&call.arguments) };
        Made { function_call: Some(wire), thought_signature, ..Made::default() }.into()
    }

    /// What a tool answered.
    pub(super) fn answered(answered: Answered<'a>) -> Self {
        Made { function_response: Some(answered), ..Made::default() }.into()
    }

    /// An image, a document, a sound or a film.
    pub(super) fn media(media: &'a Media) -> Self {
        match &media.source {
            MediaSource::Text(text) => Self::text(text.as_str()),
            MediaSource::Base64 { media_type, data } if media_type.starts_with("text/") => {
                match BASE64.decode(data).map(String::from_utf8) {
                    Ok(Ok(text)) => Self::text(text),
                    _ => Self::blob(media_type, data),
                }
            }
            MediaSource::Base64 { media_type, data } => Self::blob(media_type, data),
            MediaSource::Url(address) | MediaSource::File(address) => {
                let file_data = FileData { mime_type: mime_type(media.kind, address), file_uri: address };
                Made { file_data: Some(file_data), ..Made::default() }.into()
            }
        }
    }

    fn blob(media_type: &'a str, data: &'a str) -> Self {
        // Many write the wrong name, and the API knows only the right one.
        let mime_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
        Made { inline_data: Some(Blob { mime_type: mime_type.into(), data }), ..Made::default() }.into()
    }
}

impl<'a> From<Made<'a>> for PartOut<'a> {
    fn from(made: Made<'a>) -> Self {
        Self::Made(Box::new(made))
    }
}

/// What is probably behind an address; the API demands to be told.
fn mime_type(kind: MediaKind, address: &str) -> &'static str {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
    match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("heic") => "image/heic",
        Some("heif") => "image/heif",
        Some("gif") => "image/gif",
        Some("pdf") => "application/pdf",
        Some("txt") => "text/plain",
        Some("md") => "text/markdown",
        Some("html" | "htm") => "text/html",
        Some("csv") => "text/csv",
        Some("json") => "application/json",
        Some("mp3") => "audio/mpeg",
        Some("wav") => "audio/wav",
        Some("ogg") => "audio/ogg",
        Some("flac") => "audio/flac",
        Some("m4a") => "audio/mp4",
        Some("mp4") => "video/mp4",
        Some("mov") => "video/quicktime",
        Some("webm") => "video/webm",
        _ => match kind {
            MediaKind::Image => "image/jpeg",
            MediaKind::Document => "application/pdf",
            MediaKind::Audio => "audio/mpeg",
            MediaKind::Video => "video/mp4",
        },
    }
}
