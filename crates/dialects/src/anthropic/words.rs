//! The words of the dialect that mean the same in requests, answers and streams.

use gatewright_core::chat::{CacheMark, Finish};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ttl::Ttl;

/// The tool that is forced where a model has no native JSON schema. LiteLLM's name, so that traces look alike.
pub(crate) const JSON_TOOL: &str = "json_tool_call";

/// `cache_control`, read and written.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct CacheControl {
    #[serde(rename = "type", default)]
    kind: Ephemeral,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<Ttl>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Ephemeral {
    #[default]
    Ephemeral,
}

impl From<CacheMark> for CacheControl {
    fn from(mark: CacheMark) -> Self {
        Self { kind: Ephemeral::Ephemeral, ttl: Ttl::of(mark) }
    }
}

impl From<CacheControl> for CacheMark {
    fn from(control: CacheControl) -> Self {
        Ttl::mark(control.ttl)
    }
}

/// Why the model stopped, from the wire. A word that is not known yet ends the turn like any other.
pub(super) fn finish(stop_reason: &str) -> Finish {
    match stop_reason {
        "max_tokens" => Finish::Length,
        "stop_sequence" => Finish::StopSequence,
        "tool_use" => Finish::ToolCalls,
        "pause_turn" => Finish::Pause,
        "refusal" => Finish::Refusal,
        "model_context_window_exceeded" => Finish::ContextWindow,
        _ => Finish::Stop,
    }
}

/// Why the model stopped, for the wire.
pub(super) fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::StopSequence => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::ContextWindow => "model_context_window_exceeded",
        Finish::ToolCalls | Finish::FunctionCall => "tool_use",
        Finish::ContentFilter | Finish::Refusal => "refusal",
        Finish::Pause => "pause_turn",
    }
}

/// The tier that served an answer, in OpenAI's words, which the canonical conversation uses.
pub(super) fn tier_in(wire: &str) -> &str {
    match wire {
        "standard" => "default",
        other => other,
    }
}

/// The tier that served an answer, in Anthropic's words.
pub(super) fn tier_out(tier: &str) -> &str {
    match tier {
        "priority" | "batch" => tier,
        _ => "standard",
    }
}

/// Whether a block that the canonical conversation does not know is one of Anthropic's.
pub(super) fn is_own_block(block: &Value) -> bool {
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
    kind.ends_with("_tool_result")
        || matches!(
            kind,
            "server_tool_use"
                | "mcp_tool_use"
                | "tool_use"
                | "document"
                | "search_result"
                | "container_upload"
                | "compaction"
                | "fallback"
                | "tool_reference"
                | "tool_addition"
                | "tool_removal"
                | "browser_state"
        )
}

/// Whether a hosted tool is one of Anthropic's: their types end in a date, but for MCP's and short names of the search
/// for tools.
pub(super) fn is_own_tool(tool: &Value) -> bool {
    let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default();
    let dated = kind
        .rsplit_once('_')
        .is_some_and(|(_, date)| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()));
    dated || kind == "mcp_toolset" || kind.starts_with("tool_search_tool_")
}
