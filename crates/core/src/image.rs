//! Pictures after words and after other pictures: what is asked, what is answered, and what a dialect must do for both.

use bytes::Bytes;

use crate::chat::Extra;
use crate::{Body, Losses, ModelFacts, ReplyStyle, Result, Usage};

/// A request for pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageRequest {
    /// What they shall show.
    pub prompt: String,
    /// The pictures that are changed; none where they are made from words alone.
    pub images: Vec<InputImage>,
    /// Where the first of those is changed.
    pub mask: Option<InputImage>,
    /// How many are wanted.
    pub n: Option<u64>,
    /// `1024x1024`, or `auto`.
    pub size: Option<String>,
    /// How much care is taken, in the client's word.
    pub quality: Option<String>,
    /// `vivid` or `natural`.
    pub style: Option<String>,
    /// `transparent`, `opaque` or `auto`.
    pub background: Option<String>,
    /// The format of their files: `png`, `jpeg`, `webp`.
    pub output_format: Option<String>,
    /// How well files of a lossy format are kept, in percent.
    pub output_compression: Option<u64>,
    /// Whether addresses or bytes are answered: `url`, `b64_json`.
    pub response_format: Option<String>,
    /// The end user's name, for the provider's abuse checks.
    pub user: Option<String>,
    /// Fields that only one dialect knows, by their names there.
    pub extra: Extra,
}

/// A picture that a request brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputImage {
    /// `image/png`.
    pub media_type: String,
    /// Its bytes in base64.
    pub data: String,
}

/// The pictures that were made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Images {
    /// One or more.
    pub images: Vec<Image>,
    /// What they used.
    pub usage: Option<Usage>,
}

/// One picture that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// `image/png`; empty where the provider does not say.
    pub media_type: String,
    /// Its bytes in base64.
    pub data: String,
    /// The prompt that it was made from, where the provider wrote the client's anew.
    pub revised_prompt: Option<String>,
}

// === impl ImageRequest ===

impl ImageRequest {
    /// Width and height, where the client says them.
    pub fn dimensions(&self) -> Option<(u32, u32)> {
        let (width, height) = self.size.as_deref()?.split_once(['x', 'X'])?;
        let side = |text: &str| text.trim().parse().ok().filter(|side| *side > 0);
        side(width).zip(side(height))
    }
}

/// How clients of a dialect ask for pictures and read them.
pub trait ImageClient: Send + Sync + 'static {
    /// Reads a client's request, be it JSON or a form with files.
    fn decode_request(&self, body: &Body) -> Result<ImageRequest>;

    /// Reads an answer that was written for a client.
    fn decode_reply(&self, body: &[u8]) -> Result<Images>;

    /// Writes an answer for a client.
    fn encode_reply(&self, answer: &Images, style: &ReplyStyle) -> Bytes;

    /// Writes an answer as the events of a stream; `edited` where pictures were changed, and not made from words alone.
    fn encode_events(&self, answer: &Images, edited: bool, style: &ReplyStyle) -> Bytes;
}

/// How upstreams of a dialect are asked for pictures, where that is not what clients say.
pub trait ImageCodec: Send + Sync + 'static {
    /// How many pictures one request may want; more are asked for in several.
    fn most_images(&self, model: &str) -> u64;

    /// Writes a request for an upstream. What cannot be carried is told to `losses`.
    fn encode_request(&self, asked: &ImageRequest, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes>;

    /// Reads an upstream's answer. One without a picture is an error that says why.
    fn decode_reply(&self, body: &[u8]) -> Result<Images>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_says_width_and_height_or_nothing() {
        for (size, want) in [
            ("1024x1024", Some((1024, 1024))),
            ("1792X1024", Some((1792, 1024))),
            ("auto", None),
            ("0x10", None),
            ("16:9", None),
        ] {
            let asked = ImageRequest { size: Some(size.to_owned()), ..ImageRequest::default() };
            assert_eq!(asked.dimensions(), want, "{size}");
        }
    }
}
