#![doc = include_str!("../README.md")]

mod anthropic;
mod json;
mod openai;
mod scan;
pub mod sse;

use gatewright_core::{Codec, Dialect};

/// The codec of a dialect.
pub fn of(dialect: Dialect) -> &'static dyn Codec {
    match dialect {
        Dialect::OpenAiChat => &openai::OpenAi,
        Dialect::AnthropicMessages => &anthropic::Anthropic,
    }
}
