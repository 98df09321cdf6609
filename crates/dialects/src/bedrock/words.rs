//! The words of the dialect that mean the same in requests, answers and streams.

use gatewright_core::chat::{CacheMark, Finish};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ttl::Ttl;

/// `cachePoint`, read and written: everything before it goes into the cache.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct CachePoint {
    #[serde(rename = "type")]
    kind: Usual,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<Ttl>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Usual {
    Default,
}

impl From<CacheMark> for CachePoint {
    fn from(mark: CacheMark) -> Self {
        Self { kind: Usual::Default, ttl: Ttl::of(mark) }
    }
}

impl From<CachePoint> for CacheMark {
    fn from(point: CachePoint) -> Self {
        Ttl::mark(point.ttl)
    }
}

/// Why the model stopped, from the wire. A word that is not known yet ends the turn like any other, as do the two that
/// say that the model wrote nonsense.
pub(super) fn finish(stop_reason: &str) -> Finish {
    match stop_reason {
        "max_tokens" => Finish::Length,
        "stop_sequence" => Finish::StopSequence,
        "tool_use" => Finish::ToolCalls,
        "guardrail_intervened" | "content_filtered" => Finish::ContentFilter,
        "model_context_window_exceeded" => Finish::ContextWindow,
        _ => Finish::Stop,
    }
}

/// Why the model stopped, for the wire.
pub(super) fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Pause => "end_turn",
        Finish::StopSequence => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::ContextWindow => "model_context_window_exceeded",
        Finish::ToolCalls | Finish::FunctionCall => "tool_use",
        Finish::ContentFilter | Finish::Refusal => "content_filtered",
    }
}

/// Whether a block that the canonical conversation does not know is one of Converse's: an object with one field, whose
/// name says what it is.
pub(super) fn is_own_block(block: &Value) -> bool {
    const OWN: [&str; 4] = ["guardContent", "searchResult", "toolAddition", "toolRemoval"];
    let fields = block.as_object().filter(|fields| fields.len() == 1);
    fields.is_some_and(|fields| fields.keys().all(|key| OWN.contains(&key.as_str())))
}
