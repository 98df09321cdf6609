//! Usage as OpenAI and the compatible providers report it.

use gatewright_core::{Money, Usage};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// What is read; every count is lenient, because providers send `null`, fractions and strange types.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire<'a> {
    #[serde(deserialize_with = "count")]
    prompt_tokens: u64,
    #[serde(deserialize_with = "count")]
    completion_tokens: u64,
    #[serde(deserialize_with = "count")]
    total_tokens: u64,
    prompt_tokens_details: Option<Input>,
    completion_tokens_details: Option<Output>,
    #[serde(deserialize_with = "count")]
    reasoning_tokens: u64,
    /// DeepSeek.
    #[serde(deserialize_with = "count")]
    prompt_cache_hit_tokens: u64,
    /// Mistral.
    #[serde(deserialize_with = "count")]
    num_cached_tokens: u64,
    /// Moonshot.
    #[serde(deserialize_with = "count")]
    cached_tokens: u64,
    /// LiteLLM, for Anthropic's models.
    #[serde(deserialize_with = "count")]
    cache_read_input_tokens: u64,
    #[serde(deserialize_with = "count")]
    cache_creation_input_tokens: u64,
    /// Perplexity.
    #[serde(deserialize_with = "count")]
    num_search_queries: u64,
    server_tool_use: Option<Searches>,
    /// OpenRouter.
    server_tool_use_details: Option<Searches>,
    /// OpenRouter gives a number, Perplexity an object with a total.
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    is_byok: bool,
    #[serde(borrow)]
    cost_details: Option<CostDetails<'a>>,
    /// xAI.
    #[serde(deserialize_with = "count")]
    cost_in_usd_ticks: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Input {
    #[serde(deserialize_with = "count")]
    cached_tokens: u64,
    #[serde(deserialize_with = "count")]
    cache_write_tokens: u64,
    #[serde(deserialize_with = "count")]
    cache_creation_tokens: u64,
    cache_creation_token_details: Option<CacheWrites>,
    #[serde(deserialize_with = "count")]
    audio_tokens: u64,
    #[serde(deserialize_with = "count")]
    image_tokens: u64,
    #[serde(deserialize_with = "count")]
    web_search_requests: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CacheWrites {
    #[serde(deserialize_with = "count")]
    ephemeral_1h_input_tokens: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Output {
    #[serde(deserialize_with = "count")]
    reasoning_tokens: u64,
    #[serde(deserialize_with = "count")]
    audio_tokens: u64,
    #[serde(deserialize_with = "count")]
    image_tokens: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Searches {
    #[serde(deserialize_with = "count")]
    web_search_requests: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CostDetails<'a> {
    #[serde(borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TotalCost<'a> {
    #[serde(borrow)]
    total_cost: &'a RawValue,
}

/// Reads the `usage` object; `None` where it is none.
pub(super) fn read(raw: &[u8]) -> Option<Usage> {
    if raw.first() != Some(&b'{') {
        return None;
    }
    let wire: Wire<'_> = serde_json::from_slice(raw).ok()?;
    let input = wire.prompt_tokens_details.as_ref();
    let output = wire.completion_tokens_details.as_ref();
    let reasoning = output.map_or(0, |o| o.reasoning_tokens).max(wire.reasoning_tokens);
    let writes = input
        .map_or(0, |i| i.cache_write_tokens.max(i.cache_creation_tokens))
        .max(wire.cache_creation_input_tokens);
    let hour = input
        .and_then(|i| i.cache_creation_token_details.as_ref())
        .map_or(0, |w| w.ephemeral_1h_input_tokens)
        .min(writes);
    Some(Usage {
        input: wire.prompt_tokens,
        output: all_output(&wire, reasoning),
        cache_read: input
            .map_or(0, |i| i.cached_tokens)
            .max(wire.prompt_cache_hit_tokens)
            .max(wire.num_cached_tokens)
            .max(wire.cached_tokens)
            .max(wire.cache_read_input_tokens),
        cache_write_5m: writes - hour,
        cache_write_1h: hour,
        reasoning,
        audio_input: input.map_or(0, |i| i.audio_tokens),
        audio_output: output.map_or(0, |o| o.audio_tokens),
        image_input: input.map_or(0, |i| i.image_tokens),
        image_output: output.map_or(0, |o| o.image_tokens),
        web_searches: searches(&wire),
        cache_in_input: true,
        reported_cost: cost(&wire),
    })
}

/// Writes the `usage` object, with the names that LiteLLM adds where a cache was used.
pub(super) fn write(usage: &Usage) -> Value {
    let mut wire = Map::new();
    wire.insert("prompt_tokens".into(), usage.total_input().into());
    wire.insert("completion_tokens".into(), usage.output.into());
    wire.insert("total_tokens".into(), usage.total().into());
    let mut input = Map::new();
    input.insert("cached_tokens".into(), usage.cache_read.into());
    input.insert("audio_tokens".into(), usage.audio_input.into());
    if usage.image_input > 0 {
        input.insert("image_tokens".into(), usage.image_input.into());
    }
    if usage.cache_write() > 0 {
        input.insert("cache_creation_tokens".into(), usage.cache_write().into());
        input.insert(
            "cache_creation_token_details".into(),
            json!({
                "ephemeral_5m_input_tokens": usage.cache_write_5m,
                "ephemeral_1h_input_tokens": usage.cache_write_1h,
            }),
        );
    }
    wire.insert("prompt_tokens_details".into(), Value::Object(input));
    let mut output = Map::new();
    output.insert("reasoning_tokens".into(), usage.reasoning.into());
    output.insert("audio_tokens".into(), usage.audio_output.into());
    if usage.image_output > 0 {
        output.insert("image_tokens".into(), usage.image_output.into());
    }
    wire.insert("completion_tokens_details".into(), Value::Object(output));
    if usage.cache_read > 0 || usage.cache_write() > 0 {
        wire.insert("cache_read_input_tokens".into(), usage.cache_read.into());
        wire.insert("cache_creation_input_tokens".into(), usage.cache_write().into());
    }
    if usage.web_searches > 0 {
        wire.insert("server_tool_use".into(), json!({ "web_search_requests": usage.web_searches }));
    }
    Value::Object(wire)
}

/// xAI counts reasoning beside the completion and in the total only; everybody else counts it in the completion.
fn all_output(wire: &Wire<'_>, reasoning: u64) -> u64 {
    let apart = wire.prompt_tokens.saturating_add(wire.completion_tokens).saturating_add(reasoning);
    match reasoning > 0 && wire.total_tokens == apart {
        true => wire.completion_tokens.saturating_add(reasoning),
        false => wire.completion_tokens,
    }
}

fn searches(wire: &Wire<'_>) -> u64 {
    let of = |searches: &Option<Searches>| searches.as_ref().map_or(0, |s| s.web_search_requests);
    wire.num_search_queries
        .max(of(&wire.server_tool_use))
        .max(of(&wire.server_tool_use_details))
        .max(wire.prompt_tokens_details.as_ref().map_or(0, |i| i.web_search_requests))
}

fn cost(wire: &Wire<'_>) -> Option<Money> {
    if wire.cost_in_usd_ticks > 0 {
        // A tick is a tenth of a nano-dollar.
        return Some(Money::from_femto(u128::from(wire.cost_in_usd_ticks) * 100_000));
    }
    let raw = wire.cost?.get();
    if raw.starts_with('{') {
        let total: TotalCost<'_> = serde_json::from_str(raw).ok()?;
        return Money::parse_dollars(total.total_cost.get());
    }
    let fee = Money::parse_dollars(raw)?;
    // With the caller's own key at the provider, `cost` is OpenRouter's fee alone.
    let own = wire.is_byok.then_some(wire.cost_details.as_ref()).flatten();
    let upstream = own.and_then(|d| Money::parse_dollars(d.upstream_inference_cost?.get()));
    Some(fee + upstream.unwrap_or(Money::ZERO))
}

fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    // A float beyond the range saturates, a negative one is zero.
    Ok(value.as_u64().or_else(|| value.as_f64().map(|f| f as u64)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_s_usage_is_read() {
        let base = Usage { input: 10, output: 5, cache_in_input: true, ..Usage::default() };
        let dollars = |text| Money::parse_dollars(text);
        for (text, want) in [
            (r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#, base),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":1},
                    "completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":2}}"#,
                Usage { cache_read: 4, audio_input: 1, reasoning: 3, audio_output: 2, ..base },
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5.0,"prompt_cache_hit_tokens":8,"prompt_tokens_details":null}"#,
                Usage { cache_read: 8, ..base },
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"cost":3e-6,"is_byok":false,"prompt_tokens_details":{"cache_write_tokens":7}}"#,
                Usage { cache_write_5m: 7, reported_cost: dollars("0.000003"), ..base },
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"cost":1e-6,"is_byok":true,"cost_details":{"upstream_inference_cost":2e-6}}"#,
                Usage { reported_cost: dollars("0.000003"), ..base },
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"cost":{"total_cost":0.005},"num_search_queries":2}"#,
                Usage { reported_cost: dollars("0.005"), web_searches: 2, ..base },
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":15,"completion_tokens_details":{"reasoning_tokens":3},"cost_in_usd_ticks":1466250}"#,
                Usage { reasoning: 3, reported_cost: dollars("0.000146625"), ..base },
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"cache_creation_input_tokens":6,
                    "prompt_tokens_details":{"cache_creation_token_details":{"ephemeral_1h_input_tokens":2}}}"#,
                Usage { cache_write_5m: 4, cache_write_1h: 2, ..base },
            ),
        ] {
            assert_eq!(read(text.as_bytes()), Some(want), "{text}");
        }
        assert_eq!(read(b"null"), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let usage = Usage {
            input: 10,
            output: 5,
            cache_read: 3,
            cache_write_5m: 2,
            cache_write_1h: 1,
            reasoning: 4,
            audio_input: 1,
            audio_output: 1,
            image_input: 2,
            image_output: 3,
            web_searches: 1,
            cache_in_input: true,
            reported_cost: None,
        };
        let written = write(&usage).to_string();
        assert_eq!(read(written.as_bytes()), Some(usage), "{written}");
    }
}
