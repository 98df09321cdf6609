//! What a request orders that is billed by the piece and not by the token, as far as the request itself says it.

use gatewright_core::{Call, Operation, Usage};
use serde::de::IgnoredAny;

/// Bytes of sound a millisecond where no more is known: 32 kbit/s, which is little, so that the time is not too short.
const SOUND_BYTES_A_MILLISECOND: u64 = 4;

/// Cohere's terms (https://cohere.com/pricing): a search is a query with up to 100 documents, and one beyond 500 tokens
/// counts as several.
const SEARCH_PIECES: u64 = 100;
const PIECE_BYTES: u64 = 1500;

/// Pictures, characters, sound and searches; the time of sound is guessed from its size.
pub fn ordered(call: &Call) -> Usage {
    let nothing = Usage::default();
    match call.operation {
        Operation::ImageGenerations | Operation::ImageEdits | Operation::ImageVariations => {
            Usage { images: pictures(call), ..nothing }
        }
        Operation::Speech => Usage { characters: characters(call), ..nothing },
        Operation::Transcriptions | Operation::Translations => {
            let bytes = call.body.form().map_or(0, gatewright_core::Form::file_bytes);
            Usage { audio_millis: bytes / SOUND_BYTES_A_MILLISECOND, ..nothing }
        }
        Operation::Rerank => Usage { search_units: searches(call), ..nothing },
        Operation::Chat | Operation::CountTokens | Operation::Embeddings | Operation::Moderations => nothing,
    }
}

fn pictures(call: &Call) -> u64 {
    let of_json = || call.body.json()?.get::<u64>("n").ok().flatten();
    let of_form = || call.body.form()?.text("n")?.trim().parse().ok();
    of_json().or_else(of_form).unwrap_or(1)
}

fn characters(call: &Call) -> u64 {
    let input = || call.body.json()?.string("input").ok().flatten();
    input().map_or(0, |text| text.chars().count() as u64)
}

/// How many searches a ranking takes at most. A longer document is cut into several.
fn searches(call: &Call) -> u64 {
    let Some(json) = call.body.json() else { return 1 };
    let documents: Option<Vec<IgnoredAny>> = json.get("documents").ok().flatten();
    let whole = documents.map_or(0, |documents| documents.len() as u64);
    let pieces = whole.saturating_add(json.source_len() as u64 / PIECE_BYTES);
    pieces.div_ceil(SEARCH_PIECES).max(1)
}
