//! Amazon Bedrock's Converse, for clients and for upstreams.
//!
//! What is said here of the wire is said in the API's own model (`bedrock-runtime`, 2023-09-30) and its reference:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

mod citations;
mod claude;
mod content_decode;
mod content_encode;
mod count;
mod embedding;
mod error;
mod facts;
mod images;
mod imported;
mod invoked;
mod media;
mod model_fields;
mod output;
mod relay;
mod reply_decode;
mod reply_encode;
mod request_decode;
mod request_encode;
mod stream_decode;
mod stream_encode;
mod tools;
mod turns;
mod usage;
mod words;

pub(crate) use claude::Claude;
pub(crate) use imported::Imported;

use bytes::Bytes;
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    Codec, Decode, Dialect, EmbeddingCodec, Encode, Error, Frame, Framing, ImageCodec, Json, Losses,
    ModelFacts, Operation, Relay, ReplyFacts, ReplyStyle, Result, UpstreamFault,
};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

/// The codec of Converse.
pub(crate) struct Converse;

const CONFIGURATION: &str = "inferenceConfig";
const CAP: &str = "maxTokens";

fn configuration(body: &Json) -> Map<String, Value> {
    body.get(CONFIGURATION).ok().flatten().unwrap_or_default()
}

impl Codec for Converse {
    fn dialect(&self) -> Dialect {
        Dialect::BedrockConverse
    }

    fn framing(&self) -> Framing {
        Framing::AwsEvents
    }

    fn path(&self, operation: Operation, model: &str, stream: bool) -> Option<String> {
        match (operation, stream) {
            (Operation::Chat, false) => Some(format!("/model/{model}/converse")),
            (Operation::Chat, true) => Some(format!("/model/{model}/converse-stream")),
            (Operation::CountTokens, _) => count::path(model),
            (Operation::Embeddings | Operation::ImageGenerations | Operation::ImageEdits, _) => {
                Some(format!("/model/{model}/invoke"))
            }
            _ => None,
        }
    }

    fn embeddings(&self) -> Option<&'static dyn EmbeddingCodec> {
        Some(&embedding::Vectors)
    }

    fn images(&self) -> Option<&'static dyn ImageCodec> {
        Some(&images::Pictures)
    }

    fn streams_at(&self, path: &str) -> Option<bool> {
        Some(path.ends_with("/converse-stream"))
    }

    fn readdress(&self, _body: &mut Json, _model: &str) {
        // Model and stream stand in the address.
    }

    fn nests_parameters(&self) -> bool {
        true
    }

    fn stated_cap(&self, body: &Json) -> Option<u64> {
        configuration(body).get(CAP)?.as_u64()
    }

    fn answers(&self, _body: &Json) -> u64 {
        1
    }

    fn cap_output(&self, body: &mut Json, cap: u64, _model: &ModelFacts) {
        if self.stated_cap(body).is_none_or(|own| own > cap) {
            let mut config = configuration(body);
            config.insert(CAP.to_owned(), cap.into());
            body.set(CONFIGURATION, Value::Object(config).to_string());
        }
    }

    fn ask_count(&self, body: &mut Json, _model: &str) {
        count::ask(body);
    }

    fn decode_count(&self, body: &[u8]) -> Result<u64> {
        count::decode(body)
    }

    fn relay_reply(&self, body: Bytes, _style: &ReplyStyle) -> Result<Frame> {
        relay::reply(body)
    }

    fn relay(&self, _style: &ReplyStyle) -> Box<dyn Relay> {
        Box::new(relay::Pass::default())
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

    fn encode_reply(&self, answer: &Answer, _style: &ReplyStyle) -> Bytes {
        reply_encode::reply(answer)
    }

    fn decoder(&self) -> Box<dyn Decode> {
        Box::new(stream_decode::Decoder::default())
    }

    fn encoder(&self, _style: &ReplyStyle) -> Box<dyn Encode> {
        Box::new(stream_encode::Encoder::default())
    }

    fn decode_error(&self, status: StatusCode, body: &[u8]) -> UpstreamFault {
        error::fault(status, None, body)
    }

    fn decode_refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamFault {
        error::fault(status, error::named_in(headers), body)
    }

    fn encode_error(&self, error: &Error) -> Bytes {
        error::body(error)
    }

    fn encode_error_event(&self, error: &Error) -> Bytes {
        error::event(error)
    }
}
