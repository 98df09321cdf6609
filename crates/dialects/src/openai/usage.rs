//! Usage as OpenAI and the compatible providers report it.

use gatewright_core::{Money, Usage};
use serde::Serialize;

use crate::scan::Scanner;

/// What is read of the forms that providers give it.
#[derive(Default)]
struct Wire<'a> {
    prompt: u64,
    completion: u64,
    total: u64,
    reasoning: u64,
    cached: u64,
    written: u64,
    written_1h: u64,
    audio_input: u64,
    audio_output: u64,
    image_input: u64,
    image_output: u64,
    searches: u64,
    cost: Option<&'a [u8]>,
    is_byok: bool,
    upstream_cost: Option<&'a [u8]>,
    usd_ticks: u64,
}

/// `usage` as a client gets it.
#[derive(Serialize)]
pub(super) struct Written {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: Input,
    completion_tokens_details: Output,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_tool_use: Option<Tools>,
}

#[derive(Serialize)]
struct Input {
    cached_tokens: u64,
    audio_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation_token_details: Option<Caching>,
}

#[derive(Serialize)]
struct Caching {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize)]
struct Output {
    reasoning_tokens: u64,
    audio_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_tokens: Option<u64>,
}

#[derive(Serialize)]
struct Tools {
    web_search_requests: u64,
}

// === impl Wire ===

impl<'a> Wire<'a> {
    /// Where several names stand for one number, the largest counts.
    fn field(&mut self, s: &mut Scanner<'a>, key: &[u8]) -> Option<()> {
        let slot = match key {
            b"prompt_tokens" | b"input_tokens" => &mut self.prompt,
            b"completion_tokens" | b"output_tokens" => &mut self.completion,
            b"total_tokens" => &mut self.total,
            b"reasoning_tokens" => &mut self.reasoning,
            // DeepSeek, Mistral, Moonshot; then LiteLLM, for Anthropic's models.
            b"prompt_cache_hit_tokens" | b"num_cached_tokens" | b"cached_tokens" => &mut self.cached,
            b"cache_read_input_tokens" => &mut self.cached,
            b"cache_creation_input_tokens" => &mut self.written,
            // Perplexity.
            b"num_search_queries" => &mut self.searches,
            // xAI.
            b"cost_in_usd_ticks" => &mut self.usd_ticks,
            b"prompt_tokens_details" | b"input_tokens_details" => {
                return within(s, |s, key| self.input(s, key));
            }
            b"completion_tokens_details" | b"output_tokens_details" => {
                return within(s, |s, key| self.output(s, key));
            }
            // The latter is OpenRouter's.
            b"server_tool_use" | b"server_tool_use_details" => return within(s, |s, key| self.tools(s, key)),
            // OpenRouter gives a number, Perplexity an object with a total.
            b"cost" => {
                self.cost = Some(raw(s)?);
                return Some(());
            }
            b"is_byok" => {
                self.is_byok = raw(s)? == b"true";
                return Some(());
            }
            b"cost_details" => return within(s, |s, key| self.cost_detail(s, key)),
            _ => return Some(()),
        };
        *slot = count(raw(s)?).max(*slot);
        Some(())
    }

    fn input(&mut self, s: &mut Scanner<'a>, key: &[u8]) -> Option<()> {
        let slot = match key {
            b"cached_tokens" => &mut self.cached,
            b"cache_write_tokens" | b"cache_creation_tokens" => &mut self.written,
            b"audio_tokens" => &mut self.audio_input,
            b"image_tokens" => &mut self.image_input,
            b"web_search_requests" => &mut self.searches,
            b"cache_creation_token_details" => {
                return within(s, |s, key| {
                    if key == b"ephemeral_1h_input_tokens" {
                        self.written_1h = count(raw(s)?);
                    }
                    Some(())
                });
            }
            _ => return Some(()),
        };
        *slot = count(raw(s)?).max(*slot);
        Some(())
    }

    fn output(&mut self, s: &mut Scanner<'a>, key: &[u8]) -> Option<()> {
        let slot = match key {
            b"reasoning_tokens" => &mut self.reasoning,
            b"audio_tokens" => &mut self.audio_output,
            b"image_tokens" => &mut self.image_output,
            _ => return Some(()),
        };
        *slot = count(raw(s)?).max(*slot);
        Some(())
    }

    fn tools(&mut self, s: &mut Scanner<'a>, key: &[u8]) -> Option<()> {
        if key == b"web_search_requests" {
            self.searches = count(raw(s)?).max(self.searches);
        }
        Some(())
    }

    fn cost_detail(&mut self, s: &mut Scanner<'a>, key: &[u8]) -> Option<()> {
        if key == b"upstream_inference_cost" {
            self.upstream_cost = Some(raw(s)?);
        }
        Some(())
    }

    /// xAI counts reasoning beside the completion and in the total only; everybody else counts it in the completion.
    fn all_output(&self) -> u64 {
        let apart = self.prompt.saturating_add(self.completion).saturating_add(self.reasoning);
        match self.reasoning > 0 && self.total == apart {
            true => self.completion.saturating_add(self.reasoning),
            false => self.completion,
        }
    }

    fn reported_cost(&self) -> Option<Money> {
        if self.usd_ticks > 0 {
            // A tick is a tenth of a nano-dollar.
            return Some(Money::from_femto(u128::from(self.usd_ticks) * 100_000));
        }
        let cost = self.cost?;
        if cost.starts_with(b"{") {
            let mut total = None;
            within(&mut Scanner::new(cost), |s, key| {
                if key == b"total_cost" {
                    total = dollars(raw(s)?);
                }
                Some(())
            })?;
            return total;
        }
        let fee = dollars(cost)?;
        // With the caller's own key at the provider, `cost` is OpenRouter's fee alone.
        let upstream = self.upstream_cost.filter(|_| self.is_byok).and_then(dollars);
        Some(fee + upstream.unwrap_or(Money::ZERO))
    }
}

/// Reads the `usage` object; `None` where it is none.
pub(super) fn read(text: &[u8]) -> Option<Usage> {
    if text.first() != Some(&b'{') {
        return None;
    }
    let mut wire = Wire::default();
    Scanner::new(text).object(|s, field| wire.field(s, field.key))?;
    let hour = wire.written_1h.min(wire.written);
    Some(Usage {
        input: wire.prompt,
        output: wire.all_output(),
        cache_read: wire.cached,
        cache_write_5m: wire.written - hour,
        cache_write_1h: hour,
        reasoning: wire.reasoning,
        audio_input: wire.audio_input,
        audio_output: wire.audio_output,
        image_input: wire.image_input,
        image_output: wire.image_output,
        web_searches: wire.searches,
        cache_in_input: true,
        reported_cost: wire.reported_cost(),
        ..Usage::default()
    })
}

/// The `usage` object, with the names that LiteLLM adds where a cache was used or Anthropic counted.
pub(super) fn written(usage: &Usage) -> Written {
    let caches = !usage.cache_in_input || usage.cache_read > 0 || usage.cache_write() > 0;
    Written {
        prompt_tokens: usage.total_input(),
        completion_tokens: usage.output,
        total_tokens: usage.total(),
        prompt_tokens_details: Input {
            cached_tokens: usage.cache_read,
            audio_tokens: usage.audio_input,
            image_tokens: some(usage.image_input),
            cache_creation_tokens: some(usage.cache_write()),
            cache_creation_token_details: some(usage.cache_write()).map(|_| Caching {
                ephemeral_5m_input_tokens: usage.cache_write_5m,
                ephemeral_1h_input_tokens: usage.cache_write_1h,
            }),
        },
        completion_tokens_details: Output {
            reasoning_tokens: usage.reasoning,
            audio_tokens: usage.audio_output,
            image_tokens: some(usage.image_output),
        },
        cache_read_input_tokens: caches.then_some(usage.cache_read),
        cache_creation_input_tokens: caches.then_some(usage.cache_write()),
        server_tool_use: some(usage.web_searches).map(|web_search_requests| Tools { web_search_requests }),
    }
}

fn some(count: u64) -> Option<u64> {
    (count > 0).then_some(count)
}

/// Visits an object's fields; anything else is passed.
fn within<'a>(
    s: &mut Scanner<'a>,
    mut visit: impl FnMut(&mut Scanner<'a>, &[u8]) -> Option<()>,
) -> Option<()> {
    match s.peek()? {
        b'{' => s.object(|s, field| visit(s, field.key)),
        _ => Some(()),
    }
}

fn raw<'a>(s: &mut Scanner<'a>) -> Option<&'a [u8]> {
    let range = s.skip()?;
    Some(s.slice(&range))
}

/// Lenient, because providers send `null`, fractions and strange types; what is negative is zero.
fn count(raw: &[u8]) -> u64 {
    if !raw.first().is_some_and(u8::is_ascii_digit) {
        return 0;
    }
    let text = std::str::from_utf8(raw).unwrap_or_default();
    // A float beyond the range saturates.
    text.parse().or_else(|_| text.parse::<f64>().map(|float| float as u64)).unwrap_or_default()
}

fn dollars(raw: &[u8]) -> Option<Money> {
    Money::parse_dollars(std::str::from_utf8(raw).ok()?)
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
            ..Usage::default()
        };
        let written = serde_json::to_string(&written(&usage)).unwrap();
        assert_eq!(read(written.as_bytes()), Some(usage), "{written}");
    }
}
