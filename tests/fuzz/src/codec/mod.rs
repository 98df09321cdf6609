//! One dialect's codec, with any bytes in every place where bytes come from outside.

mod errors;
mod replies;
mod requests;
mod streams;

use gatewright_core::{Codec, Dialect, ReplyStyle};
use gatewright_dialects::of;
use serde_json::value::RawValue;

/// Checks one input.
pub fn check(dialect: Dialect, data: &[u8]) {
    let codec = of(dialect);
    requests::check(codec, data);
    replies::check(codec, data);
    streams::check(codec, data);
    errors::check(codec, data);
}

const ALL: [Dialect; 5] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::OpenAiCompletions,
    Dialect::AnthropicMessages,
    Dialect::Gemini,
];

fn others(codec: &dyn Codec) -> &'static dyn Codec {
    of(match codec.dialect() {
        Dialect::OpenAiChat => Dialect::AnthropicMessages,
        _ => Dialect::OpenAiChat,
    })
}

pub(crate) fn style(include_usage: bool) -> ReplyStyle {
    ReplyStyle { model: "alias".into(), include_usage, created: 7, attempt: gatewright_core::AttemptId::from_bytes([0; 16]), older_functions: false, asked: None }
}

/// Whether it is one JSON value in UTF-8, however deep.
fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<&RawValue>(text).is_ok())
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
