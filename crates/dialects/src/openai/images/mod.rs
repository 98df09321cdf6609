//! Pictures for clients: the requests of `/images/generations` and `/images/edits`, and their answers.

mod reply;
mod request;

use bytes::Bytes;
use gatewright_core::{Body, ImageClient, ImageRequest, Images, ReplyStyle, Result};

/// OpenAI's words for pictures.
pub(super) struct Pictures;

impl ImageClient for Pictures {
    fn decode_request(&self, body: &Body) -> Result<ImageRequest> {
        request::read(body)
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Images> {
        reply::read(body)
    }

    fn encode_reply(&self, answer: &Images, style: &ReplyStyle) -> Bytes {
        reply::write(answer, style)
    }

    fn encode_events(&self, answer: &Images, edited: bool, style: &ReplyStyle) -> Bytes {
        reply::events(answer, edited, style)
    }
}
