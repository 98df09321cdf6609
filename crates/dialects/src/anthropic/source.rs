//! Where the bytes of an image or a document are.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gatewright_core::chat::{Media, MediaSource};
use serde::Serialize;
use serde_json::Value;

/// Where the bytes of an image or a document are.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
    File { file_id: &'a str },
    Text { media_type: &'static str, data: Cow<'a, str> },
    Content { content: &'a Value },
}

// === impl Source ===

impl<'a> Source<'a> {
    /// Where the bytes are.
    pub(super) fn of(source: &'a MediaSource) -> Self {
        match source {
            MediaSource::Url(url) => Self::Url { url },
            MediaSource::File(file_id) => Self::File { file_id },
            MediaSource::Text(text) => Self::Text { media_type: "text/plain", data: text.into() },
            // Many write the wrong name, and the API knows only the right one.
            MediaSource::Base64 { media_type, data } if media_type == "image/jpg" => {
                Self::Base64 { media_type: "image/jpeg", data }
            }
            MediaSource::Base64 { media_type, data } => Self::Base64 { media_type, data },
        }
    }

    /// A document's bytes may only be a PDF; text is given as text.
    pub(super) fn of_document(media: &'a Media) -> Self {
        if let Some(content) = media.extra.get("content") {
            return Self::Content { content };
        }
        match &media.source {
            MediaSource::Base64 { media_type, data } if media_type.starts_with("text/") => {
                match BASE64.decode(data).map(String::from_utf8) {
                    Ok(Ok(text)) => Self::Text { media_type: "text/plain", data: text.into() },
                    _ => Self::of(&media.source),
                }
            }
            source => Self::of(source),
        }
    }
}
