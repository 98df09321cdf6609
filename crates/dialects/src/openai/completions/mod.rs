//! OpenAI Completions, the older form that continues a text, for clients and for upstreams.

mod logprobs;
mod prompt;
mod relay;
mod reply_read;
mod reply_write;
mod request_read;
mod request_write;
mod stream_read;
mod stream_write;

use std::sync::Arc;

use bytes::Bytes;
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    Codec, Decode, Dialect, Encode, Error, Frame, Json, Losses, ModelFacts, Operation, Relay, ReplyFacts,
    ReplyStyle, Result, UpstreamFault,
};
use http::StatusCode;

use super::{OpenAi, facts, fault};

/// The codec of OpenAI Completions.
pub(crate) struct Completions;

impl Codec for Completions {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiCompletions
    }

    fn path(&self, operation: Operation, _model: &str, _stream: bool) -> Option<String> {
        (operation == Operation::Chat).then(|| "/completions".to_owned())
    }

    fn required(&self, _operation: Operation) -> &'static [&'static str] {
        &["prompt"]
    }

    fn end_user(&self, body: &Json) -> Option<Arc<str>> {
        OpenAi.end_user(body)
    }

    fn readdress(&self, body: &mut Json, model: &str) {
        OpenAi.readdress(body, model);
    }

    fn answers(&self, body: &Json) -> u64 {
        // The best of several is chosen after all of them were written, and paid for.
        let most = ["n", "best_of"].into_iter().filter_map(|key| body.get::<u64>(key).ok()?).max();
        prompt::count(body).saturating_mul(most.unwrap_or(1))
    }

    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
        relay::whole(&body, style)
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
        OpenAi.encode_error_event(error)
    }
}
