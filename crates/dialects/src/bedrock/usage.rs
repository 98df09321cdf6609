//! Usage, read and written. Converse counts cached input beside `inputTokens`, not in it; `totalTokens` has all.

use gatewright_core::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ttl::Ttl;

/// `usage` as it comes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct UsageIn {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
    cache_details: Option<Vec<CacheDetail>>,
}

/// `additionalModelResponseFields`, as far as Claude counts there; what else stands there has any form.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(from = "Value")]
pub(super) struct Further {
    thought: u64,
}

impl From<Value> for Further {
    fn from(fields: Value) -> Self {
        let thought = fields.pointer("/usage/output_tokens_details/thinking_tokens").and_then(Value::as_u64);
        Self { thought: thought.unwrap_or_default() }
    }
}

/// `usage` as a client gets it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageOut {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    cache_read_input_tokens: u64,
    cache_write_input_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cache_details: Vec<CacheDetail>,
}

/// What was written to the cache for one lifetime.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct CacheDetail {
    ttl: Ttl,
    input_tokens: u64,
}

// === impl UsageIn ===

impl UsageIn {
    /// The canonical usage. What the details do not explain was written for the default five minutes.
    pub(super) fn usage(&self, further: Further) -> Usage {
        let details = self.cache_details.iter().flatten();
        let hour =
            details.clone().filter(|detail| detail.ttl == Ttl::OneHour).map(|detail| detail.input_tokens);
        let known: u64 = details.map(|detail| detail.input_tokens).fold(0, u64::saturating_add);
        let (written, hour) =
            (self.cache_write_input_tokens.unwrap_or(known).max(known), hour.fold(0, u64::saturating_add));
        Usage {
            input: self.input_tokens,
            output: self.output_tokens,
            cache_read: self.cache_read_input_tokens.unwrap_or_default(),
            cache_write_5m: written.saturating_sub(hour),
            cache_write_1h: hour,
            cache_in_input: false,
            reasoning: further.thought.min(self.output_tokens),
            ..Usage::default()
        }
    }
}

// === impl UsageOut ===

impl UsageOut {
    pub(super) fn new(usage: &Usage) -> Self {
        // The longest lifetime first, as the API's reference has it.
        let written = [(Ttl::OneHour, usage.cache_write_1h), (Ttl::FiveMinutes, usage.cache_write_5m)];
        let details = written.into_iter().filter(|(_, tokens)| *tokens > 0);
        Self {
            input_tokens: usage.uncached_input(),
            output_tokens: usage.output,
            total_tokens: usage.total(),
            cache_read_input_tokens: usage.cache_read,
            cache_write_input_tokens: usage.cache_write(),
            cache_details: details.map(|(ttl, input_tokens)| CacheDetail { ttl, input_tokens }).collect(),
        }
    }
}
