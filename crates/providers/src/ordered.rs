//! What a request orders that is billed by the piece and not by the token, as far as the request itself says it.

use gatewright_core::{Call, Operation, Usage};
use serde_json::Value;

/// Bytes of sound a millisecond where no more is known: 32 kbit/s, which is little, so that the time is not too short.
const SOUND_BYTES_A_MILLISECOND: u64 = 4;

/// Documents that one search through documents covers (Cohere's page on prices).
const DOCUMENTS_A_SEARCH: usize = 100;

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

fn searches(call: &Call) -> u64 {
    let documents = || call.body.json()?.get::<Vec<Value>>("documents").ok().flatten();
    documents().map_or(1, |documents| documents.len().div_ceil(DOCUMENTS_A_SEARCH).max(1) as u64)
}
