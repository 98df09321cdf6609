//! Documents ranked through the gateway: Cohere's form for every client, whoever ranks; paid and limited like any call.

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::{Said, Script, Upstream, Used};
use serde_json::{Value, json};

/// What a search costs here: a cent.
const SEARCH: &str = "input_cost_per_query: 0.01";

fn ranked(client: &Client, path: &str, model: &str, more: Value) -> Response {
    let mut body = json!({"model": model, "query": "which?", "documents": ["a", "b", {"text": "c", "n": 1}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post(path, &body)
}

#[test]
fn every_path_and_every_upstream_answers_in_coheres_form() {
    let upstream = Upstream::start();
    let list = [
        deployment("cohere", "cohere/rerank-v3.5", &upstream, ""),
        deployment("jina", "jina_ai/jina-reranker-v3", &upstream, ""),
        deployment("voyage", "voyage/rerank-2.5", &upstream, ""),
        deployment("vllm", "hosted_vllm/bge-reranker", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    for (model, asked_at, most, units) in [
        ("cohere", "/v2/rerank", "top_n", "search_units"),
        ("jina", "/v1/rerank", "top_n", "total_tokens"),
        ("voyage", "/v1/rerank", "top_k", "total_tokens"),
        ("vllm", "/v1/rerank", "top_n", "total_tokens"),
    ] {
        for path in ["/rerank", "/v1/rerank", "/v2/rerank"] {
            let answer = ranked(&client, path, model, json!({"top_n": 2}));
            assert_eq!(answer.status, 200, "{model}: {}", answer.text());
            let told = answer.json();
            let wanted = json!([{"index": 2, "relevance_score": 0.5}, {"index": 1, "relevance_score": 0.5}]);
            assert_eq!(told["results"], wanted, "{model} {path}");
            assert!(!told["id"].as_str().unwrap().is_empty(), "{told}");
            assert!(told["meta"]["billed_units"][units].as_u64().unwrap() > 0, "{told}");
            let seen = upstream.last();
            assert_eq!(seen.path, asked_at, "{model}");
            let sent = seen.json();
            assert_eq!((&sent["documents"], &sent[most]), (&json!(["a", "b", "c"]), &json!(2)), "{model}");
        }
        let answer = ranked(&client, "/v1/rerank", model, json!({"return_documents": true}));
        let wanted = json!([
            {"index": 2, "relevance_score": 0.5, "document": {"text": "c", "n": 1}},
            {"index": 1, "relevance_score": 0.5, "document": {"text": "b"}},
            {"index": 0, "relevance_score": 0.5, "document": {"text": "a"}},
        ]);
        assert_eq!(answer.json()["results"], wanted, "{model}");
    }
}

#[test]
fn bad_requests_and_the_providers_errors_are_told_in_coheres_form() {
    let upstream = Upstream::start();
    let list = [
        deployment("cohere", "cohere/rerank-v3.5", &upstream, ""),
        deployment("chats", "anthropic/claude-sonnet-4-5", &upstream, ""),
    ];
    let gateway =
        Gateway::start(&format!("router_settings: {{num_retries: 0}}\nmodel_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    let told = |response: &Response| response.json()["message"].as_str().unwrap_or_default().to_owned();
    let missing = client.post("/v2/rerank", &json!({"model": "cohere", "query": "q"}));
    assert_eq!(missing.status, 400, "{}", missing.text());
    assert!(told(&missing).contains("documents"), "{}", missing.text());
    let wrong = client.post("/v2/rerank", &json!({"model": "cohere", "query": "q", "documents": [1]}));
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    let unable = ranked(&client, "/v2/rerank", "chats", json!({}));
    assert_eq!(unable.status, 400, "{}", unable.text());
    upstream.push(Script::fails(429, "slow down"));
    let limited = ranked(&client, "/v2/rerank", "cohere", json!({}));
    assert_eq!(limited.status, 429, "{}", limited.text());
    assert!(told(&limited).contains("slow down"), "{}", limited.text());
}

#[test]
fn a_ranking_costs_by_the_search_or_by_the_token_and_has_its_entry() {
    let upstream = Upstream::start();
    upstream.choose(|_| {
        let used = Used { input: 1000, ..Used::default() };
        Some(Script::says(Said { used, ..Said::default() }))
    });
    let list = [
        deployment("by-search", "cohere/rerank-v3.5", &upstream, SEARCH),
        deployment("by-token", "jina_ai/jina-reranker-v3", &upstream, "input_cost_per_token: 0.00002"),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    for (model, cost) in [("by-search", "0.01"), ("by-token", "0.02")] {
        let answer = ranked(&client, "/v1/rerank", model, json!({}));
        assert_eq!(answer.header("x-litellm-response-cost"), cost, "{model}");
    }
    let entries = gateway.journal_when("both ended", |all| {
        all.len() == 2 && all.iter().all(|entry| entry.ending() == "complete")
    });
    let costs: Vec<f64> = entries.iter().map(|entry| entry.0["cost"].as_f64().unwrap()).collect();
    assert_eq!(costs, [0.01, 0.02]);
}

#[test]
fn a_budget_refuses_a_ranking_before_it_is_sent() {
    let upstream = Upstream::start();
    let model = deployment("m", "cohere/rerank-v3.5", &upstream, SEARCH);
    let gateway = Gateway::start(&format!("litellm_settings: {{max_budget: 0.025}}\nmodel_list:\n{model}"));
    let client = Client::of(&gateway);
    let statuses: Vec<u16> = (0..4).map(|_| ranked(&client, "/v2/rerank", "m", json!({})).status).collect();
    // Two cents are spent; a third search has no room below the wall.
    assert_eq!(statuses, [200, 200, 422, 422]);
    assert_eq!(upstream.seen().len(), 2);
    let refused = ranked(&client, "/v2/rerank", "m", json!({})).json();
    assert!(refused["message"].as_str().unwrap().to_lowercase().contains("budget"), "{refused}");
}
