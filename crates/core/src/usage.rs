//! What an answer used, in the units that providers bill.

use serde::{Deserialize, Serialize};

use crate::Money;

/// Units used by one answer. A provider's streamed usage is cumulative: the last one reported wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input tokens as the provider counts them; see [`Usage::cache_in_input`].
    pub input: u64,
    /// Output tokens, with reasoning and audio in them.
    pub output: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cache_read: u64,
    /// Input tokens written to the provider's prompt cache for five minutes.
    pub cache_write_5m: u64,
    /// Input tokens written to the provider's prompt cache for one hour.
    pub cache_write_1h: u64,
    /// Output tokens spent on reasoning; part of `output`.
    pub reasoning: u64,
    /// Audio tokens that are part of `input`.
    pub audio_input: u64,
    /// Audio tokens that are part of `output`.
    pub audio_output: u64,
    /// Image tokens that are part of `input`.
    pub image_input: u64,
    /// Image tokens that are part of `output`.
    pub image_output: u64,
    /// Searches of the web that the provider ran and bills by the piece.
    pub web_searches: u64,
    /// Searches through documents, as rankings are billed.
    pub search_units: u64,
    /// Pictures that were made, as most picture models are billed.
    pub images: u64,
    /// Milliseconds of sound that were heard or made, as some speech models are billed.
    pub audio_millis: u64,
    /// Characters that were spoken, as other speech models are billed.
    pub characters: u64,
    /// Input tokens that the provider counts and does not charge, as Cohere does its own instructions; part of `input`.
    #[serde(skip_serializing_if = "is_zero")]
    pub unbilled_input: u64,
    /// Output tokens that the provider counts and does not charge; part of `output`.
    #[serde(skip_serializing_if = "is_zero")]
    pub unbilled_output: u64,
    /// Whether `input` counts the cached tokens too (OpenAI does, Anthropic does not).
    pub cache_in_input: bool,
    /// What the provider itself says it charged (OpenRouter, Perplexity).
    #[serde(skip)]
    pub reported_cost: Option<Money>,
}

impl Usage {
    /// All tokens written to the provider's prompt cache.
    pub fn cache_write(&self) -> u64 {
        self.cache_write_5m.saturating_add(self.cache_write_1h)
    }

    /// Input tokens of every kind, cached ones included.
    pub fn total_input(&self) -> u64 {
        if self.cache_in_input {
            return self.input;
        }
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write())
    }

    /// Input tokens that no cache served or took.
    pub fn uncached_input(&self) -> u64 {
        if !self.cache_in_input {
            return self.input;
        }
        self.input.saturating_sub(self.cache_read).saturating_sub(self.cache_write())
    }

    /// Everything that counts against a token limit.
    pub fn total(&self) -> u64 {
        self.total_input().saturating_add(self.output)
    }

    /// What both used together.
    #[must_use]
    pub fn plus(&self, more: &Self) -> Self {
        let (one, other) = match self.cache_in_input == more.cache_in_input {
            true => (*self, *more),
            false => (self.with_cache_in_input(), more.with_cache_in_input()),
        };
        let sum = |of: fn(&Self) -> u64| of(&one).saturating_add(of(&other));
        Self {
            input: sum(|usage| usage.input),
            output: sum(|usage| usage.output),
            cache_read: sum(|usage| usage.cache_read),
            cache_write_5m: sum(|usage| usage.cache_write_5m),
            cache_write_1h: sum(|usage| usage.cache_write_1h),
            reasoning: sum(|usage| usage.reasoning),
            audio_input: sum(|usage| usage.audio_input),
            audio_output: sum(|usage| usage.audio_output),
            image_input: sum(|usage| usage.image_input),
            image_output: sum(|usage| usage.image_output),
            web_searches: sum(|usage| usage.web_searches),
            search_units: sum(|usage| usage.search_units),
            images: sum(|usage| usage.images),
            audio_millis: sum(|usage| usage.audio_millis),
            characters: sum(|usage| usage.characters),
            unbilled_input: sum(|usage| usage.unbilled_input),
            unbilled_output: sum(|usage| usage.unbilled_output),
            cache_in_input: one.cache_in_input,
            reported_cost: one.reported_cost.zip(other.reported_cost).map(|(one, other)| one + other),
        }
    }

    fn with_cache_in_input(&self) -> Self {
        Self { input: self.total_input(), cache_in_input: true, ..*self }
    }

    /// What of it is charged. A provider that tells that apart tells it after its caches.
    pub fn billed(&self) -> Self {
        if self.unbilled_input == 0 && self.unbilled_output == 0 {
            return *self;
        }
        let input = self.total_input().saturating_sub(self.unbilled_input);
        let output = self.output.saturating_sub(self.unbilled_output);
        Self {
            input,
            output,
            cache_read: 0,
            cache_write_5m: 0,
            cache_write_1h: 0,
            image_input: self.image_input.min(input),
            reasoning: self.reasoning.min(output),
            unbilled_input: 0,
            unbilled_output: 0,
            ..*self
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_providers_count_each_in_its_own_way_is_summed_in_one() {
        let with = Usage { input: 100, output: 7, cache_read: 60, cache_in_input: true, ..Usage::default() };
        let beside = Usage { input: 40, output: 5, cache_read: 20, cache_write_5m: 3, ..Usage::default() };
        for sum in [with.plus(&beside), beside.plus(&with)] {
            assert_eq!((sum.total_input(), sum.output, sum.cache_read), (163, 12, 80));
            assert_eq!((sum.uncached_input(), sum.cache_write()), (80, 3));
        }
        assert_eq!(beside.plus(&beside).total_input(), 126);
        assert_eq!(Usage::default().plus(&with).total_input(), 100);
    }
}
