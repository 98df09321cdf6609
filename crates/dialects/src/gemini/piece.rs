//! One part of an answer or of a request, read.

use gatewright_core::chat::{Extra, Media, MediaKind, MediaSource};
use serde_json::value::RawValue;
use serde_json::{Result, Value};

use super::wire::{Blob, FileData, Piece};

/// What a part is.
pub(super) enum Kind<'a> {
    Text(std::borrow::Cow<'a, str>),
    Thought(std::borrow::Cow<'a, str>),
    Call(super::wire::Called<'a>),
    Result(super::wire::Responded<'a>),
    Media(Media),
    /// Something that only this dialect knows, as it stands.
    Other(Value),
}

/// Reads a part, and the signature that came with it.
pub(super) fn read(raw: &RawValue) -> Result<(Kind<'_>, Option<String>)> {
    let piece: Piece<'_> = serde_json::from_str(raw.get())?;
    let signature = piece.thought_signature.map(std::borrow::Cow::into_owned).filter(|text| !text.is_empty());
    let kind = if let Some(call) = piece.function_call {
        Kind::Call(call)
    } else if let Some(result) = piece.function_response {
        Kind::Result(result)
    } else if let Some(blob) = piece.inline_data {
        Kind::Media(inline(blob))
    } else if let Some(file) = piece.file_data {
        Kind::Media(linked(file))
    } else {
        match (piece.text, piece.thought) {
            (Some(text), true) => Kind::Thought(text),
            (Some(text), false) => Kind::Text(text),
            // Kept whole, its signature included.
            (None, _) => {
                let value: Value = serde_json::from_str(raw.get())?;
                return match super::turns::is_own(&value) {
                    true => Ok((Kind::Other(value), None)),
                    // An empty part, or one that has a signature alone.
                    false => Ok((Kind::Text("".into()), signature)),
                };
            }
        }
    };
    Ok((kind, signature))
}

fn inline(blob: Blob<'_>) -> Media {
    let media_type = blob.mime_type.into_owned();
    let kind = kind_of(&media_type);
    let source = MediaSource::Base64 { media_type, data: blob.data.into_owned() };
    Media { kind, source, name: blob.display_name.map(Into::into), cache: None, extra: Extra::new() }
}

fn linked(file: FileData<'_>) -> Media {
    let address = file.file_uri.into_owned();
    let is_link = address.starts_with("https://") || address.starts_with("http://");
    let source = if is_link { MediaSource::Url(address) } else { MediaSource::File(address) };
    let kind = kind_of(&file.mime_type);
    Media { kind, source, name: file.display_name.map(Into::into), cache: None, extra: Extra::new() }
}

fn kind_of(media_type: &str) -> MediaKind {
    match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Document,
    }
}
