#![doc = include_str!("../README.md")]

mod anthropic;
pub mod aws_events;
mod bedrock;
mod json;
pub mod ndjson;
mod openai;
mod scan;
mod splitter;
pub mod sse;

use gatewright_core::{Codec, Dialect};

pub use splitter::Splitter;

/// Anthropic Messages as Bedrock carries them through `invoke`.
pub fn claude_on_bedrock() -> &'static dyn Codec {
    &bedrock::Claude
}

/// The codec of a dialect.
pub fn of(dialect: Dialect) -> &'static dyn Codec {
    match dialect {
        Dialect::OpenAiChat => &openai::OpenAi,
        Dialect::AnthropicMessages => &anthropic::Anthropic,
        Dialect::OpenAiResponses => &openai::OpenAi,
        Dialect::OpenAiCompletions => &openai::OpenAi,
        Dialect::Gemini => &openai::OpenAi,
        Dialect::BedrockConverse => &bedrock::Converse,
        Dialect::CohereChat => &openai::OpenAi,
        Dialect::OllamaChat => &openai::OpenAi,
    }
}
