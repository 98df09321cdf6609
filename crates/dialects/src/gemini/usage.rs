//! Usage, read and written. Gemini counts thoughts beside the candidates, and what its own tools read beside the prompt.

use gatewright_core::Usage;
use serde::{Deserialize, Serialize};

/// `usageMetadata` as it comes; cumulative in a stream.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct UsageIn {
    prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    total_token_count: Option<u64>,
    thoughts_token_count: u64,
    cached_content_token_count: u64,
    tool_use_prompt_token_count: u64,
    prompt_tokens_details: Vec<Share>,
    candidates_tokens_details: Vec<Share>,
    /// The tier that served the answer.
    pub(super) service_tier: Option<String>,
}

/// `usageMetadata` as a client gets it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageOut<'a> {
    prompt_token_count: u64,
    candidates_token_count: u64,
    total_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    thoughts_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_content_token_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prompt_tokens_details: Vec<Share>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates_tokens_details: Vec<Share>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
}

/// How many of the tokens are of one kind.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct Share {
    modality: Modality,
    token_count: u64,
}

/// A word, or a number where the service was asked through a library for its binary protocol.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
enum Modality {
    Word(String),
    Number(u64),
}

impl Default for Modality {
    fn default() -> Self {
        Self::Number(0)
    }
}

// === impl UsageIn ===

impl UsageIn {
    /// The usage; `None` where nothing is counted in it, as in the first events of some streams.
    pub(super) fn usage(&self, web_searches: u64) -> Option<Usage> {
        let counts = self.prompt_token_count.or(self.candidates_token_count).or(self.total_token_count);
        counts?;
        let of = |shares: &[Share], wanted: &str, number: u64| {
            let fits = |share: &&Share| match &share.modality {
                Modality::Word(word) => word == wanted,
                Modality::Number(given) => *given == number,
            };
            shares.iter().filter(fits).fold(0, |sum: u64, share| sum.saturating_add(share.token_count))
        };
        let output = self.candidates_token_count.unwrap_or_default();
        Some(Usage {
            input: self
                .prompt_token_count
                .unwrap_or_default()
                .saturating_add(self.tool_use_prompt_token_count),
            output: output.saturating_add(self.thoughts_token_count),
            reasoning: self.thoughts_token_count,
            cache_read: self.cached_content_token_count,
            audio_input: of(&self.prompt_tokens_details, "AUDIO", 4),
            audio_output: of(&self.candidates_tokens_details, "AUDIO", 4),
            image_input: of(&self.prompt_tokens_details, "IMAGE", 2),
            image_output: of(&self.candidates_tokens_details, "IMAGE", 2),
            web_searches,
            cache_in_input: true,
            ..Usage::default()
        })
    }
}

// === impl UsageOut ===

impl<'a> UsageOut<'a> {
    /// What a client reads.
    pub(super) fn new(usage: &Usage, tier: Option<&'a str>) -> Self {
        let input = usage.total_input();
        let candidates = usage.output.saturating_sub(usage.reasoning);
        let tier = tier.and_then(super::words::tier_out).filter(|tier| !tier.is_empty());
        Self {
            prompt_token_count: input,
            candidates_token_count: candidates,
            total_token_count: usage.total(),
            thoughts_token_count: usage.reasoning.min(usage.output),
            cached_content_token_count: usage.cache_read,
            prompt_tokens_details: shares(input, usage.audio_input, usage.image_input),
            candidates_tokens_details: shares(candidates, usage.audio_output, usage.image_output),
            service_tier: tier,
        }
    }
}

/// By kind, where there is more than text.
fn shares(all: u64, audio: u64, image: u64) -> Vec<Share> {
    if audio == 0 && image == 0 {
        return Vec::new();
    }
    let text = all.saturating_sub(audio).saturating_sub(image);
    let share =
        |(word, count): (&str, u64)| Share { modality: Modality::Word(word.to_owned()), token_count: count };
    [("TEXT", text), ("AUDIO", audio), ("IMAGE", image)]
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .map(share)
        .collect()
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}
