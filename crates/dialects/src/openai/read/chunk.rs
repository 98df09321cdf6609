//! The shape of one streamed event; what is rare stays bytes until someone asks.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// One event.
#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(default, borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) created: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) object: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) system_fingerprint: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) service_tier: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) citations: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) search_results: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) choices: Option<Vec<RawChoice<'a>>>,
    #[serde(default, borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) x_groq: Option<Groq<'a>>,
    #[serde(default, borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Groq<'a> {
    #[serde(default, borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct RawChoice<'a> {
    #[serde(default)]
    pub(super) index: Option<u32>,
    #[serde(default, borrow)]
    pub(super) delta: Option<RawDelta<'a>>,
    #[serde(default, borrow)]
    pub(super) message: Option<RawDelta<'a>>,
    #[serde(default, borrow)]
    pub(super) finish_reason: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) logprobs: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct RawDelta<'a> {
    #[serde(default, borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) reasoning_content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) reasoning: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) reasoning_details: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) thinking_blocks: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) refusal: Option<String>,
    #[serde(default, borrow)]
    pub(super) tool_calls: Option<Vec<RawCall<'a>>>,
    #[serde(default, borrow)]
    pub(super) function_call: Option<RawFunction<'a>>,
    #[serde(default, borrow)]
    pub(super) annotations: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) audio: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct RawCall<'a> {
    #[serde(default)]
    pub(super) index: Option<u32>,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default, borrow)]
    pub(super) function: Option<RawFunction<'a>>,
    #[serde(default, borrow)]
    pub(super) custom: Option<RawFunction<'a>>,
}

#[derive(Deserialize)]
pub(super) struct RawFunction<'a> {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default, borrow, alias = "input")]
    pub(super) arguments: Option<&'a RawValue>,
}

/// A string's text; `null` is none, and an object where text should stand is kept as JSON.
pub(super) fn text(raw: &str) -> String {
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).unwrap_or_default(),
        Some(b'n') | None => String::new(),
        Some(_) => raw.to_owned(),
    }
}

/// A string, where it is one.
pub(super) fn words(raw: Option<&RawValue>) -> String {
    raw.map(RawValue::get).filter(|raw| raw.starts_with('"')).map(text).unwrap_or_default()
}

pub(super) fn list(raw: Option<&RawValue>) -> Vec<Value> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}
