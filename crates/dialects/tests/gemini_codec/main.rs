//! What the codec of Gemini promises beyond the golden cases.

#![cfg(test)]

mod embeddings;
mod images;
mod properties;
mod signatures;

use bytes::Bytes;
use gatewright_core::chat::Chat;
use gatewright_core::{
    Codec, Dialect, Json, JsonLimits, Losses, ModelFacts, ReasoningControl, ReplyStyle, Result,
};
use gatewright_dialects::of;
use serde_json::Value;

fn codec() -> &'static dyn Codec {
    of(Dialect::Gemini)
}

fn style() -> ReplyStyle {
    ReplyStyle {
        model: "alias".into(),
        include_usage: true,
        created: 1,
        attempt: gatewright_core::AttemptId::from_bytes([0; 16]),
        older_functions: false,
        asked: None,
    }
}

fn model(name: &str) -> ModelFacts {
    ModelFacts {
        name: name.into(),
        reasoning: ReasoningControl::Budget,
        structured_output: true,
        ..ModelFacts::default()
    }
}

fn json(value: &Value) -> Json {
    Json::parse(Bytes::from(value.to_string()), JsonLimits::default()).unwrap()
}

fn decode(request: &Value) -> Result<Chat> {
    codec().decode_request(&json(request))
}

fn encode(chat: &Chat, name: &str) -> Value {
    let body = codec().encode_request(chat, &model(name), &mut Losses::default()).unwrap();
    serde_json::from_slice(&body).unwrap()
}
