//! Pictures, documents, sounds and films: their formats and where their bytes are.

use std::borrow::Cow;

use gatewright_core::Losses;
use gatewright_core::chat::{Extra, Media, MediaKind, MediaSource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Formats and the media types that stand for them; the first of a format is written.
const FORMATS: [(&str, &str); 35] = [
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("jpeg", "image/jpg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("flv", "video/x-flv"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpg"),
    ("wmv", "video/x-ms-wmv"),
    ("three_gp", "video/3gpp"),
    ("mp3", "audio/mp3"),
    ("mp3", "audio/mpeg"),
    ("opus", "audio/opus"),
    ("wav", "audio/wav"),
    ("wav", "audio/x-wav"),
    ("aac", "audio/aac"),
    ("flac", "audio/flac"),
    ("ogg", "audio/ogg"),
    ("m4a", "audio/m4a"),
    ("m4a", "audio/x-m4a"),
    ("pcm", "audio/pcm"),
    ("mp4", "audio/mp4"),
];

/// The longest name of a document.
const LONGEST_NAME: usize = 200;

/// `image`, `video`, `audio` and `document` on the wire.
#[derive(Serialize)]
pub(super) struct MediaOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    source: Source<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    citations: Option<&'a Value>,
}

/// Where the bytes are.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Source<'a> {
    Bytes(&'a str),
    S3Location(S3<'a>),
    Text(&'a str),
    Content(&'a Value),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct S3<'a> {
    uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_owner: Option<&'a Value>,
}

/// The same as it comes.
#[derive(Deserialize)]
pub(super) struct MediaIn {
    format: Option<String>,
    name: Option<String>,
    source: SourceIn,
    context: Option<Value>,
    citations: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SourceIn {
    bytes: Option<String>,
    s3_location: Option<S3In>,
    text: Option<String>,
    content: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3In {
    uri: String,
    bucket_owner: Option<Value>,
}

// === impl MediaOut ===

impl<'a> MediaOut<'a> {
    /// Writes it; `place` names a document that has no name. The API fetches from S3 and from nowhere else.
    pub(super) fn new(media: &'a Media, place: usize, losses: &mut Losses) -> Option<Self> {
        let detail = media.extra.get("detail").and_then(Value::as_str);
        losses.add_if(detail.is_some_and(|detail| detail != "auto"), "messages.image_url.detail");
        let is_document = media.kind == MediaKind::Document && !is_picture(media);
        let name =
            is_document.then(|| match media.name.as_deref().map(clean).filter(|name| !name.is_empty()) {
                Some(name) => name,
                None => format!("Document {place}").into(),
            });
        let extra = |key| media.extra.get(key).filter(|_| is_document);
        let source = match (extra("content"), &media.source) {
            (Some(content), _) => Source::Content(content),
            (None, MediaSource::Base64 { data, .. }) => Source::Bytes(data),
            (None, MediaSource::Text(text)) => Source::Text(text),
            (None, MediaSource::Url(uri)) if uri.starts_with("s3://") => {
                Source::S3Location(S3 { uri, bucket_owner: media.extra.get("bucketOwner") })
            }
            (None, MediaSource::Url(_) | MediaSource::File(_)) => {
                losses.add(field_of(media.kind));
                return None;
            }
        };
        let (context, citations) = (extra("context"), extra("citations"));
        Some(Self { format: format_of(media), name, source, context, citations })
    }
}

/// A document whose bytes are a picture is one.
pub(super) fn is_picture(media: &Media) -> bool {
    let by_type =
        matches!(&media.source, MediaSource::Base64 { media_type, .. } if media_type.starts_with("image/"));
    media.kind == MediaKind::Image || by_type
}

/// The format; from the name where the media type does not say it.
fn format_of(media: &Media) -> Option<Cow<'_, str>> {
    let told = match &media.source {
        MediaSource::Base64 { media_type, .. } => {
            let bare = media_type.split(';').next().unwrap_or_default().trim();
            let known = FORMATS.iter().find(|(_, known)| known.eq_ignore_ascii_case(bare));
            match known {
                Some((format, _)) => return Some(Cow::Borrowed(format)),
                None => bare.rsplit('/').next(),
            }
        }
        MediaSource::Text(_) => Some("txt"),
        MediaSource::Url(url) => url.rsplit_once('.').map(|(_, ending)| ending),
        MediaSource::File(_) => None,
    };
    let told = told.filter(|told| !told.is_empty())?;
    Some(match told {
        "jpg" => Cow::Borrowed("jpeg"),
        "3gp" | "3gpp" => Cow::Borrowed("three_gp"),
        _ => Cow::Owned(told.to_ascii_lowercase()),
    })
}

/// The API takes letters, digits, single spaces, hyphens, and round and square brackets.
fn clean(name: &str) -> Cow<'_, str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '(' | ')' | '[' | ']');
    if name.len() <= LONGEST_NAME && name.chars().all(is_fine) && !name.contains("  ") {
        return Cow::Borrowed(name.trim());
    }
    let changed: String = name.chars().map(|c| if is_fine(c) { c } else { ' ' }).collect();
    let words: Vec<&str> = changed.split_whitespace().collect();
    Cow::Owned(words.join(" ").chars().take(LONGEST_NAME).collect())
}

fn field_of(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image_url",
        MediaKind::Document => "file",
        MediaKind::Audio => "input_audio",
        MediaKind::Video => "video_url",
    }
}

// === impl MediaIn ===

impl MediaIn {
    /// Reads it; `None` where it says no source that is known.
    pub(super) fn media(self, kind: MediaKind) -> Option<Media> {
        let format = self.format.unwrap_or_default();
        let mut extra = Extra::new();
        let mut keep =
            |key: &str, value: Option<Value>| extra.extend(value.map(|value| (key.to_owned(), value)));
        keep("context", self.context);
        keep("citations", self.citations);
        let SourceIn { bytes, s3_location, text, content } = self.source;
        let source = match (bytes, s3_location, text) {
            (Some(data), ..) => MediaSource::Base64 { media_type: media_type(&format, kind), data },
            (None, Some(S3In { uri, bucket_owner }), _) => {
                keep("bucketOwner", bucket_owner);
                MediaSource::Url(uri)
            }
            (None, None, Some(text)) => MediaSource::Text(text),
            (None, None, None) => {
                keep("content", Some(content?));
                MediaSource::Text(String::new())
            }
        };
        Some(Media { kind, source, name: self.name, cache: None, extra })
    }
}

fn media_type(format: &str, kind: MediaKind) -> String {
    let family = match kind {
        MediaKind::Image => "image/",
        MediaKind::Audio => "audio/",
        MediaKind::Video => "video/",
        MediaKind::Document => "",
    };
    let known = FORMATS.iter().find(|(known, kind)| *known == format && kind.starts_with(family));
    match known {
        Some((_, media_type)) => (*media_type).to_owned(),
        None if family.is_empty() => format!("application/{format}"),
        None => format!("{family}{format}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_api_takes() {
        for (name, cleaned) in [
            ("report.pdf", "report pdf"),
            ("a  b", "a b"),
            ("Q3 (final) [x]-1", "Q3 (final) [x]-1"),
            ("\u{e9}t\u{e9}.txt", "t txt"),
            ("...", ""),
        ] {
            assert_eq!(clean(name), cleaned);
        }
        assert_eq!(clean(&"x".repeat(300)).len(), LONGEST_NAME);
    }
}
