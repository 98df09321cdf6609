//! Pictures, sound and moderation as OpenAI writes them.

use bytes::Bytes;
use serde_json::json;

/// What is drawn, spoken, heard or judged, by the last words of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Pictures,
    Speech,
    Words,
    Judgement,
}

/// How long the sound is, in seconds.
const SECONDS: u64 = 9;

// === impl Medium ===

impl Medium {
    pub(super) fn of(path: &str) -> Option<Self> {
        let ends = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end));
        match () {
            () if ends(&["/images/generations", "/images/edits", "/images/variations"]) => {
                Some(Self::Pictures)
            }
            () if ends(&["/audio/speech"]) => Some(Self::Speech),
            () if ends(&["/audio/transcriptions", "/audio/translations"]) => Some(Self::Words),
            () if ends(&["/moderations"]) => Some(Self::Judgement),
            () => None,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        if self == Self::Speech { "audio/mpeg" } else { "application/json" }
    }

    pub(super) fn whole(self) -> Bytes {
        let told = match self {
            Self::Speech => return Bytes::from_static(b"ID3 a fake sound"),
            Self::Pictures => json!({"created": 1_700_000_000, "data": [{"b64_json": "aGk="}]}),
            Self::Words => json!({"text": "w0 w1", "usage": {"type": "duration", "seconds": SECONDS}}),
            Self::Judgement => json!({
                "id": "modr-fake", "model": "fake",
                "results": [{"flagged": true, "categories": {"violence": true}, "category_scores": {"violence": 0.9}}],
            }),
        };
        told.to_string().into()
    }
}
