//! Amazon Bedrock's Converse: what holds for every request and stream, and what each kind of model is asked.

#![cfg(test)]

mod images;
mod models;
mod properties;

use gatewright_core::chat::Chat;
use gatewright_core::{
    AttemptId, Codec, Dialect, Json, JsonLimits, Losses, ModelFacts, ReasoningControl, ReplyStyle, Result,
};
use serde_json::Value;

fn codec() -> &'static dyn Codec {
    gatewright_dialects::of(Dialect::BedrockConverse)
}

fn style() -> ReplyStyle {
    ReplyStyle {
        model: "alias".into(),
        include_usage: true,
        created: 1,
        attempt: AttemptId::from_bytes([0; 16]),
        older_functions: false,
        asked: None,
    }
}

fn facts(name: &str, reasoning: ReasoningControl) -> ModelFacts {
    ModelFacts {
        name: name.into(),
        max_output: Some(64_000),
        reasoning,
        structured_output: true,
        document_links: false,
    }
}

fn decode(body: &Value) -> Result<Chat> {
    codec().decode_request(&Json::parse(body.to_string().into(), JsonLimits::default())?)
}

fn encode(chat: &Chat, model: &ModelFacts) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let bytes = codec().encode_request(chat, model, &mut losses).unwrap();
    let lost = losses.into_fields().into_iter().map(Into::into).collect();
    (serde_json::from_slice(&bytes).unwrap(), lost)
}
