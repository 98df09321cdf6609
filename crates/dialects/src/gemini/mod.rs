//! Google's `generateContent`, for clients and for upstreams.

mod call_id;
mod count;
mod embedding;
mod error;
mod facts;
mod grounding;
mod images;
mod logprobs;
mod part_out;
mod partial;
mod piece;
mod relay;
mod reply_decode;
mod reply_encode;
mod request_decode;
mod request_encode;
mod schema;
mod stream_decode;
mod stream_encode;
mod thinking;
mod tools;
mod turns;
mod turns_decode;
mod usage;
mod wire;
mod words;

use bytes::Bytes;
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    Codec, Decode, Dialect, EmbeddingCodec, Encode, Error, Frame, ImageCodec, Json, JsonLimits, Losses,
    ModelFacts, Operation, Relay, ReplyFacts, ReplyStyle, Result, UpstreamFault,
};
use http::StatusCode;
use serde_json::{Map, Value};

/// The codec of Gemini.
pub(crate) struct Gemini;

impl Codec for Gemini {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn path(&self, operation: Operation, model: &str, stream: bool) -> Option<String> {
        let verb = match (operation, stream) {
            (Operation::Chat, false) => "generateContent",
            (Operation::Chat, true) => "streamGenerateContent?alt=sse",
            (Operation::CountTokens, _) => "countTokens",
            (Operation::Embeddings, _) => "batchEmbedContents",
            (Operation::ImageGenerations | Operation::ImageEdits, _) if images::is_imagen(model) => "predict",
            (Operation::ImageGenerations | Operation::ImageEdits, _) => "generateContent",
            _ => return None,
        };
        Some(format!("/v1beta/models/{model}:{verb}"))
    }

    fn required(&self, operation: Operation) -> &'static [&'static str] {
        match operation {
            Operation::Chat => &["contents"],
            // A count may hold a whole request instead.
            _ => &[],
        }
    }

    fn embeddings(&self) -> Option<&'static dyn EmbeddingCodec> {
        Some(&embedding::Vectors)
    }

    fn images(&self) -> Option<&'static dyn ImageCodec> {
        Some(&images::Pictures)
    }

    fn readdress(&self, body: &mut Json, model: &str) {
        // The model stands in the address, and the API refuses fields that it does not know.
        body.remove("model");
        body.remove("stream");
        // Except in a count's request for an answer, which names it too.
        let inner = body.raw("generateContentRequest").map(<[u8]>::to_vec);
        if let Some(Ok(mut inner)) = inner.map(|inner| Json::parse(inner.into(), JsonLimits::default())) {
            inner.set_string("model", &format!("models/{model}"));
            body.set("generateContentRequest", inner.to_bytes());
        }
    }

    fn stated_cap(&self, body: &Json) -> Option<u64> {
        configured(body, ["maxOutputTokens", "max_output_tokens"])
    }

    fn answers(&self, body: &Json) -> u64 {
        configured(body, ["candidateCount", "candidate_count"]).unwrap_or(1)
    }

    fn cap_output(&self, body: &mut Json, cap: u64, _model: &ModelFacts) {
        let key = if body.has("generation_config") { "generation_config" } else { "generationConfig" };
        let config = body.raw(key).filter(|raw| *raw != b"null").unwrap_or(b"{}").to_vec();
        // What is no object is the provider's to refuse.
        let Ok(mut config) = Json::parse(config.into(), JsonLimits::default()) else { return };
        let field = if config.has("max_output_tokens") { "max_output_tokens" } else { "maxOutputTokens" };
        config.lower(field, cap);
        body.set(key, config.to_bytes());
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

    fn ask_count(&self, body: &mut Json, model: &str) {
        count::ask(body, model);
    }

    fn decode_count(&self, body: &[u8]) -> Result<u64> {
        count::decode(body)
    }

    fn encode_count(&self, tokens: u64) -> Bytes {
        count::encode(tokens)
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

/// A number of the generation's configuration, by either of its names.
fn configured(body: &Json, names: [&str; 2]) -> Option<u64> {
    let config = |key| body.get::<Map<String, Value>>(key).ok().flatten();
    let config = config("generationConfig").or_else(|| config("generation_config"))?;
    names.iter().find_map(|name| config.get(*name)?.as_u64())
}
