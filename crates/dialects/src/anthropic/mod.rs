//! Anthropic Messages, for clients and for upstreams.

mod betas;
mod content_decode;
mod content_encode;
pub(crate) mod error;
mod facts;
pub(crate) mod output;
mod relay;
pub(crate) mod reply_decode;
mod reply_encode;
mod request_decode;
mod request_encode;
pub(crate) mod sampling;
pub(crate) mod schema;
mod source;
pub(crate) mod stream_decode;
mod stream_encode;
pub(crate) mod thinking;
pub(crate) mod tools;
pub(crate) mod turns;
mod usage;
mod wire_in;
mod wire_out;
pub(crate) mod words;

use std::sync::Arc;

use bytes::Bytes;
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    Codec, Decode, Dialect, Encode, Error, Frame, Json, Losses, ModelFacts, Operation, Relay, ReplyFacts,
    ReplyStyle, Result, UpstreamFault,
};
use http::StatusCode;
use serde_json::Value;

/// The codec of Anthropic Messages.
pub(crate) struct Anthropic;

impl Codec for Anthropic {
    fn dialect(&self) -> Dialect {
        Dialect::AnthropicMessages
    }

    fn path(&self, operation: Operation, _model: &str, _stream: bool) -> Option<String> {
        match operation {
            Operation::Chat => Some("/v1/messages".to_owned()),
            Operation::CountTokens => Some("/v1/messages/count_tokens".to_owned()),
            _ => None,
        }
    }

    fn required(&self, operation: Operation) -> &'static [&'static str] {
        match operation {
            Operation::Chat => &["messages", "max_tokens"],
            _ => &["messages"],
        }
    }

    fn end_user(&self, body: &Json) -> Option<Arc<str>> {
        let metadata: Option<Value> = body.get("metadata").ok()?;
        metadata?.get("user_id")?.as_str().map(Arc::from)
    }

    fn readdress(&self, body: &mut Json, model: &str) {
        // Usage needs no asking for: every stream carries it.
        body.set_string("model", model);
    }

    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
        relay::reply(body, style)
    }

    fn relay(&self, style: &ReplyStyle) -> Box<dyn Relay> {
        Box::new(relay::Splice::new(style))
    }

    fn decode_request(&self, body: &Json) -> Result<Chat> {
        request_decode::request(body)
    }

    fn encode_request(&self, chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        Ok(request_encode::request(chat, model, losses))
    }

    fn opt_ins(&self, body: &Json) -> Vec<&'static str> {
        betas::needed(body)
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Answer> {
        reply_decode::reply(body)
    }

    fn facts(&self, data: &[u8]) -> ReplyFacts {
        facts::of(data)
    }

    fn encode_reply(&self, answer: &Answer, style: &ReplyStyle) -> Bytes {
        reply_encode::reply(answer, style)
    }

    fn decoder(&self) -> Box<dyn Decode> {
        Box::new(stream_decode::Decoder::default())
    }

    fn encoder(&self, style: &ReplyStyle) -> Box<dyn Encode> {
        Box::new(stream_encode::Encoder::new(style))
    }

    fn decode_error(&self, status: StatusCode, body: &[u8]) -> UpstreamFault {
        error::fault(status, body)
    }

    fn encode_error(&self, error: &Error) -> Bytes {
        error::body(error)
    }

    fn encode_error_event(&self, error: &Error) -> Bytes {
        error::event(error)
    }
}
