//! Pictures of Bedrock's models, which `invoke` answers in each maker's own words: Amazon's and Stability AI's.

mod amazon;
mod stability;

use bytes::Bytes;
use gatewright_core::{
    Error, ErrorKind, Image, ImageCodec, ImageRequest, Images, Losses, ModelFacts, Result, Usage,
};
use serde::Deserialize;

use crate::anthropic::reply_decode::malformed;
use crate::json::object;
use crate::picture;

/// How Bedrock is asked for pictures.
pub(super) struct Pictures;

/// What Stability AI's models say where it is not a filter that took the picture.
const BROKEN: &str = "Inference error";

/// Whose model it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Maker {
    Amazon,
    Stability,
}

/// Either maker's answer.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    images: Vec<String>,
    /// Amazon's word for what a filter took.
    error: Option<String>,
    /// Stability AI's, one a picture.
    finish_reasons: Vec<Option<String>>,
}

/// The maker of a model that makes or changes pictures.
fn maker(model: &str) -> Option<Maker> {
    let has = |words: &[&str]| words.iter().any(|word| model.contains(word));
    match () {
        () if has(&["amazon.nova-canvas", "amazon.titan-image"]) => Some(Maker::Amazon),
        // Their first models, which had another wire, are gone.
        () if has(&["stability.stable-diffusion"]) => None,
        () if has(&["stability.sd3", "stability.stable-"]) => Some(Maker::Stability),
        () => None,
    }
}

impl ImageCodec for Pictures {
    fn most_images(&self, model: &str) -> u64 {
        if maker(model) == Some(Maker::Amazon) { amazon::MOST } else { 1 }
    }

    fn encode_request(&self, asked: &ImageRequest, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        let fields = match maker(&model.name) {
            Some(Maker::Amazon) => amazon::request(asked, losses),
            Some(Maker::Stability) => stability::request(asked, &model.name, losses)?,
            None => {
                return Err(picture::unsupported(&model.name, "makes no pictures", "model"));
            }
        };
        Ok(object(&fields))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Images> {
        let reply: Reply = serde_json::from_slice(body).map_err(|err| malformed(&err))?;
        if reply.images.is_empty() {
            return Err(nothing(reply));
        }
        let usage = Usage { images: reply.images.len() as u64, ..Usage::default() };
        let image = |data| Image { data, ..Image::default() };
        Ok(Images { images: reply.images.into_iter().map(image).collect(), usage: Some(usage) })
    }
}

/// Why there is no picture.
fn nothing(reply: Reply) -> Error {
    match reply.finish_reasons.into_iter().flatten().next().or(reply.error) {
        Some(why) if why == BROKEN => Error::new(ErrorKind::Upstream, why),
        Some(why) => picture::filtered(&why),
        None => Error::new(ErrorKind::BadGateway, "the provider's answer has no pictures"),
    }
}
