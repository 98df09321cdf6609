//! The paths that calls are told by.

use gatewright_core::{Dialect, Operation};

/// The path of a call in its usual form, whichever of its forms was called.
pub(super) fn route(operation: Operation, dialect: Dialect) -> &'static str {
    match operation {
        Operation::Chat => chat_route(dialect),
        Operation::CountTokens => "/v1/messages/count_tokens",
        Operation::Embeddings => "/v1/embeddings",
        Operation::Rerank => "/v1/rerank",
        Operation::Moderations => "/v1/moderations",
        Operation::ImageGenerations => "/v1/images/generations",
        Operation::ImageEdits => "/v1/images/edits",
        Operation::ImageVariations => "/v1/images/variations",
        Operation::Speech => "/v1/audio/speech",
        Operation::Transcriptions => "/v1/audio/transcriptions",
        Operation::Translations => "/v1/audio/translations",
    }
}

fn chat_route(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "/v1/chat/completions",
        Dialect::OpenAiCompletions => "/v1/completions",
        Dialect::OpenAiResponses => "/v1/responses",
        Dialect::AnthropicMessages => "/v1/messages",
        Dialect::Gemini => "/v1beta/models/{model}:generateContent",
        Dialect::BedrockConverse => "/model/{model}/converse",
        Dialect::CohereChat => "/v2/chat",
        Dialect::OllamaChat => "/api/chat",
    }
}
