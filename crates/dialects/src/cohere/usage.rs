//! Usage, read and written.
//!
//! Cohere counts twice. `tokens` is what the model read and wrote, Cohere's own instructions in it; `billed_units` is
//! what it charges, which is less. The first is what clients are told and what counts against limits, the second is what
//! a call costs.

use gatewright_core::Usage;
use serde::{Deserialize, Serialize};

/// `usage` of a chat, or `meta` of another answer.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageIn {
    billed_units: Option<Units>,
    tokens: Option<Units>,
    cached_tokens: Option<f64>,
}

/// The API calls its counts numbers, not whole ones.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Units {
    input_tokens: Option<f64>,
    output_tokens: Option<f64>,
    image_tokens: Option<f64>,
    reasoning_tokens: Option<f64>,
    search_units: Option<f64>,
}

/// `usage` as a client gets it.
#[derive(Debug, Serialize)]
pub(super) struct UsageOut {
    billed_units: UnitsOut,
    tokens: UnitsOut,
    cached_tokens: u64,
}

/// Counts as a client gets them.
#[derive(Debug, Serialize)]
pub(super) struct UnitsOut {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_tokens: Option<u64>,
}

// === impl UsageIn ===

impl UsageIn {
    /// The canonical usage of a chat.
    pub(super) fn usage(&self) -> Usage {
        let billed = self.billed_units.unwrap_or_default();
        let used = self.tokens.unwrap_or(billed);
        let (input, output) = (count(used.input_tokens), count(used.output_tokens));
        let unbilled =
            |all: u64, billed: Option<f64>| billed.map_or(0, |_| all.saturating_sub(count(billed)));
        Usage {
            input,
            output,
            cache_read: count(self.cached_tokens),
            reasoning: count(used.reasoning_tokens),
            image_input: count(used.image_tokens),
            search_units: count(billed.search_units),
            cache_in_input: true,
            unbilled_input: unbilled(input, billed.input_tokens),
            unbilled_output: unbilled(output, billed.output_tokens),
            ..Usage::default()
        }
    }

    /// The canonical usage of an answer that is no text; pictures are counted beside the texts.
    pub(super) fn of_meta(&self) -> Usage {
        let billed = self.billed_units.or(self.tokens).unwrap_or_default();
        let pictures = count(billed.image_tokens);
        Usage {
            input: count(billed.input_tokens).saturating_add(pictures),
            image_input: pictures,
            search_units: count(billed.search_units),
            cache_in_input: true,
            ..Usage::default()
        }
    }
}

// === impl UsageOut ===

impl From<&Usage> for UsageOut {
    fn from(usage: &Usage) -> Self {
        let billed = usage.billed();
        Self {
            billed_units: UnitsOut {
                input_tokens: billed.total_input(),
                output_tokens: billed.output,
                image_tokens: None,
                reasoning_tokens: None,
            },
            tokens: UnitsOut {
                input_tokens: usage.total_input(),
                output_tokens: usage.output,
                image_tokens: (usage.image_input > 0).then_some(usage.image_input),
                reasoning_tokens: (usage.reasoning > 0).then_some(usage.reasoning),
            },
            cached_tokens: usage.cache_read,
        }
    }
}

/// What is no count is none: the cast ends at the borders of the type.
fn count(number: Option<f64>) -> u64 {
    number.unwrap_or_default().round() as u64
}
