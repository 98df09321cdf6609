//! Cohere's API, version 2, for clients and for upstreams.

mod citation;
mod documents;
mod embedding;
mod embedding_input;
mod error;
mod facts;
mod logprobs;
mod message_decode;
mod message_encode;
mod plan;
mod relay;
mod reply_decode;
mod reply_encode;
mod request_decode;
mod request_encode;
mod rerank;
mod stream_decode;
mod stream_encode;
mod tools;
mod turns_encode;
mod usage;
mod wire_in;
mod wire_out;
mod words;

pub(crate) use rerank::Reranking;

use bytes::Bytes;
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    Codec, Decode, Dialect, EmbeddingCodec, Encode, Error, Frame, Json, Losses, ModelFacts, Operation, Relay,
    ReplyFacts, ReplyStyle, RerankCodec, Result, UpstreamFault,
};
use http::StatusCode;

/// The codec of Cohere's chat.
pub(crate) struct Cohere;

impl Codec for Cohere {
    fn dialect(&self) -> Dialect {
        Dialect::CohereChat
    }

    fn path(&self, operation: Operation, _model: &str, _stream: bool) -> Option<String> {
        match operation {
            Operation::Chat => Some("/v2/chat".to_owned()),
            Operation::Embeddings => Some("/v2/embed".to_owned()),
            Operation::Rerank => Some("/v2/rerank".to_owned()),
            _ => None,
        }
    }

    fn required(&self, operation: Operation) -> &'static [&'static str] {
        match operation {
            Operation::Chat | Operation::CountTokens => &["messages"],
            // Texts, pictures or a mixture: each stands in a field of its own.
            Operation::Embeddings => &[],
            Operation::Rerank => &["query", "documents"],
            _ => &[],
        }
    }

    fn embeddings(&self) -> Option<&'static dyn EmbeddingCodec> {
        Some(&embedding::Embeddings)
    }

    fn rerank(&self) -> Option<&'static dyn RerankCodec> {
        Some(&Reranking)
    }

    fn readdress(&self, body: &mut Json, model: &str) {
        // Usage needs no asking for: every stream carries it.
        body.set_string("model", model);
    }

    fn set_default(&self, body: &mut Json, field: &str, value: &Bytes) {
        let field = match field {
            "top_p" => "p",
            "top_k" => "k",
            "stop" => "stop_sequences",
            "max_completion_tokens" => "max_tokens",
            other => other,
        };
        if !body.has(field) {
            body.set(field, value.clone());
        }
    }

    fn relay_reply(&self, body: Bytes, _style: &ReplyStyle) -> Result<Frame> {
        relay::reply(body)
    }

    fn relay(&self, _style: &ReplyStyle) -> Box<dyn Relay> {
        Box::new(relay::Passage::default())
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
        error::event(error)
    }
}
