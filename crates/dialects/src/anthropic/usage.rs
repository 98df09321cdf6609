//! Usage, read and written. Anthropic counts cached input beside `input_tokens`, not in it.

use gatewright_core::Usage;
use serde::{Deserialize, Serialize};

use super::words;

/// `usage` as it comes: in whole answers, in `message_start`, and cumulative in `message_delta`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageIn {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerTools>,
    /// The tier that served the answer.
    pub(super) service_tier: Option<String>,
}

/// `usage` as a client gets it.
#[derive(Debug, Serialize)]
pub(super) struct UsageOut<'a> {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: CacheCreation,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_tool_use: Option<ServerTools>,
    service_tier: &'a str,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct ServerTools {
    web_search_requests: u64,
}

// === impl UsageIn ===

impl UsageIn {
    /// Adds a later report. It is cumulative and wins, but some compatible providers send zeros for what only their
    /// first report knew: a count that was there does not become nothing.
    pub(super) fn merge(&mut self, later: Self) {
        later_wins(&mut self.input_tokens, later.input_tokens);
        later_wins(&mut self.output_tokens, later.output_tokens);
        later_wins(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        later_wins(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        self.cache_creation = later.cache_creation.or(self.cache_creation);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
        self.server_tool_use = later.server_tool_use.or(self.server_tool_use);
        self.service_tier = later.service_tier.or(self.service_tier.take());
    }

    /// The canonical usage.
    pub(super) fn usage(&self) -> Usage {
        let (five_minutes, one_hour) = self.cache_write();
        Usage {
            input: self.input_tokens.unwrap_or_default(),
            output: self.output_tokens.unwrap_or_default(),
            cache_read: self.cache_read_input_tokens.unwrap_or_default(),
            cache_write_5m: five_minutes,
            cache_write_1h: one_hour,
            reasoning: self.output_tokens_details.map_or(0, |details| details.thinking_tokens),
            web_searches: self.server_tool_use.map_or(0, |tools| tools.web_search_requests),
            cache_in_input: false,
            ..Usage::default()
        }
    }

    /// The total is reported later and more often than its split; what the split does not explain is the default
    /// five minutes.
    fn cache_write(&self) -> (u64, u64) {
        let split = self.cache_creation.unwrap_or_default();
        let known = split.ephemeral_5m_input_tokens.saturating_add(split.ephemeral_1h_input_tokens);
        let total = self.cache_creation_input_tokens.unwrap_or(known).max(known);
        (total.saturating_sub(split.ephemeral_1h_input_tokens), split.ephemeral_1h_input_tokens)
    }
}

// === impl UsageOut ===

impl<'a> UsageOut<'a> {
    /// What a client of this dialect reads: the input that no cache served or took, and the cached beside it.
    pub(super) fn new(usage: &Usage, service_tier: Option<&'a str>) -> Self {
        Self {
            input_tokens: usage.uncached_input(),
            cache_creation_input_tokens: usage.cache_write(),
            cache_read_input_tokens: usage.cache_read,
            cache_creation: CacheCreation {
                ephemeral_5m_input_tokens: usage.cache_write_5m,
                ephemeral_1h_input_tokens: usage.cache_write_1h,
            },
            output_tokens: usage.output,
            output_tokens_details: (usage.reasoning > 0)
                .then_some(OutputDetails { thinking_tokens: usage.reasoning }),
            server_tool_use: (usage.web_searches > 0)
                .then_some(ServerTools { web_search_requests: usage.web_searches }),
            service_tier: service_tier.map_or("standard", words::tier_out),
        }
    }
}

fn later_wins(count: &mut Option<u64>, later: Option<u64>) {
    match later {
        None | Some(0) if count.is_some() => {}
        later => *count = later,
    }
}
