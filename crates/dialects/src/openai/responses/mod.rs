//! OpenAI Responses, for clients and for upstreams.

mod content;
mod custom;
mod facts;
mod items_read;
mod items_write;
mod object;
mod outcome;
mod relay;
mod reply_read;
mod reply_write;
mod request_read;
mod request_write;
mod stream_events;
mod stream_items;
mod stream_read;
mod stream_state;
mod stream_write;
mod tools;
mod usage;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    Codec, Decode, Dialect, Encode, Error, Frame, Json, Losses, ModelFacts, Operation, Relay, ReplyFacts,
    ReplyStyle, Result, UpstreamFault,
};
use http::StatusCode;

use super::fault;
pub(super) use items_write::is_own as is_item;

/// The codec of OpenAI Responses.
pub(crate) struct Responses;

impl Codec for Responses {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiResponses
    }

    fn path(&self, operation: Operation, _model: &str, _stream: bool) -> Option<String> {
        (operation == Operation::Chat).then(|| "/responses".to_owned())
    }

    fn required(&self, _operation: Operation) -> &'static [&'static str] {
        &[]
    }

    fn end_user(&self, body: &Json) -> Option<Arc<str>> {
        // The newer name, then the one that it replaces.
        let named = ["safety_identifier", "user"].into_iter().find_map(|key| body.string(key).ok()?);
        named.map(Arc::from)
    }

    fn readdress(&self, body: &mut Json, model: &str) {
        // Usage needs no asking for: every answer ends with it.
        body.set_string("model", model);
    }

    fn stated_cap(&self, body: &Json) -> Option<u64> {
        body.get("max_output_tokens").ok().flatten()
    }

    fn answers(&self, _body: &Json) -> u64 {
        1
    }

    fn cap_output(&self, body: &mut Json, cap: u64, _model: &ModelFacts) {
        body.lower("max_output_tokens", cap);
    }

    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
        relay::whole(body, style)
    }

    fn relay(&self, style: &ReplyStyle) -> Box<dyn Relay> {
        Box::new(relay::Passage::new(style))
    }

    fn decode_request(&self, body: &Json) -> Result<Chat> {
        request_read::read(body)
    }

    fn encode_request(&self, chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        Ok(request_write::write(chat, model, losses))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Answer> {
        reply_read::read(body)
    }

    fn facts(&self, data: &[u8]) -> ReplyFacts {
        facts::of(data)
    }

    fn encode_reply(&self, answer: &Answer, style: &ReplyStyle) -> Bytes {
        reply_write::write(answer, style)
    }

    fn decoder(&self) -> Box<dyn Decode> {
        Box::new(stream_read::Reader::default())
    }

    fn encoder(&self, style: &ReplyStyle) -> Box<dyn Encode> {
        Box::new(stream_write::Writer::new(style))
    }

    fn decode_error(&self, status: StatusCode, body: &[u8]) -> UpstreamFault {
        fault::read(status, body)
    }

    fn encode_error(&self, error: &Error) -> Bytes {
        fault::write(error)
    }

    fn encode_error_event(&self, error: &Error) -> Bytes {
        let body = outcome::error_event(error);
        let mut event = BytesMut::with_capacity(body.len() + 32);
        event.put_slice(b"event: error\ndata: ");
        event.put_slice(&body);
        event.put_slice(b"\n\n");
        event.freeze()
    }
}
