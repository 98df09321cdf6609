//! The fields of price lists: `input_cost_per_token_above_200k_tokens_priority`.

use std::borrow::Cow;

/// What a rate is charged for: the units of [`gatewright_core::Usage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is named as the unit in `Usage`, or as its field in price lists")]
pub enum Meter {
    Input,
    Output,
    CacheRead,
    CacheWrite5m,
    CacheWrite1h,
    Reasoning,
    AudioInput,
    AudioOutput,
    ImageInput,
    ImageOutput,
    SearchLow,
    SearchMedium,
    SearchHigh,
    SearchUnits,
    Images,
    ImagesAsked,
    SecondsHeard,
    SecondsMade,
    Characters,
}

/// The class of service, which providers price differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServiceTier {
    /// The usual one.
    #[default]
    Standard,
    /// Later, in a batch.
    Batch,
    /// Slower.
    Flex,
    /// Faster.
    Priority,
    /// Between flex and standard.
    Balanced,
    /// Faster than priority.
    Ultrafast,
}

/// The field of a price list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PriceField {
    /// One that costs are computed with.
    Rate {
        /// What it is charged for.
        meter: Meter,
        /// The class of service that it holds for.
        tier: ServiceTier,
        /// The input, in tokens, beyond which it holds; zero for the usual price.
        over: u64,
    },
    /// One that is kept by its name.
    Other(Cow<'static, str>),
}

/// The fields that costs are computed with, without class and threshold.
pub(crate) const METERS: &[(&str, Meter)] = &[
    ("input_cost_per_token", Meter::Input),
    ("output_cost_per_token", Meter::Output),
    ("cache_read_input_token_cost", Meter::CacheRead),
    ("cache_creation_input_token_cost", Meter::CacheWrite5m),
    ("cache_creation_input_token_cost_above_1hr", Meter::CacheWrite1h),
    ("output_cost_per_reasoning_token", Meter::Reasoning),
    ("input_cost_per_audio_token", Meter::AudioInput),
    ("output_cost_per_audio_token", Meter::AudioOutput),
    ("input_cost_per_image_token", Meter::ImageInput),
    ("output_cost_per_image_token", Meter::ImageOutput),
    ("input_cost_per_query", Meter::SearchUnits),
    ("output_cost_per_image", Meter::Images),
    ("input_cost_per_image", Meter::ImagesAsked),
    ("input_cost_per_second", Meter::SecondsHeard),
    ("output_cost_per_second", Meter::SecondsMade),
    ("input_cost_per_character", Meter::Characters),
    ("search_context_cost_per_query.search_context_size_low", Meter::SearchLow),
    ("search_context_cost_per_query.search_context_size_medium", Meter::SearchMedium),
    ("search_context_cost_per_query.search_context_size_high", Meter::SearchHigh),
];

const TIERS: &[(&str, ServiceTier)] = &[
    ("_batches", ServiceTier::Batch),
    ("_flex", ServiceTier::Flex),
    ("_priority", ServiceTier::Priority),
    ("_balanced", ServiceTier::Balanced),
    ("_ultrafast", ServiceTier::Ultrafast),
];

// === impl PriceField ===

impl PriceField {
    /// Reads a field's name.
    pub fn parse(name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        match Self::parse_ref(&name) {
            Some((meter, tier, over)) => Self::Rate { meter, tier, over },
            None => Self::Other(name),
        }
    }

    pub(crate) fn parse_ref(name: &str) -> Option<(Meter, ServiceTier, u64)> {
        let tiered = TIERS.iter().find_map(|(suffix, tier)| Some((name.strip_suffix(suffix)?, *tier)));
        let (name, tier) = tiered.unwrap_or((name, ServiceTier::Standard));
        let (base, over) = threshold(name).unwrap_or((name, 0));
        let (_, meter) = METERS.iter().find(|(meter, _)| *meter == base)?;
        Some((*meter, tier, over))
    }
}

/// Whether a field is a price by its name: price lists grow, so no list is kept here.
pub(crate) fn is_price(field: &str) -> bool {
    ["cost_per_", "cache_creation_input_", "cache_read_input_"].iter().any(|part| field.contains(part))
}

// === impl ServiceTier ===

impl ServiceTier {
    /// Reads the word of a request or an answer (`flex`, `priority`, `fast`); unknown ones are standard.
    pub fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "batch" | "batches" => Self::Batch,
            "flex" => Self::Flex,
            "priority" | "fast" => Self::Priority,
            "balanced" => Self::Balanced,
            "ultrafast" => Self::Ultrafast,
            _ => Self::Standard,
        }
    }
}

/// Splits `…_above_200k_tokens` into the name before it and the tokens.
fn threshold(name: &str) -> Option<(&str, u64)> {
    let (base, count) = name.strip_suffix("_tokens")?.rsplit_once("_above_")?;
    let tokens = match count.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000)?,
        None => count.parse().ok()?,
    };
    Some((base, tokens))
}

/// The name of a rate in price lists.
pub(crate) fn name(meter: Meter, tier: ServiceTier, over: u64) -> String {
    let base = METERS.iter().find(|(_, m)| *m == meter).map_or("", |(name, _)| name);
    let suffix = TIERS.iter().find(|(_, t)| *t == tier).map_or("", |(suffix, _)| suffix);
    match over {
        0 => format!("{base}{suffix}"),
        _ if over.is_multiple_of(1000) => format!("{base}_above_{}k_tokens{suffix}", over / 1000),
        _ => format!("{base}_above_{over}_tokens{suffix}"),
    }
}
