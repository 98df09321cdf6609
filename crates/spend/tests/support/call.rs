//! A call that was routed, in a dialect that nobody speaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    AttemptId, Body, Call, Codec, Decode, Dialect, Encode, Error, Frame, Json, Losses, ModelFacts, Operation,
    Relay, ReplyStyle, Result, Target, UpstreamFault,
};
use http::StatusCode;

/// A dialect that nobody speaks: these policies never look into a body.
pub(crate) struct Mute;

impl Codec for Mute {
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

/// A call that was routed to a deployment.
pub(crate) fn call() -> Call {
    let mut call = Call::new(Operation::Chat, &Mute, "fast", Body::Opaque(Bytes::new()));
    call.target = Some(Arc::new(Target {
        attempt: AttemptId::fresh(),
        deployment: "fast-1".into(),
        group: "fast".into(),
        shown: "fast".into(),
        model: None,
        first_content: Duration::from_secs(600),
        idle: Duration::from_secs(600),
        deadline: Instant::now() + Duration::from_secs(600),
    }));
    call
}
