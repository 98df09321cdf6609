//! The response object that answers and their streams carry: what came of it, and the request that it repeats.

use gatewright_core::{Json, ReplyStyle, Usage};
use serde_json::{Map, Value, json};

use super::outcome::Ending;
use super::usage;

/// The parts of a response that differ from one event of a stream to the next.
pub(super) struct Response<'a> {
    pub(super) id: &'a str,
    pub(super) created: u64,
    pub(super) ending: Ending,
    pub(super) output: Vec<Value>,
    pub(super) usage: Option<&'a Usage>,
    pub(super) service_tier: Option<&'a str>,
}

/// Fields of the request that the answer repeats, and what they are where the request does not say.
fn repeated() -> [(&'static str, Value); 18] {
    [
        ("instructions", Value::Null),
        ("max_output_tokens", Value::Null),
        ("max_tool_calls", Value::Null),
        ("parallel_tool_calls", true.into()),
        ("previous_response_id", Value::Null),
        ("prompt_cache_key", Value::Null),
        ("reasoning", json!({"effort": null, "summary": null})),
        ("safety_identifier", Value::Null),
        ("store", true.into()),
        ("temperature", json!(1.0)),
        ("text", json!({"format": {"type": "text"}})),
        ("tool_choice", "auto".into()),
        ("tools", json!([])),
        ("top_logprobs", 0.into()),
        ("top_p", json!(1.0)),
        ("truncation", "disabled".into()),
        ("user", Value::Null),
        ("metadata", json!({})),
    ]
}

// === impl Response ===

impl Response<'_> {
    /// The whole object.
    pub(super) fn write(self, style: &ReplyStyle) -> Map<String, Value> {
        let mut wire = Map::new();
        let mut put = |key: &str, value: Value| drop(wire.insert(key.to_owned(), value));
        let Ending { status, reason } = self.ending;
        put("id", self.id.into());
        put("object", "response".into());
        put("created_at", self.created.into());
        put("status", status.into());
        put("background", false.into());
        put("error", Value::Null);
        put("incomplete_details", reason.map_or(Value::Null, |reason| json!({"reason": reason})));
        put("model", (&*style.model).into());
        put("output", self.output.into());
        for (key, usual) in repeated() {
            put(key, said(style.asked.as_ref(), key).unwrap_or(usual));
        }
        put("service_tier", self.service_tier.map_or_else(|| "default".into(), Value::from));
        put("usage", self.usage.map_or(Value::Null, usage::written));
        wire
    }
}

fn said(asked: Option<&Json>, key: &str) -> Option<Value> {
    asked?.get::<Value>(key).ok()?
}

/// An id for an answer whose upstream gives none in this dialect's form.
pub(super) fn response_id(id: &str, style: &ReplyStyle) -> String {
    match id.starts_with("resp_") {
        true => id.to_owned(),
        false => format!("resp_{}", seed(style)),
    }
}

/// What the ids of an answer's items begin with, so that no other answer has them.
pub(super) fn seed(style: &ReplyStyle) -> String {
    style.attempt.to_string().replace('-', "")
}
