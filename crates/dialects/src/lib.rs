#![doc = include_str!("../README.md")]

mod anthropic;
mod arguments;
pub mod aws_events;
mod bedrock;
mod cohere;
mod depth;
mod gathered;
pub use gathered::gather;
mod gemini;
mod held;
mod json;
mod lost;
pub mod ndjson;
mod ollama;
mod openai;
mod picture;
mod ranking;
mod sampling;
mod scan;
mod signature;
mod splitter;
pub mod sse;
mod status;
mod transcript;
mod ttl;

use gatewright_core::{Codec, Dialect, Rank, RankingForm};

pub use depth::check_depth;
pub use splitter::Splitter;
pub use transcript::{Said, Told, Transcript};

/// Anthropic Messages as Bedrock carries them through `invoke`.
pub fn claude_on_bedrock() -> &'static dyn Codec {
    &bedrock::Claude
}

/// OpenAI's chat as Bedrock carries it through `invoke`.
pub fn chat_on_bedrock() -> &'static dyn Codec {
    &bedrock::Imported
}

/// How rankings are asked for in a form that is not the dialect's own.
pub fn ranking(form: RankingForm) -> &'static dyn Rank {
    ranking::of(form)
}

/// The codec of a dialect.
pub fn of(dialect: Dialect) -> &'static dyn Codec {
    match dialect {
        Dialect::OpenAiChat => &openai::OpenAi,
        Dialect::AnthropicMessages => &anthropic::Anthropic,
        Dialect::OpenAiResponses => &openai::responses::Responses,
        Dialect::OpenAiCompletions => &openai::completions::Completions,
        Dialect::Gemini => &gemini::Gemini,
        Dialect::BedrockConverse => &bedrock::Converse,
        Dialect::CohereChat => &cohere::Cohere,
        Dialect::OllamaChat => &ollama::Ollama,
    }
}
