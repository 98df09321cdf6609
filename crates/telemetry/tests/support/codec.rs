//! A dialect for calls whose content nobody reads.

use bytes::Bytes;
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    Codec, Decode, Dialect, Encode, Error, Frame, Json, Losses, ModelFacts, Relay, ReplyStyle, Result,
    UpstreamFault,
};
use http::StatusCode;

/// Panics when it is asked for anything.
pub(crate) struct Unread;

impl Codec for Unread {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiChat
    }

    fn readdress(&self, _: &mut Json, _: &str) {
        unreachable!()
    }

    fn relay_reply(&self, _: Bytes, _: &ReplyStyle) -> Result<Frame> {
        unreachable!()
    }

    fn relay(&self, _: &ReplyStyle) -> Box<dyn Relay> {
        unreachable!()
    }

    fn decode_request(&self, _: &Json) -> Result<Chat> {
        unreachable!()
    }

    fn encode_request(&self, _: &Chat, _: &ModelFacts, _: &mut Losses) -> Result<Bytes> {
        unreachable!()
    }

    fn decode_reply(&self, _: &[u8]) -> Result<Answer> {
        unreachable!()
    }

    fn encode_reply(&self, _: &Answer, _: &ReplyStyle) -> Bytes {
        unreachable!()
    }

    fn decoder(&self) -> Box<dyn Decode> {
        unreachable!()
    }

    fn encoder(&self, _: &ReplyStyle) -> Box<dyn Encode> {
        unreachable!()
    }

    fn decode_error(&self, _: StatusCode, _: &[u8]) -> UpstreamFault {
        unreachable!()
    }

    fn encode_error(&self, _: &Error) -> Bytes {
        unreachable!()
    }

    fn encode_error_event(&self, _: &Error) -> Bytes {
        unreachable!()
    }
}
