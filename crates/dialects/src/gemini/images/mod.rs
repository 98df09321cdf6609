//! Pictures, of which Google has two kinds: Imagen's, which are predictions, and those of the Gemini models themselves.

mod imagen;
mod native;

use bytes::Bytes;
use gatewright_core::{ImageCodec, ImageRequest, Images, Losses, ModelFacts, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error;
use super::wire::read;

/// Google's pictures.
pub(super) struct Pictures;

/// As much of an answer as says whose it is.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Kind {
    candidates: Option<IgnoredAny>,
    prompt_feedback: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

/// Whether the model is asked for predictions.
pub(super) fn is_imagen(model: &str) -> bool {
    // The older name is of the second and third version.
    model.starts_with("imagen") || model.starts_with("imagegeneration")
}

impl ImageCodec for Pictures {
    fn most_images(&self, model: &str) -> u64 {
        if is_imagen(model) { imagen::MOST } else { 1 }
    }

    fn encode_request(&self, asked: &ImageRequest, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        match is_imagen(&model.name) {
            true => imagen::request(asked, &model.name, losses),
            false => native::request(asked, &model.name, losses),
        }
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Images> {
        let kind: Kind = read(body)?;
        match (kind.error, kind.candidates.or(kind.prompt_feedback)) {
            (Some(_), _) => Err(error::from_body(body)),
            (None, Some(_)) => native::reply(body),
            (None, None) => imagen::reply(body),
        }
    }
}
