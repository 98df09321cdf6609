//! What the codec of Anthropic Messages promises, one module a direction.

#![cfg(test)]

mod asking;
mod errors;
mod older;
mod pairs;
mod properties;
mod relays;
mod replies;
mod requests_in;
mod requests_out;
mod requests_out_ways;
mod sources;
mod streams_in;
mod streams_out;
mod told;

use bytes::Bytes;
use gatewright_core::chat::Chat;
use gatewright_core::{
    Codec, Dialect, Json, JsonLimits, Losses, ModelFacts, RawEvent, ReasoningControl, ReplyStyle, Result,
};
use gatewright_dialects::of;
use serde_json::Value;

fn codec() -> &'static dyn Codec {
    of(Dialect::AnthropicMessages)
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

/// A model with the newest ways.
fn newest() -> ModelFacts {
    facts(ReasoningControl::Adaptive, true)
}

fn facts(reasoning: ReasoningControl, structured_output: bool) -> ModelFacts {
    ModelFacts {
        name: "claude".into(),
        max_output: Some(64_000),
        reasoning,
        structured_output,
        document_links: false,
    }
}

fn json(value: &Value) -> Json {
    Json::parse(Bytes::from(value.to_string()), JsonLimits::default()).unwrap()
}

fn decode(request: &Value) -> Result<Chat> {
    codec().decode_request(&json(request))
}

fn encode(chat: &Chat, model: &ModelFacts) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = codec().encode_request(chat, model, &mut losses).unwrap();
    let lost = losses.into_fields().into_iter().map(String::from).collect();
    (serde_json::from_slice(&body).unwrap(), lost)
}

/// Takes SSE text apart; every event here lies in two lines.
fn raw_events(text: &str) -> Vec<RawEvent<'_>> {
    let blocks = text.split("\n\n").filter(|block| !block.is_empty());
    blocks
        .map(|block| {
            let (name, data) = block.split_once('\n').unwrap();
            RawEvent {
                name: name.strip_prefix("event: ").unwrap(),
                data: data.strip_prefix("data: ").unwrap().as_bytes(),
            }
        })
        .collect()
}
