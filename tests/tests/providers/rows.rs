//! What the rows and their deployments say, one behaviour a test.

use std::collections::BTreeMap;

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment};
use gatewright_tests::upstream::{Answer, Script, Upstream};
use serde_json::{Value, json};

#[test]
fn a_provider_that_only_the_operator_knows_is_a_row_of_the_file_and_nothing_else() {
    let upstream = Upstream::start();
    let settings = json!({"master_key": MASTER_KEY, "providers": [{
        "id": "acme", "name": "Acme", "base_url": format!("{}/{{zone}}", upstream.base()),
        "auth": {"header": "x-acme-key"}, "headers": {"x-acme-client": "gatewright"},
        "quirks": [{"rename": {"from": "max_tokens", "to": "max_new_tokens"}}, {"drop": ["seed"]}],
        "variables": {"zone": {"params": ["zone_name"], "default": "north"}},
    }]});
    let params = json!({"model": "acme/swift-1", "api_key": "k-1", "zone_name": "south"});
    let list = json!([{"model_name": "swift", "litellm_params": params}]);
    let file = json!({
        "litellm_settings": {"drop_params": true}, "general_settings": settings, "model_list": list,
    });
    let gateway = Setup::new(file.to_string()).start();
    let response = Client::of(&gateway).post(
        "/v1/chat/completions",
        &json!({"model": "swift", "max_tokens": 9, "seed": 1, "messages": [{"role": "user", "content": "n=3"}]}),
    );
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.json()["choices"][0]["message"]["content"], "w0 w1 w2 ");
    assert_eq!(response.header("x-gatewright-dropped-params"), "seed");
    let seen = upstream.last();
    assert_eq!(seen.path, "/south/chat/completions");
    assert_eq!((seen.header("x-acme-key"), seen.header("x-acme-client")), ("k-1", "gatewright"));
    assert_eq!((&seen.json()["max_new_tokens"], &seen.json()["model"]), (&json!(9), &json!("swift-1")));
}

#[test]
fn a_deployment_without_a_key_is_given_a_token_once_and_shows_it() {
    let upstream = Upstream::start();
    upstream.choose(|seen| {
        let body = json!({"access_token": format!("t-{}", seen.path.len()), "expires_in": 3600}).to_string();
        let answer = Answer::Raw { content_type: "application/json".to_owned(), body: body.into() };
        seen.path.ends_with("/token").then(|| Script { answer, ..Script::default() })
    });
    let (base, workspace) = (upstream.base(), format!("{}/serving-endpoints", upstream.base()));
    let application = json!({
        "model": "azure/gpt-4o", "api_base": base,
        "tenant_id": "t-1", "client_id": "c-1", "client_secret": "s-1-secret",
    });
    let principal = json!({
        "model": "databricks/dbrx", "api_base": workspace, "client_id": "c-2", "client_secret": "s-2-secret",
    });
    let list = json!([
        {"model_name": "application", "litellm_params": application},
        {"model_name": "principal", "litellm_params": principal},
    ]);
    let file = json!({"general_settings": {"master_key": MASTER_KEY}, "model_list": list});
    let gateway = Setup::new(file.to_string()).env("AZURE_AUTHORITY_HOST", &base).start();
    let client = Client::of(&gateway);
    for model in ["application", "principal"] {
        for _ in 0..2 {
            let response = client.chat(model, "hi");
            assert_eq!(response.status, 200, "{}", response.text());
        }
    }
    let seen = upstream.seen();
    let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
    let deployment = "/openai/deployments/gpt-4o/chat/completions?api-version=2025-02-01-preview";
    let served = "/serving-endpoints/chat/completions";
    let token = "/t-1/oauth2/v2.0/token";
    assert_eq!(paths, [token, deployment, deployment, "/oidc/v1/token", served, served]);
    let shown: Vec<&str> = seen.iter().map(|seen| seen.header("authorization")).collect();
    assert_eq!(
        (shown[1], shown[2], shown[4], shown[5]),
        ("Bearer t-22", "Bearer t-22", "Bearer t-14", "Bearer t-14")
    );
    assert!(seen.iter().all(|seen| seen.header("api-key").is_empty()));
    let told = client.get("/model/info").text() + &gateway.log();
    assert!(!told.contains("-secret") && !told.contains("t-22"), "{told}");
}

#[test]
fn claude_at_databricks_thinks_within_a_budget_or_as_it_sees_fit() {
    let upstream = Upstream::start();
    let workspace = format!("{}/serving-endpoints", upstream.base());
    let entry = |model: &str| {
        let params =
            json!({"model": format!("databricks/{model}"), "api_base": workspace, "api_key": "dapi-1"});
        format!("  - {}\n", json!({"model_name": model, "litellm_params": params}))
    };
    let (budget, adaptive, llama) = (
        "databricks-claude-sonnet-4",
        "databricks-claude-opus-4-7",
        "databricks-meta-llama-3-3-70b-instruct",
    );
    let list: String = [budget, adaptive, llama].into_iter().map(entry).collect();
    let gateway = Gateway::start(&format!("model_list:\n{list}"));
    let client = Client::of(&gateway);
    for (model, thinking) in
        [(budget, json!({"type": "enabled", "budget_tokens": 1024})), (adaptive, json!({"type": "adaptive"}))]
    {
        for stream in [false, true] {
            let fields = json!({"reasoning_effort": "low", "max_tokens": 4000, "stream": stream});
            let response = client.post("/v1/chat/completions", &chat(model, "n=2", fields));
            assert_eq!(response.status, 200, "{}", response.text());
            let seen = upstream.last();
            assert_eq!(seen.path, "/serving-endpoints/anthropic/v1/messages", "{model}");
            assert_eq!(seen.header("authorization"), "Bearer dapi-1");
            assert_eq!((&seen.json()["thinking"], &seen.json()["model"]), (&thinking, &json!(model)));
        }
    }
    let response = client.chat(llama, "n=2");
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(upstream.last().path, "/serving-endpoints/chat/completions");
    let before = upstream.seen().len();
    let counted = client.post(
        "/v1/messages/count_tokens",
        &json!({"model": budget, "messages": [{"role": "user", "content": "hi"}]}),
    );
    assert!(counted.json()["input_tokens"].as_u64() > Some(0), "{}", counted.text());
    assert_eq!(upstream.seen().len(), before, "the workspace has no such operation");
}

#[test]
fn reasoning_goes_back_only_to_those_of_groqs_models_that_think() {
    let upstream = Upstream::start();
    let list = [
        deployment("talks", "groq/llama-3.3-70b-versatile", &upstream, ""),
        deployment("thinks", "groq/openai/gpt-oss-120b", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    for (model, want) in [("talks", Value::Null), ("thinks", json!("I see."))] {
        let said = json!({"role": "assistant", "content": "a", "reasoning_content": "I see."});
        let asks = json!({"role": "user", "content": "and?"});
        let response =
            client.post("/v1/chat/completions", &json!({"model": model, "messages": [said, asks]}));
        assert_eq!(response.status, 200, "{}", response.text());
        let message = &upstream.last().json()["messages"][0];
        assert_eq!((&message["reasoning"], message.get("reasoning_content")), (&want, None), "{model}");
    }
}

#[test]
fn a_field_is_dropped_for_those_models_that_refuse_it_and_no_others() {
    let upstream = Upstream::start();
    let cases = [
        ("openai/gpt-4o", json!({"reasoning_effort": "low"}), "reasoning_effort"),
        ("openai/gpt-5", json!({"reasoning_effort": "low", "temperature": 1.0}), ""),
        ("openai/gpt-5", json!({"temperature": 0.5, "top_p": 0.9, "stop": "X"}), "temperature, top_p, stop"),
        ("openai/gpt-5-mini", json!({"temperature": 0.5}), "temperature"),
        ("openai/gpt-5.1", json!({"temperature": 0.5, "top_p": 0.9}), ""),
        ("openai/o3", json!({"temperature": 1, "presence_penalty": 0.0, "reasoning_effort": "low"}), ""),
        (
            "openai/o3",
            json!({"temperature": 0, "logprobs": true, "stop": "X"}),
            "temperature, logprobs, stop",
        ),
        ("openai/o1", json!({"logit_bias": {"1": 1}, "stop": "X"}), "logit_bias"),
        ("openai/o3-mini", json!({"temperature": 1, "top_logprobs": 2}), "top_logprobs, temperature"),
        ("openai/o4-mini", json!({"frequency_penalty": 0.5, "stop": "X"}), "frequency_penalty, stop"),
        ("openai/o1-mini", json!({"reasoning_effort": "low"}), "reasoning_effort"),
        ("xai/grok-4", json!({"reasoning_effort": "low"}), "reasoning_effort"),
        ("xai/grok-4.3", json!({"reasoning_effort": "low"}), ""),
        ("groq/llama-3.3-70b-versatile", json!({"reasoning_effort": "low"}), "reasoning_effort"),
        ("groq/openai/gpt-oss-120b", json!({"reasoning_effort": "low"}), ""),
        ("mistral/mistral-large-latest", json!({"reasoning_effort": "high"}), "reasoning_effort"),
        ("mistral/mistral-small-latest", json!({"reasoning_effort": "high"}), ""),
        ("mistral/mistral-of-tomorrow", json!({"reasoning_effort": "high"}), ""),
        ("codestral/codestral-latest", json!({"reasoning_effort": "high"}), "reasoning_effort"),
    ];
    let list: BTreeMap<&str, String> =
        cases.iter().map(|(model, ..)| (*model, deployment(model, model, &upstream, ""))).collect();
    let gateway = Gateway::start(&format!("model_list:\n{}", list.into_values().collect::<String>()));
    let client = Client::of(&gateway);
    for (model, fields, lost) in cases {
        let response = client.post("/v1/chat/completions", &chat(model, "n=1", fields.clone()));
        assert_eq!(response.status, 200, "{model}: {}", response.text());
        assert_eq!(response.header("x-gatewright-dropped-params"), lost, "{model} {fields}");
        let sent = upstream.last().json();
        for (field, value) in fields.as_object().unwrap() {
            let kept = !lost.split(", ").any(|name| name == field);
            assert_eq!(sent.get(field), kept.then_some(value), "{model} {field}");
        }
    }
}
