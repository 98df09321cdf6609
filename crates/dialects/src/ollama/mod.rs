//! Ollama's own API, for clients and for upstreams.

mod embedding;
mod error;
mod facts;
mod message;
mod options;
mod relay;
mod reply_decode;
mod reply_encode;
mod request_decode;
mod request_encode;
mod stream_decode;
mod stream_encode;
mod time;
mod words;

use bytes::Bytes;
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    Codec, Decode, Dialect, EmbeddingCodec, Encode, Error, Frame, Framing, Json, Losses, ModelFacts,
    Operation, Relay, ReplyFacts, ReplyStyle, Result, UpstreamFault,
};
use http::StatusCode;

/// The codec of Ollama's chat.
pub(crate) struct Ollama;

impl Codec for Ollama {
    fn dialect(&self) -> Dialect {
        Dialect::OllamaChat
    }

    fn framing(&self) -> Framing {
        Framing::Ndjson
    }

    fn path(&self, operation: Operation, _model: &str, _stream: bool) -> Option<String> {
        match operation {
            Operation::Chat => Some("/api/chat".to_owned()),
            Operation::Embeddings => Some("/api/embed".to_owned()),
            _ => None,
        }
    }

    fn streams(&self, body: &Json) -> Result<bool> {
        request_decode::streams(body)
    }

    fn embeddings(&self) -> Option<&'static dyn EmbeddingCodec> {
        Some(&embedding::Embeddings)
    }

    fn readdress(&self, body: &mut Json, model: &str) {
        body.set_string("model", model);
    }

    fn set_default(&self, body: &mut Json, field: &str, value: &Bytes) {
        if !options::set_default(body, field, value) && !body.has(field) {
            body.set(field, value.clone());
        }
    }

    fn stated_cap(&self, body: &Json) -> Option<u64> {
        options::stated_cap(body)
    }

    fn answers(&self, _body: &Json) -> u64 {
        1
    }

    fn cap_output(&self, body: &mut Json, cap: u64, _model: &ModelFacts) {
        options::cap(body, cap);
    }

    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
        relay::reply(&body, style)
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
        error::line(error)
    }
}
