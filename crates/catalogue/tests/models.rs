//! Models by their names, and what encoders are told of them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use gatewright_catalogue::{Catalogue, Overrides};
use gatewright_core::ReasoningControl::{self, Adaptive, Budget, Effort, None as Never};
use serde_json::json;

#[test]
fn every_model_of_the_table_is_found_by_its_own_name() {
    let catalogue = Catalogue::builtin();
    let mut count = 0;
    for row in catalogue.models() {
        let found = catalogue.base_model("", &row.name);
        assert_eq!(found.as_ref(), Some(&row), "{}", row.name);
        count += 1;
    }
    assert_eq!(count, 4551);
}

#[test]
fn a_model_is_found_under_the_names_that_configs_use() {
    for (provider, name, expected) in [
        ("openai", "gpt-4o", Some("gpt-4o")),
        ("anthropic", "claude-sonnet-4-5", Some("claude-sonnet-4-5")),
        ("mistral", "mistral-large-latest", Some("mistral/mistral-large-latest")),
        ("azure", "gpt-4o", Some("azure/gpt-4o")),
        ("azure", "eu/gpt-4o", Some("azure/eu/gpt-4o")),
        // A region or a date that the table does not list falls back to what it lists.
        ("azure", "jp.gpt-4o", Some("azure/gpt-4o")),
        ("openai", "gpt-4o-2031-01-31", Some("gpt-4o")),
        ("anthropic", "claude-sonnet-4-6-20310131", Some("claude-sonnet-4-6")),
        ("anthropic", "claude-sonnet-4-6-latest", Some("claude-sonnet-4-6")),
        ("vertex_ai", "claude-sonnet-4-5@20310131", Some("vertex_ai/claude-sonnet-4-5")),
        ("vertex_ai", "gemini-2.5-pro", Some("gemini-2.5-pro")),
        (
            "bedrock",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            Some("anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ),
        (
            "bedrock",
            "arn:aws:bedrock:us-west-2::foundation-model/cohere.rerank-v3-5:0",
            Some("cohere.rerank-v3-5:0"),
        ),
        (
            "bedrock",
            "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0",
            Some("eu.amazon.nova-pro-v1:0"),
        ),
        (
            "bedrock",
            "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/amazon.nova-pro-v1:0",
            None,
        ),
        ("together", "openai/gpt-oss-120b", Some("together_ai/openai/gpt-oss-120b")),
        ("ollama_chat", "gpt-4o", None),
        // Another provider's model of the same name costs something else.
        ("hosted_vllm", "gpt-4o", None),
        ("anthropic", "gpt-4o", None),
        ("openai", "", None),
        ("openai", "-20310131", None),
    ] {
        let found = Catalogue::builtin().model(provider, name);
        assert_eq!(found.as_ref().map(|row| row.name.as_str()), expected, "{provider}/{name}");
    }
}

#[test]
fn a_date_is_not_cut_from_inside_a_name() {
    for name in ["gpt-4o-1234567", "gpt-4o-12-01-31", "gpt-4o20310131", "gpt-4o-2031-01-3é"] {
        assert_eq!(Catalogue::builtin().model("openai", name), None, "{name}");
    }
}

#[test]
fn a_wildcard_expands_to_the_chat_models_of_its_provider() {
    let catalogue = Catalogue::builtin();
    for (provider, some, none) in [
        ("openai", "gpt-4o", "text-embedding-3-small"),
        ("anthropic", "claude-sonnet-4-5", "gpt-4o"),
        ("mistral", "mistral-large-latest", "mistral/mistral-large-latest"),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "gpt-4o"),
        ("vertex_ai", "gemini-2.5-pro", "gpt-4o"),
        ("azure", "gpt-4o", "grok-4.3"),
    ] {
        let models = catalogue.models_of(provider, "chat");
        assert!(models.iter().any(|model| model == some), "{provider}: {models:?}");
        assert!(models.iter().all(|model| model != none), "{provider}");
        assert!(models.is_sorted());
    }
    assert!(catalogue.models_of("nobody", "chat").is_empty());
}

#[test]
fn encoders_are_told_how_a_model_thinks_and_whether_it_takes_schemas() {
    check("anthropic", "claude-opus-4-6", json!({}), (Adaptive, true, Some(128_000)));
    check("anthropic", "claude-sonnet-4-5", json!({}), (Budget, true, Some(64_000)));
    check("anthropic", "claude-haiku-4-5-20251001", json!({}), (Budget, true, Some(64_000)));
    check("anthropic", "claude-opus-4-5", json!({}), (Budget, true, Some(64_000)));
    // Not in the table: retired, or newer than it.
    check("anthropic", "claude-3-opus-20240229", json!({}), (Never, false, Some(4_096)));
    check("anthropic", "claude-3-5-haiku-20241022", json!({}), (Never, false, Some(8_192)));
    check("anthropic", "claude-3-7-sonnet-20250219", json!({}), (Budget, false, Some(64_000)));
    check("anthropic", "claude-opus-4-1-20250805", json!({}), (Budget, true, Some(32_000)));
    check("anthropic", "claude-opus-4-20250514", json!({}), (Budget, false, Some(32_000)));
    check("anthropic", "claude-opus-9", json!({}), (Adaptive, true, Some(64_000)));
    check("anthropic", "somebody-elses", json!({}), (Never, false, None));
    check("openai", "gpt-4o", json!({}), (Never, true, Some(16_384)));
    check("openai", "gpt-5", json!({}), (Effort, true, Some(128_000)));
    check("openai", "gpt-4", json!({}), (Never, false, Some(4_096)));
    check("openai", "o1-mini", json!({}), (Never, true, Some(65_536)));
    check("groq", "openai/gpt-oss-120b", json!({}), (Effort, true, Some(65_536)));
    check("groq", "llama-3.3-70b-versatile", json!({}), (Never, false, None));
    check("openrouter", "anthropic/claude-haiku-4.5", json!({}), (Effort, true, Some(64_000)));
    check("hosted_vllm", "my-model", json!({}), (Effort, true, None));
    check("deepseek", "deepseek-v9", json!({}), (Effort, true, None));
    check("xai", "grok-code-fast-1", json!({}), (Never, true, Some(256_000)));
    // What the operator says wins.
    check("openai", "gpt-4o", json!({"supports_reasoning": true}), (Effort, true, Some(16_384)));
    check("openai", "gpt-5", json!({"supports_reasoning": false}), (Never, true, Some(128_000)));
    check("openai", "gpt-4o", json!({"max_output_tokens": 5}), (Never, true, Some(5)));
    check("anthropic", "my-proxy", json!({"base_model": "claude-opus-4-6"}), (Adaptive, true, Some(128_000)));
}

#[test]
fn documents_are_opened_by_their_address_where_the_row_says_so() {
    let catalogue = Catalogue::builtin();
    for (provider, model, links) in [
        ("openrouter", "anthropic/claude-sonnet-4.5", true),
        ("openai", "gpt-4o", false),
        ("mistral", "new", false),
    ] {
        let row = catalogue.provider(provider).unwrap();
        assert_eq!(catalogue.facts(row, model, &Overrides::default()).document_links, links, "{provider}");
    }
}

fn check(
    provider: &str,
    model: &str,
    config: serde_json::Value,
    expected: (ReasoningControl, bool, Option<u64>),
) {
    let catalogue = Catalogue::builtin();
    let overrides = Overrides::read(&[config.as_object().unwrap()]).unwrap();
    let facts = catalogue.facts(catalogue.provider(provider).unwrap(), model, &overrides);
    let told = (facts.reasoning, facts.structured_output, facts.max_output);
    assert_eq!(told, expected, "{provider}/{model} {config}");
    assert_eq!(&*facts.name, model);
}
