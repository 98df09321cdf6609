//! Images, documents, sound and films, by flat figures and by size.

use gatewright_core::chat::{Media, MediaKind, MediaSource};

use crate::text::Meter;

/// One picture: what Anthropic counts at most for its usual size; OpenAI counts 85 to 1,105 for most models.
const IMAGE: u64 = 1_600;
/// A document that only the provider sees: some pages of text.
const DOCUMENT: u64 = 10_000;
/// A page of a PDF is read as text and as a picture.
const DOCUMENT_LEAST: u64 = 3_000;
const DOCUMENT_MOST: u64 = 300_000;
/// A sound that only the provider sees: about half a minute.
const SOUND: u64 = 1_000;
/// A film that only the provider sees: about half a minute.
const FILM: u64 = 10_000;

/// Counts one piece of media.
pub(crate) fn count(media: &Media, meter: &mut Meter) {
    match &media.source {
        MediaSource::Text(text) => {
            meter.part();
            meter.feed(text.as_bytes());
        }
        MediaSource::Base64 { data, .. } => meter.add(embedded(media.kind, data.len())),
        MediaSource::Url(_) | MediaSource::File(_) => meter.add(remote(media.kind)),
    }
}

/// Tokens of media that are in the request, from the length of their base64.
pub(crate) fn embedded(kind: MediaKind, base64: usize) -> u64 {
    let bytes = u64::try_from(base64 / 4 * 3).unwrap_or(u64::MAX);
    match kind {
        MediaKind::Image => IMAGE,
        MediaKind::Document => (bytes / 16).clamp(DOCUMENT_LEAST, DOCUMENT_MOST),
        // 48 tokens a second of PCM at 24 kHz, 16 a second of MP3: providers count 10 to 32.
        MediaKind::Audio => bytes / 1_000 + 100,
        MediaKind::Video => (bytes / 400).max(FILM),
    }
}

/// Tokens of media that the provider fetches.
pub(crate) fn remote(kind: MediaKind) -> u64 {
    match kind {
        MediaKind::Image => IMAGE,
        MediaKind::Document => DOCUMENT,
        MediaKind::Audio => SOUND,
        MediaKind::Video => FILM,
    }
}

/// What base64 holds, by how it begins: the first bytes of common formats.
pub(crate) fn sniff(base64: &[u8]) -> Option<MediaKind> {
    const FORMATS: &[(&[u8], MediaKind)] = &[
        (b"iVBORw0KGgo", MediaKind::Image),
        (b"/9j/", MediaKind::Image),
        (b"R0lGOD", MediaKind::Image),
        (b"JVBERi0", MediaKind::Document),
        (b"UEsDB", MediaKind::Document),
        (b"SUQz", MediaKind::Audio),
        (b"//uQ", MediaKind::Audio),
        (b"//vQ", MediaKind::Audio),
        (b"T2dnUw", MediaKind::Audio),
        (b"ZkxhQw", MediaKind::Audio),
        (b"AAAA", MediaKind::Video),
        (b"GkXfo", MediaKind::Video),
    ];
    // RIFF holds both pictures (WEBP) and sound (WAVE); the fourth group of base64 tells them apart.
    if base64.starts_with(b"UklGR") {
        let wave = base64.get(10..16) == Some(b"BXQVZF");
        return Some(if wave { MediaKind::Audio } else { MediaKind::Image });
    }
    FORMATS.iter().find(|(begin, _)| base64.starts_with(begin)).map(|(_, kind)| *kind)
}
