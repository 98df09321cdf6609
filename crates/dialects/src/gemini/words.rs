//! The API's words for what all dialects say.

use gatewright_core::chat::Finish;
use serde_json::Value;

/// What stands for the signature of a call that another model made: the API's own word for "do not check this one".
pub(super) const UNSIGNED: &str = "skip_thought_signature_validator";

/// Reasons to stop by their numbers in the binary protocol.
const BY_NUMBER: [&str; 10] = [
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
];

/// The word of a `finishReason`, however it is written.
pub(super) fn finish_word(reason: &Value) -> Option<&str> {
    match reason {
        Value::String(word) => Some(word),
        Value::Number(number) => {
            let number = usize::try_from(number.as_u64()?).ok()?;
            BY_NUMBER.get(number).copied()
        }
        _ => None,
    }
}

/// Why it stopped. A model that waits for tools says `STOP` like any other.
pub(super) fn finish(word: &str, called: bool) -> Finish {
    match word {
        "MAX_TOKENS" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "OTHER"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_OTHER"
        | "IMAGE_RECITATION"
        | "NO_IMAGE" => Finish::ContentFilter,
        _ if called => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// The same as a client reads it.
pub(super) fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Length | Finish::ContextWindow => "MAX_TOKENS",
        Finish::ContentFilter | Finish::Refusal => "SAFETY",
        Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::FunctionCall | Finish::Pause => {
            "STOP"
        }
    }
}

/// The tier that served, as all dialects name it.
pub(super) fn tier_in(tier: &str) -> &str {
    if tier.eq_ignore_ascii_case("standard") { "default" } else { tier }
}

/// The API's name of a tier; `None` where it has none, `Some("")` where it is what happens anyway.
pub(super) fn tier_out(tier: &str) -> Option<&'static str> {
    match tier {
        "auto" => Some(""),
        "default" | "standard" => Some("standard"),
        "flex" => Some("flex"),
        "priority" => Some("priority"),
        _ => None,
    }
}
