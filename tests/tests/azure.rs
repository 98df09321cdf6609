//! Azure's deployments, which are named by their operators: the APIs that they are asked through, and the fields that the
//! models behind them refuse.

use gatewright_tests::answer::events;
use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::Gateway;
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

/// A deployment under its model's name, with further parameters and what the operator says about the model.
fn entry(upstream: &Upstream, name: &str, model: &str, more: &Value, info: &Value) -> String {
    let mut params = json!({"model": model, "api_base": upstream.base(), "api_key": "k"});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("  - {}\n", json!({"model_name": name, "litellm_params": params, "model_info": info}))
}

fn dated(version: &str) -> Value {
    json!({ "api_version": version })
}

fn base(model: &str) -> Value {
    json!({ "base_model": model })
}

#[test]
fn clients_of_responses_reach_a_deployment_in_their_own_dialect() {
    let upstream = Upstream::start();
    let v1 = "/openai/v1/responses";
    let chats = "/openai/deployments/gpt-4/chat/completions?api-version=2025-02-01-preview";
    let cases = [
        ("plain", "azure/gpt-4o", json!({}), json!({}), v1, "gpt-4o"),
        ("older", "azure/gpt-4o", dated("2024-10-21"), json!({}), v1, "gpt-4o"),
        (
            "dated",
            "azure/gpt-4o",
            dated("2025-04-01-preview"),
            json!({}),
            "/openai/responses?api-version=2025-04-01-preview",
            "gpt-4o",
        ),
        ("undated", "azure/gpt-4o", dated("v1"), json!({}), v1, "gpt-4o"),
        ("bridged", "azure/responses/prod", json!({}), json!({}), v1, "prod"),
        // The older models only chat.
        ("chats", "azure/gpt-4", json!({}), json!({}), chats, "gpt-4"),
        (
            "says",
            "azure/gpt-4o",
            json!({}),
            base("azure/gpt-4"),
            &chats.replace("gpt-4/", "gpt-4o/"),
            "gpt-4o",
        ),
        ("codex", "azure_ai/codex-mini", json!({}), json!({}), v1, "codex-mini"),
        // Another host than Foundry's own has one API only.
        (
            "grok",
            "azure_ai/grok-4",
            json!({}),
            json!({}),
            "/models/chat/completions?api-version=2024-05-01-preview",
            "grok-4",
        ),
    ];
    let list: String = cases.iter().map(|case| entry(&upstream, case.0, case.1, &case.2, &case.3)).collect();
    let gateway = Gateway::start(&format!("model_list:\n{list}"));
    let client = Client::of(&gateway);
    for (name, _, _, _, path, model) in cases {
        let marked = json!({"model": name, "input": [{"role": "user", "content": "n=2 in=7"}], "metadata": {"a": "b"}});
        let response = client.post("/v1/responses", &marked);
        assert_eq!(response.status, 200, "{name}: {}", response.text());
        let told = response.json();
        assert_eq!((&told["model"], &told["usage"]["input_tokens"]), (&json!(name), &json!(7)), "{name}");
        let seen = upstream.last();
        assert_eq!((seen.path.as_str(), &seen.json()["model"]), (path, &json!(model)), "{name}");
        assert_eq!(seen.header("api-key"), "k", "{name}");
        let asked = json!({"model": name, "input": "n=2", "stream": true});
        let events = events(&client.post("/v1/responses", &asked).body);
        assert_eq!(events.last().unwrap().0, "response.completed", "{name}");
    }
}

#[test]
fn a_model_that_only_knows_responses_is_asked_through_them_for_every_client() {
    let upstream = Upstream::start();
    let list = [
        entry(&upstream, "codex", "azure/gpt-5.1-codex", &json!({}), &json!({})),
        entry(&upstream, "named", "azure/prod", &json!({}), &base("azure/gpt-5-codex")),
        entry(&upstream, "told", "azure/prod", &json!({}), &json!({"mode": "responses"})),
        entry(&upstream, "spelled", "azure/responses/prod", &json!({}), &json!({})),
        entry(&upstream, "foundry", "azure_ai/codex-mini", &json!({}), &json!({})),
        entry(&upstream, "foundrys", "azure_ai/responses/prod", &json!({}), &json!({})),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    for model in ["codex", "named", "told", "spelled", "foundry", "foundrys"] {
        let response = client.chat(model, "n=2");
        assert_eq!(response.json()["choices"][0]["message"]["content"], "w0 w1 ", "{}", response.text());
        assert_eq!(upstream.last().path, "/openai/v1/responses", "{model}");
        let asked =
            json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "n=2"}]});
        let response = client.post("/v1/messages", &asked);
        assert_eq!(response.json()["content"][0]["text"], "w0 w1 ", "{}", response.text());
        assert_eq!(upstream.last().path, "/openai/v1/responses", "{model}");
    }
}

#[test]
fn an_answer_that_azure_keeps_is_asked_for_where_it_is() {
    let upstream = Upstream::start();
    let list = entry(&upstream, "m", "azure/gpt-4o", &dated("2025-04-01-preview"), &json!({}));
    let gateway = Gateway::start(&format!("model_list:\n{list}"));
    let client = Client::of(&gateway);
    let made = client.post("/v1/responses", &json!({"model": "m", "input": "n=2"}));
    let id = made.json()["id"].as_str().unwrap().to_owned();
    client.get(&format!("/v1/responses/{id}"));
    let seen = upstream.last();
    assert_eq!(seen.method, "GET");
    assert!(seen.path.starts_with("/openai/responses/"), "{}", seen.path);
    assert!(seen.path.ends_with("?api-version=2025-04-01-preview"), "{}", seen.path);
}

#[test]
fn a_deployments_model_says_which_fields_it_refuses() {
    let upstream = Upstream::start();
    let sampling = json!({"temperature": 0.5, "top_p": 0.9});
    let cases = [
        ("azure/gpt-5", json!({}), sampling.clone(), "temperature, top_p"),
        (
            "azure/gpt-4o",
            json!({}),
            json!({"reasoning_effort": "low", "top_k": 4, "temperature": 0.5}),
            "top_k, reasoning_effort",
        ),
        ("azure/prod", json!({}), json!({"reasoning_effort": "low", "temperature": 0.5}), ""),
        (
            "azure/prod",
            base("azure/gpt-5-mini"),
            json!({"reasoning_effort": "low", "temperature": 0.5}),
            "temperature",
        ),
        ("azure/prod", base("azure/us/o3-2025-04-16"), sampling.clone(), "temperature, top_p"),
        ("azure/prod", base("gpt-4o"), json!({"reasoning_effort": "low"}), "reasoning_effort"),
        // What the operator says of the model tells more than the name.
        (
            "azure/gpt-5",
            base("azure/gpt-4o"),
            json!({"temperature": 0.5, "reasoning_effort": "low"}),
            "reasoning_effort",
        ),
        ("azure/o_series/prod", json!({}), sampling.clone(), "temperature, top_p"),
        ("azure/gpt5_series/prod", json!({}), json!({"stop": "X"}), "stop"),
        (
            "azure/o4-mini",
            json!({}),
            json!({"presence_penalty": 0, "frequency_penalty": 0.5, "stop": "X"}),
            "frequency_penalty, stop",
        ),
        ("azure/gpt-5.1", json!({}), sampling.clone(), ""),
        ("azure_ai/gpt-5", json!({}), sampling.clone(), "temperature, top_p"),
    ];
    let list: String = cases
        .iter()
        .enumerate()
        .map(|(at, case)| entry(&upstream, &format!("m{at}"), case.0, &json!({}), &case.1))
        .collect();
    let gateway = Gateway::start(&format!("model_list:\n{list}"));
    let client = Client::of(&gateway);
    for (at, (model, info, fields, lost)) in cases.into_iter().enumerate() {
        let response = client.post("/v1/chat/completions", &chat(&format!("m{at}"), "n=1", fields.clone()));
        assert_eq!(response.status, 200, "{model}: {}", response.text());
        assert_eq!(response.header("x-gatewright-dropped-params"), lost, "{model} {info} {fields}");
        let sent = upstream.last().json();
        for (field, value) in fields.as_object().unwrap() {
            let kept = !lost.split(", ").any(|name| name == field);
            assert_eq!(sent.get(field), kept.then_some(value), "{model} {info} {field}");
        }
    }
}

#[test]
fn a_deployment_that_drops_nothing_refuses_what_its_model_does() {
    let upstream = Upstream::start();
    let list = entry(&upstream, "m", "azure/prod", &json!({"drop_params": false}), &base("azure/o3"));
    let gateway = Gateway::start(&format!("model_list:\n{list}"));
    let response =
        Client::of(&gateway).post("/v1/chat/completions", &chat("m", "n=1", json!({"top_p": 0.9})));
    assert_eq!(response.status, 400, "{}", response.text());
    assert!(response.text().contains("top_p"), "{}", response.text());
    assert_eq!(upstream.seen().len(), 0);
}
