//! What is to be continued: a text, several, or the model's own tokens.

use gatewright_core::{Error, ErrorKind, Json, Result};
use serde_json::Value;

/// The one text of a request; other prompts can only be carried to an upstream that has this dialect. A chat answers
/// one conversation, and the tokens of one model mean nothing to another.
pub(super) fn only_text(body: &Json) -> Result<String> {
    let refused = |kind, words: &'static str| Err(Error::new(kind, words).with_param("prompt"));
    let one_of_many = |items: Vec<Value>| match <[Value; 1]>::try_from(items) {
        Ok([Value::String(text)]) => Ok(text),
        Ok([only]) => Err(vec![only]),
        Err(items) => Err(items),
    };
    let items = match body.get("prompt")?.unwrap_or_default() {
        Value::String(text) => return Ok(text),
        Value::Array(items) => match one_of_many(items) {
            Ok(text) => return Ok(text),
            Err(items) => items,
        },
        _ => Vec::new(),
    };
    match items.as_slice() {
        [] => refused(
            ErrorKind::InvalidRequest,
            "invalid value for 'prompt': expected a string, a list of strings, or lists of tokens",
        ),
        [Value::String(_), ..] => refused(
            ErrorKind::Unsupported,
            "this model answers one prompt a request: send several prompts in requests of their own",
        ),
        [..] => refused(ErrorKind::Unsupported, "this model takes a prompt as text, not as tokens"),
    }
}

/// How many prompts a request has: tokens in one list are one.
pub(super) fn count(body: &Json) -> u64 {
    match body.get("prompt") {
        Ok(Some(Value::Array(items))) if !items.iter().all(Value::is_number) => {
            u64::try_from(items.len()).unwrap_or(u64::MAX)
        }
        _ => 1,
    }
}

/// What the answer begins with, where its client asked to read its prompt again.
pub(super) fn echoed(asked: Option<&Json>) -> Option<String> {
    let asked = asked.filter(|asked| asked.raw("echo") == Some(b"true"))?;
    only_text(asked).ok()
}
