//! Providers by their names, and the rows themselves.

use gatewright_catalogue::{Auth, Catalogue, Overrides, ProviderRef, ProviderRow, Quirk, StreamUsage};
use gatewright_core::{Dialect, Operation};

#[test]
fn a_model_is_split_into_its_provider_and_the_name_there() {
    for (model, custom, expected) in [
        ("openai/gpt-4o", None, Some(("openai", "gpt-4o"))),
        ("openrouter/anthropic/claude-haiku-4.5", None, Some(("openrouter", "anthropic/claude-haiku-4.5"))),
        ("together/Qwen/Qwen2.5", None, Some(("together_ai", "Qwen/Qwen2.5"))),
        ("azure/foo", None, Some(("azure", "foo"))),
        ("gpt-4o", None, Some(("openai", "gpt-4o"))),
        ("gpt-77-turbo", None, Some(("openai", "gpt-77-turbo"))),
        ("ft:gpt-4o-mini:acme::1", None, Some(("openai", "ft:gpt-4o-mini:acme::1"))),
        ("claude-opus-4-6", None, Some(("anthropic", "claude-opus-4-6"))),
        ("claude-next", None, Some(("anthropic", "claude-next"))),
        ("gemini-2.5-pro", None, Some(("vertex_ai", "gemini-2.5-pro"))),
        (
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            None,
            Some(("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0")),
        ),
        ("command-r-plus-08-2024", None, Some(("cohere_chat", "command-r-plus-08-2024"))),
        ("Qwen/Qwen2.5", Some("hosted_vllm"), Some(("hosted_vllm", "Qwen/Qwen2.5"))),
        ("hosted_vllm/Qwen/Qwen2.5", Some("hosted_vllm"), Some(("hosted_vllm", "Qwen/Qwen2.5"))),
        ("gpt-4o", Some(""), Some(("openai", "gpt-4o"))),
        ("gpt-4o", Some("nobody"), None),
        ("nobody/gpt-4o", None, None),
        ("my-model", None, None),
        ("", None, None),
    ] {
        let split = Catalogue::builtin().split(model, custom).ok();
        assert_eq!(split.map(|(provider, name)| (provider.name(), name)), expected, "{model} {custom:?}");
    }
}

#[test]
fn a_models_name_says_what_it_is_asked_in() {
    let catalogue = Catalogue::builtin();
    for (provider, model, dialect, bare) in [
        ("openai", "gpt-4o", Dialect::OpenAiChat, "gpt-4o"),
        ("openai", "responses/gpt-4o", Dialect::OpenAiResponses, "gpt-4o"),
        // The table knows it for that API alone.
        ("openai", "o1-pro", Dialect::OpenAiResponses, "o1-pro"),
        ("openai", "gpt-3.5-turbo-instruct", Dialect::OpenAiCompletions, "gpt-3.5-turbo-instruct"),
        ("text-completion-openai", "davinci-002", Dialect::OpenAiCompletions, "davinci-002"),
        ("groq", "o1-pro", Dialect::OpenAiChat, "o1-pro"),
    ] {
        let row = catalogue.provider(provider).unwrap();
        let told = (catalogue.dialect(row, model, &Overrides::default()), row.bare(model));
        assert_eq!(told, (dialect, bare), "{provider}/{model}");
    }
    let mode = Overrides { mode: Some("responses".to_owned()), ..Overrides::default() };
    let row = catalogue.provider("openai").unwrap();
    assert_eq!(catalogue.dialect(row, "gpt-4o", &mode), Dialect::OpenAiResponses, "the operator says so");
    let [plain, spelled] = ["gpt-4o", "responses/gpt-4o"].map(|name| catalogue.model("openai", name));
    assert_eq!(plain, spelled, "and it is the same model");
}

#[test]
fn a_provider_without_a_row_is_known_by_its_name_alone() {
    let catalogue = Catalogue::builtin();
    assert_eq!(catalogue.named("petals"), Some(ProviderRef::Known("petals")));
    assert_eq!(catalogue.named("chatgpt").and_then(ProviderRef::row), None);
    assert_eq!(catalogue.named("nobody"), None);
    assert!(catalogue.named("openai").and_then(ProviderRef::row).is_some());
}

#[test]
fn a_provider_is_told_by_the_host_of_its_url() {
    for (url, expected) in [
        ("https://api.groq.com/openai/v1", Some("groq")),
        ("https://api.groq.com/anything?x=1", Some("groq")),
        ("https://groq.example.com/openai/v1", None),
        ("http://localhost:11434/v1", None),
        ("api.groq.com", None),
    ] {
        assert_eq!(Catalogue::builtin().provider_at(url).map(|row| &*row.id), expected, "{url}");
    }
}

#[test]
fn every_row_can_be_called_or_says_what_it_needs() {
    let catalogue = Catalogue::builtin();
    assert!(catalogue.providers().len() >= 17);
    for row in catalogue.providers() {
        assert!(
            matches!(catalogue.named(&row.id), Some(ProviderRef::Row(found)) if found.id == row.id),
            "{}",
            row.id
        );
        assert!(row.base_url.is_some() || !row.base_env.is_empty(), "{}", row.id);
        let by_account = matches!(row.auth, Auth::Google | Auth::Aws(_));
        assert!(!row.key_env.is_empty() || by_account || row.token.is_some(), "{}", row.id);
        let base = row.base_url.as_deref().unwrap_or("http://somewhere");
        assert!(base.starts_with("http") && !base.ends_with('/'), "{base}");
        let ask = row.quirks.iter().filter(|quirk| matches!(quirk, Quirk::StreamUsage(_))).count();
        assert!(ask <= 1, "{} says twice how usage is had", row.id);
    }
}

#[test]
fn older_names_of_a_provider_are_its_own() {
    let catalogue = Catalogue::builtin();
    for (model, provider, name) in [
        ("vertex_ai_beta/gemini-2.5-pro", "vertex_ai", "gemini-2.5-pro"),
        ("anthropic_text/claude-2.1", "anthropic", "claude-2.1"),
    ] {
        let split = catalogue.split(model, None).unwrap();
        assert_eq!((split.0.name(), split.0.row().is_some(), split.1), (provider, true, name));
    }
    assert_eq!(
        catalogue.model("azure_text", "gpt-35-turbo-instruct"),
        catalogue.model("azure", "gpt-35-turbo-instruct")
    );
    assert!(catalogue.model("azure_text", "gpt-35-turbo-instruct").is_some());
}

#[test]
fn rows_say_what_the_wire_needs() {
    let catalogue = Catalogue::builtin();
    let anthropic = catalogue.provider("anthropic").unwrap();
    assert_eq!(anthropic.dialect, Dialect::AnthropicMessages);
    assert_eq!(anthropic.auth, Auth::Header("x-api-key".into()));
    let openai = catalogue.provider("openai").unwrap();
    let renames = |model| openai.quirks_for(model, None).any(|quirk| matches!(quirk, Quirk::Rename { .. }));
    assert!(renames("gpt-5-mini") && renames("o3") && !renames("gpt-4o"));
    assert_eq!(openai.stream_usage(), StreamUsage::Ask);
    assert_eq!(catalogue.provider("mistral").unwrap().stream_usage(), StreamUsage::Always);
}

#[test]
fn an_operators_row_needs_no_rust_and_replaces_one_of_its_name() {
    let rows: Vec<ProviderRow> = serde_json::from_value(serde_json::json!([
        {"id": "acme", "name": "Acme", "base_url": "https://llm.acme.test/v1", "quirks": [
            "flatten_text", {"rename": {"from": "seed", "to": "random_seed"}}, {"stream_usage": "never"}]},
        {"id": "openai", "name": "OpenAI, through Acme", "base_url": "https://openai.acme.test/v1"},
    ]))
    .unwrap();
    let catalogue = Catalogue::builtin().with_rows(rows);
    let (acme, model) = catalogue.split("acme/large", None).unwrap();
    assert_eq!((acme.name(), model), ("acme", "large"));
    assert_eq!(acme.row().unwrap().stream_usage(), StreamUsage::Never);
    assert_eq!(catalogue.provider("openai").unwrap().name, "OpenAI, through Acme");
    assert_eq!(catalogue.model("openai", "gpt-4o").unwrap().name, "gpt-4o");
    assert_eq!(Catalogue::builtin().provider("acme"), None);
}

#[test]
fn a_row_says_what_it_speaks_besides_and_where_and_whose_models_it_serves() {
    let rows: Vec<ProviderRow> = serde_json::from_value(serde_json::json!([{
        "id": "acme", "name": "Acme", "base_url": "https://llm.acme.test/v1", "serves": ["openai"],
        "also": ["openai_completions", {"dialect": "openai_responses", "paths": {"chat": "/v2/responses"}}],
        "models": [{"prefixes": ["small"], "also": []}],
    }]))
    .unwrap();
    let catalogue = Catalogue::builtin().with_rows(rows);
    let acme = catalogue.provider("acme").unwrap();
    let paths: Vec<Option<&str>> = acme
        .also_of("large", None)
        .iter()
        .map(|also| acme.path_of(("large", Some(also)), Operation::Chat, true))
        .collect();
    assert_eq!(paths, [None, Some("/v2/responses")]);
    assert!(acme.also_of("small-1", None).is_empty());
    assert!(acme.also_of("mine", Some("acme/small-1")).is_empty(), "the operator says which model it is");
    assert_eq!(acme.also_of("small-1", Some("large")).len(), 2);
    let refuses = |model, base| {
        acme.quirks_for(model, base)
            .any(|quirk| matches!(quirk, Quirk::Only { field, .. } if field == "temperature"))
    };
    assert!(
        refuses("o3", None) && refuses("mine", Some("openai/o3")) && refuses("mine", Some("azure/eu/gpt-5"))
    );
    assert!(!refuses("mine", None) && !refuses("o3", Some("gpt-4o")));
}

#[test]
fn a_word_that_the_schema_does_not_know_is_an_error() {
    for row in [
        serde_json::json!({"id": "a", "name": "A", "quirks": ["whatever"]}),
        serde_json::json!({"id": "a", "name": "A", "colour": "red"}),
        serde_json::json!({"id": "a", "name": "A", "dialect": "klingon"}),
        serde_json::json!({"id": "a", "name": "A", "billing": {"free": true}}),
        serde_json::json!({"id": "a", "name": "A", "also": ["klingon"]}),
        serde_json::json!({"id": "a", "name": "A", "also": [{"dialect": "openai_chat", "colour": "red"}]}),
        serde_json::json!({"id": "a", "name": "A", "serves": ["nobody"]}),
    ] {
        assert!(serde_json::from_value::<ProviderRow>(row.clone()).is_err(), "{row}");
    }
}
