//! OpenAI Chat Completions, with what compatible providers and LiteLLM add to it; below it, OpenAI's other dialects.

pub(crate) mod completions;
mod embeddings;
mod facts;
mod fault;
mod finish;
mod images;
mod media;
mod read;
mod relay;
mod rerank;
pub(crate) mod responses;
mod splice;
mod usage;
mod write;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    Codec, Decode, Dialect, EmbeddingCodec, Encode, Error, Frame, ImageClient, Json, Losses, ModelFacts,
    Operation, Relay, ReplyFacts, ReplyStyle, RerankCodec, Result, UpstreamFault,
};
use http::StatusCode;

/// The codec of OpenAI Chat Completions.
pub(crate) struct OpenAi;

impl Codec for OpenAi {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiChat
    }

    fn path(&self, operation: Operation, _model: &str, _stream: bool) -> Option<String> {
        match operation {
            Operation::Chat => Some("/chat/completions".to_owned()),
            Operation::Embeddings => Some("/embeddings".to_owned()),
            Operation::Rerank => Some("/rerank".to_owned()),
            Operation::Moderations => Some("/moderations".to_owned()),
            Operation::ImageGenerations => Some("/images/generations".to_owned()),
            Operation::ImageEdits => Some("/images/edits".to_owned()),
            Operation::ImageVariations => Some("/images/variations".to_owned()),
            Operation::Speech => Some("/audio/speech".to_owned()),
            Operation::Transcriptions => Some("/audio/transcriptions".to_owned()),
            Operation::Translations => Some("/audio/translations".to_owned()),
            Operation::CountTokens => None,
        }
    }

    fn relay_answer(&self, operation: Operation, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
        media::whole(operation, body, style)
    }

    fn relay_events(&self, _style: &ReplyStyle) -> Box<dyn Relay> {
        Box::new(media::Onward)
    }

    fn embeddings(&self) -> Option<&'static dyn EmbeddingCodec> {
        Some(&embeddings::Embeddings)
    }

    fn end_user(&self, body: &Json) -> Option<Arc<str>> {
        body.string("user").ok()?.map(Arc::from)
    }

    fn rerank(&self) -> Option<&'static dyn RerankCodec> {
        Some(&rerank::Reranking)
    }

    fn image_client(&self) -> Option<&'static dyn ImageClient> {
        Some(&images::Pictures)
    }

    fn readdress(&self, body: &mut Json, model: &str) {
        relay::readdress(body, model);
    }

    fn stated_cap(&self, body: &Json) -> Option<u64> {
        let cap = |key: &str| body.get::<u64>(key).ok().flatten();
        cap("max_completion_tokens").or_else(|| cap("max_tokens"))
    }

    fn cap_output(&self, body: &mut Json, cap: u64, model: &ModelFacts) {
        relay::cap_output(body, cap, model);
    }

    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
        relay::whole(&body, style)
    }

    fn relay(&self, style: &ReplyStyle) -> Box<dyn Relay> {
        Box::new(relay::Passage::new(style))
    }

    fn decode_request(&self, body: &Json) -> Result<Chat> {
        read::request::read(body)
    }

    fn encode_request(&self, chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        Ok(write::request::write(chat, model, losses))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Answer> {
        read::reply::read(body)
    }

    fn facts(&self, data: &[u8]) -> ReplyFacts {
        facts::of(data)
    }

    fn relay_told(&self, body: Bytes, style: &ReplyStyle) -> Result<(Frame, ReplyFacts)> {
        relay::told(&body, style)
    }

    fn encode_reply(&self, answer: &Answer, style: &ReplyStyle) -> Bytes {
        write::reply::write(answer, style)
    }

    fn decoder(&self) -> Box<dyn Decode> {
        Box::new(read::stream::Reader::default())
    }

    fn encoder(&self, style: &ReplyStyle) -> Box<dyn Encode> {
        Box::new(write::stream::Writer::new(style))
    }

    fn decode_error(&self, status: StatusCode, body: &[u8]) -> UpstreamFault {
        fault::read(status, body)
    }

    fn encode_error(&self, error: &Error) -> Bytes {
        fault::write(error)
    }

    fn encode_error_event(&self, error: &Error) -> Bytes {
        let body = fault::write(error);
        let mut event = BytesMut::with_capacity(body.len() + 32);
        event.put_slice(b"data: ");
        event.put_slice(&body);
        event.put_slice(b"\n\n");
        event.put_slice(relay::DONE);
        event.freeze()
    }
}

#[cfg(test)]
mod tests;
