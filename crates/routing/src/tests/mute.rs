//! A codec for calls that nobody reads.

use bytes::{Bytes, BytesMut};
use gatewright_core::chat::{Answer, Chat, Event};
use gatewright_core::{
    Codec, Decode, Dialect, Encode, Error, Frame, Json, Losses, ModelFacts, RawEvent, Relay, ReplyStyle,
    Result, UpstreamFault,
};
use http::StatusCode;

/// A codec that routing must never use, but for its dialect.
pub(super) struct Mute(pub(super) Dialect);

#[rustfmt::skip]
impl Codec for Mute {
    fn dialect(&self) -> Dialect { self.0 }
    fn readdress(&self, _: &mut Json, _: &str) { panic!("not routing's") }
    fn relay_reply(&self, _: Bytes, _: &ReplyStyle) -> Result<Frame> { panic!("not routing's") }
    fn relay(&self, _: &ReplyStyle) -> Box<dyn Relay> { panic!("not routing's") }
    fn decode_request(&self, _: &Json) -> Result<Chat> { panic!("not routing's") }
    fn encode_request(&self, _: &Chat, _: &ModelFacts, _: &mut Losses) -> Result<Bytes> { panic!("not routing's") }
    fn decode_reply(&self, _: &[u8]) -> Result<Answer> { panic!("not routing's") }
    fn encode_reply(&self, _: &Answer, _: &ReplyStyle) -> Bytes { panic!("not routing's") }
    fn decoder(&self) -> Box<dyn Decode> { Box::new(Mute(self.0)) }
    fn encoder(&self, _: &ReplyStyle) -> Box<dyn Encode> { Box::new(Mute(self.0)) }
    fn decode_error(&self, _: StatusCode, _: &[u8]) -> UpstreamFault { panic!("not routing's") }
    fn encode_error(&self, _: &Error) -> Bytes { panic!("not routing's") }
    fn encode_error_event(&self, _: &Error) -> Bytes { panic!("not routing's") }
}

#[rustfmt::skip]
impl Decode for Mute {
    fn event(&mut self, _: RawEvent<'_>, _: &mut Vec<Event>) -> Result<()> { panic!("not routing's") }
    fn close(&mut self, _: &mut Vec<Event>) -> Result<()> { panic!("not routing's") }
}

#[rustfmt::skip]
impl Encode for Mute {
    fn event(&mut self, _: &Event, _: &mut BytesMut) { panic!("not routing's") }
}
