//! The dialect as a whole: requests, answers and streams through both directions.

mod gather;
mod properties;
mod replies;
mod requests;
mod streams;

use gatewright_core::chat::*;
use gatewright_core::{JsonLimits, ReasoningControl};
use serde_json::{Value, json};

use super::*;

fn decode(body: &Value) -> Result<Chat> {
    OpenAi.decode_request(&Json::parse(body.to_string().into(), JsonLimits::default())?)
}

fn facts() -> ModelFacts {
    ModelFacts { name: "claude-x".into(), reasoning: ReasoningControl::Effort, ..ModelFacts::default() }
}

fn encode_for(chat: &Chat, model: &ModelFacts) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = OpenAi.encode_request(chat, model, &mut losses).unwrap();
    let lost = losses.into_fields().into_iter().map(String::from).collect();
    (serde_json::from_slice(&body).unwrap(), lost)
}

fn style(include_usage: bool) -> ReplyStyle {
    ReplyStyle {
        model: "alias".into(),
        include_usage,
        created: 7,
        attempt: gatewright_core::AttemptId::from_bytes([0; 16]),
        older_functions: false,
        asked: None,
    }
}

fn with_message(message: &Value) -> Value {
    json!({"model": "m", "messages": [message]})
}

fn chunk(delta: Value) -> Value {
    json!({"id":"c-1","model":"m","created":5,"choices":[{"index":0,"delta":delta,"finish_reason":null}]})
}

fn last(word: &str) -> Value {
    json!({"id":"c-1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":word}]})
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), cache: None })
}
