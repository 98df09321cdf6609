#![doc = include_str!("../README.md")]

mod anthropic;
mod json;
pub mod ndjson;
mod openai;
mod scan;
mod splitter;
pub mod sse;

use gatewright_core::{Codec, Dialect};

pub use splitter::Splitter;

/// The codec of a dialect.
pub fn of(dialect: Dialect) -> &'static dyn Codec {
    match dialect {
        Dialect::OpenAiChat => &openai::OpenAi,
        Dialect::AnthropicMessages => &anthropic::Anthropic,
        Dialect::OpenAiResponses => &openai::responses::Responses,
        Dialect::OpenAiCompletions => &openai::completions::Completions,
        Dialect::Gemini => &openai::OpenAi,
        Dialect::BedrockConverse => &openai::OpenAi,
        Dialect::CohereChat => &openai::OpenAi,
        Dialect::OllamaChat => &openai::OpenAi,
    }
}
