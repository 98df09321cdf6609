//! Costs against a table of cases, and the properties that every price list keeps.

use gatewright_catalogue::{Catalogue, Overrides, Prices, SearchSize, ServiceTier, Terms};
use gatewright_core::{Money, Usage};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

/// One line of `costs.jsonl`. Its `nano_dollars` were computed apart from this code, in exact fractions, from the
/// price list itself: `sum` names the prices that a person chose for each part.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    provider: String,
    model: String,
    usage: Usage,
    #[serde(default)]
    tier: String,
    #[serde(default)]
    search: String,
    at: Option<u64>,
    nano_dollars: i64,
    sum: String,
}

#[test]
fn every_case_costs_what_exact_fractions_say() {
    let cases = include_str!("costs.jsonl").lines();
    let mut count = 0;
    for case in cases.map(|line| serde_json::from_str::<Case>(line).unwrap()) {
        let prices = Catalogue::builtin().prices(&case.provider, &case.model, &Overrides::default());
        let search = match case.search.as_str() {
            "low" => SearchSize::Low,
            "high" => SearchSize::High,
            _ => SearchSize::Medium,
        };
        let terms = Terms { tier: ServiceTier::parse(&case.tier), search, at: case.at };
        let what = format!("{}/{}: {}", case.provider, case.model, case.sum);
        assert_eq!(prices.cost(&case.usage, terms), Money(case.nano_dollars), "{what}");
        let parts = prices.breakdown(&case.usage, terms);
        let sum = parts.input + parts.output + parts.tool_usage;
        assert!((sum.0 - case.nano_dollars).abs() <= 1, "{what}: {parts:?}");
        count += 1;
    }
    assert!(count >= 30);
}

#[test]
fn the_parts_of_a_cost_are_told_apart() {
    let prices = Catalogue::builtin().prices("anthropic", "claude-sonnet-4-6", &Overrides::default());
    let usage = Usage {
        input: 10,
        output: 20,
        cache_read: 1000,
        cache_write_5m: 100,
        cache_write_1h: 10,
        reasoning: 5,
        web_searches: 1,
        ..Usage::default()
    };
    let parts = prices.breakdown(&usage, Terms::default());
    assert_eq!(parts.cache_read, Money(300_000));
    assert_eq!(parts.cache_creation, Money(375_000 + 60_000));
    assert_eq!(parts.input, Money(30_000 + 300_000 + 435_000));
    assert_eq!(parts.reasoning, Money(75_000));
    assert_eq!(parts.output, Money(300_000));
    assert_eq!(parts.tool_usage, Money(10_000_000));
    assert_eq!(parts.total, parts.input + parts.output + parts.tool_usage);
}

#[test]
fn what_a_provider_reports_counts_only_where_it_bills_so_and_the_operator_names_no_price() {
    let usage = Usage { input: 5, output: 2, reported_cost: Some(Money(123)), ..Usage::default() };
    let own = json!({"input_cost_per_token": "1e-6", "output_cost_per_token": 2e-6});
    let own = Overrides::read(&[own.as_object().unwrap()]).unwrap();
    for (provider, model, overrides, expected) in [
        ("openrouter", "openai/gpt-4o", Overrides::default(), 123),
        ("perplexity", "sonar", Overrides::default(), 123),
        ("openai", "gpt-4o", Overrides::default(), 32_500),
        ("openrouter", "openai/gpt-4o", own, 9_000),
    ] {
        let prices = Catalogue::builtin().prices(provider, model, &overrides);
        assert_eq!(prices.cost(&usage, Terms::default()), Money(expected), "{provider}/{model}");
    }
}

#[test]
fn an_operators_prices_replace_the_tables_field_by_field() {
    let usage = Usage { input: 1000, output: 100, cache_read: 400, cache_in_input: true, ..Usage::default() };
    let cost = |provider: &str, model: &str, config: serde_json::Value| {
        let overrides = Overrides::read(&[config.as_object().unwrap()]).unwrap();
        Catalogue::builtin().prices(provider, model, &overrides).cost(&usage, Terms::default())
    };
    // 600 · 1e-6 + 400 · 1.25e-6 + 100 · 1e-5
    assert_eq!(cost("openai", "gpt-4o", json!({"input_cost_per_token": 1e-6})), Money(2_100_000));
    assert_eq!(cost("azure", "my-deployment", json!({"base_model": "azure/gpt-4o"})), Money(3_000_000));
    assert_eq!(cost("openai_like", "mine", json!({"base_model": "gpt-4o"})), Money(3_000_000));
    assert_eq!(cost("openai_like", "gpt-4o", json!({})), Money::ZERO);
    assert_eq!(cost("openai_like", "mine", json!({"output_cost_per_token": 1e-5})), Money(1_000_000));
    let tiers = json!({"tiered_pricing": [
        {"range": [0, 500], "input_cost_per_token": 1e-6},
        {"range": [500, 2000], "input_cost_per_token": 2e-6, "output_cost_per_token": 3e-6},
    ]});
    assert_eq!(cost("openai_like", "mine", tiers), Money(2_300_000));
}

#[test]
fn an_operators_price_for_input_or_output_holds_for_long_requests_classes_and_thinking_too() {
    let both = json!({"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6});
    let usage = Usage { input: 300_000, output: 100, reasoning: 60, ..Usage::default() };
    let terms = Terms { tier: ServiceTier::Priority, ..Terms::default() };
    // Thinking has a price of its own in the first's list, long requests in the second's, steps in the third's.
    for (provider, model) in
        [("gemini", "gemini-2.5-flash"), ("gemini", "gemini-2.5-pro"), ("dashscope", "qwen-flash")]
    {
        let cost = |config: serde_json::Value| {
            let overrides = Overrides::read(&[config.as_object().unwrap()]).unwrap();
            Catalogue::builtin().prices(provider, model, &overrides).cost(&usage, terms)
        };
        assert_ne!(cost(json!({})), Money(300_200_000), "{model}");
        assert_eq!(cost(both.clone()), Money(300_200_000), "{model}");
        let mut thinking = both.clone();
        thinking["output_cost_per_reasoning_token"] = json!(5e-6);
        assert_eq!(cost(thinking), Money(300_380_000), "{model}");
    }
}

#[test]
fn an_operators_price_of_a_picture_is_not_that_of_its_tokens() {
    let usage = Usage { input: 10, output: 1290, image_output: 1290, images: 1, ..Usage::default() };
    let cost = |config: serde_json::Value| {
        let overrides = Overrides::read(&[config.as_object().unwrap()]).unwrap();
        Catalogue::builtin()
            .prices("gemini", "gemini-2.5-flash-image", &overrides)
            .cost(&usage, Terms::default())
    };
    // 10 tokens of the request at $0.30 a million, and 1,290 of the picture at $30.
    assert_eq!(cost(json!({})), Money(3_000 + 38_700_000));
    assert_eq!(cost(json!({"output_cost_per_image": 0.02})), Money(3_000 + 20_000_000));
    let both = json!({"output_cost_per_image": 0.02, "output_cost_per_image_token": 1e-5});
    assert_eq!(cost(both), Money(3_000 + 12_900_000));
}

#[test]
fn a_price_that_cannot_be_read_is_told() {
    let config = json!({"input_cost_per_token": "cheap", "output_cost_per_token": -1, "temperature": "warm"});
    let faults = Overrides::read(&[config.as_object().unwrap()]).unwrap_err();
    let fields: Vec<&str> = faults.iter().map(|fault| &*fault.field).collect();
    assert_eq!(fields, ["input_cost_per_token", "output_cost_per_token"]);
}

fn priced() -> impl Strategy<Value = Prices> {
    let names: Vec<(&str, &str)> = vec![
        ("openai", "gpt-4o"),
        ("openai", "gpt-audio"),
        ("anthropic", "claude-sonnet-4-5"),
        ("gemini", "gemini-2.5-pro"),
        ("xai", "grok-4.3"),
        ("dashscope", "qwen3-coder-flash"),
        ("perplexity", "sonar-deep-research"),
        ("openai", "gpt-6-sol"),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ];
    let prices =
        |(provider, model): (&str, &str)| Catalogue::builtin().prices(provider, model, &Overrides::default());
    prop::sample::select(names).prop_map(prices)
}

fn used() -> impl Strategy<Value = Usage> {
    let counts = prop::array::uniform8(0u64..60_000);
    (counts, 0u64..4, any::<bool>()).prop_map(
        |([input, output, read, m5, h1, think, hear, speak], searches, within)| {
            // Counts as a provider reports them: parts never exceed what they are part of.
            let cached = if within { read + m5 + h1 } else { 0 };
            Usage {
                input: input + hear + cached,
                output: output + think + speak,
                cache_read: read,
                cache_write_5m: m5,
                cache_write_1h: h1,
                reasoning: think,
                audio_input: hear,
                audio_output: speak,
                web_searches: searches,
                cache_in_input: within,
                ..Usage::default()
            }
        },
    )
}

fn tier() -> impl Strategy<Value = Terms> {
    let tiers = vec![ServiceTier::Standard, ServiceTier::Flex, ServiceTier::Priority, ServiceTier::Batch];
    prop::sample::select(tiers).prop_map(|tier| Terms { tier, ..Terms::default() })
}

proptest! {
    #[test]
    fn more_of_anything_never_costs_less(prices in priced(), usage in used(), terms in tier(), more in 1u64..50_000) {
        let cost = prices.femto(&usage, terms);
        for grown in [
            Usage { input: usage.input + more, ..usage },
            Usage { output: usage.output + more, ..usage },
            Usage { web_searches: usage.web_searches + more, ..usage },
            Usage { output: usage.output + more, reasoning: usage.reasoning + more, ..usage },
        ] {
            prop_assert!(prices.femto(&grown, terms) >= cost, "{grown:?}");
        }
    }

    #[test]
    fn two_answers_cost_what_each_costs_where_no_threshold_lies_between(a in used(), b in used(), terms in tier()) {
        let b = Usage { cache_in_input: a.cache_in_input, ..b };
        let b = match (a.cache_in_input, b.uncached_input() < b.audio_input) {
            (true, true) => Usage { input: b.input + b.cache_read + b.cache_write() + b.audio_input, ..b },
            _ => b,
        };
        let both = Usage {
            input: a.input + b.input,
            output: a.output + b.output,
            cache_read: a.cache_read + b.cache_read,
            cache_write_5m: a.cache_write_5m + b.cache_write_5m,
            cache_write_1h: a.cache_write_1h + b.cache_write_1h,
            reasoning: a.reasoning + b.reasoning,
            audio_input: a.audio_input + b.audio_input,
            audio_output: a.audio_output + b.audio_output,
            web_searches: a.web_searches + b.web_searches,
            ..a
        };
        for (provider, model) in [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-audio")] {
            let prices = Catalogue::builtin().prices(provider, model, &Overrides::default());
            prop_assert_eq!(prices.femto(&both, terms), prices.femto(&a, terms) + prices.femto(&b, terms));
        }
    }

    #[test]
    fn no_answer_costs_more_than_the_bound(prices in priced(), usage in used(), terms in tier()) {
        let usage = Usage { web_searches: 0, ..usage };
        let bound = prices.upper_bound(usage.total_input(), usage.output);
        prop_assert!(prices.cost(&usage, terms) <= bound, "{usage:?}");
    }
}
