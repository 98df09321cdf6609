//! Documents ranked through the gateway: Cohere's form for every client, whoever ranks; paid and limited like any call.

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment};
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

/// A deployment of a provider that ranks in a form of its own, and what it is sent and answers.
struct Own {
    model: &'static str,
    /// Parameters besides the address.
    params: Value,
    path: &'static str,
    sent: Value,
    /// As the provider's page shows it.
    answer: Value,
    billed: Value,
}

/// What is sent for the best two of three documents.
fn forms() -> Vec<Own> {
    [of_bedrock(), of_servers(), of_nvidia(), of_google_and_azure(), of_jinas_form()]
        .into_iter()
        .flatten()
        .collect()
}

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_Rerank.html>
fn of_bedrock() -> Vec<Own> {
    let inline = |text| json!({"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": text}}});
    let sent = |arn: &str| {
        let chosen = json!({"modelConfiguration": {"modelArn": arn}, "numberOfResults": 2});
        json!({
            "queries": [{"type": "TEXT", "textQuery": {"text": "which?"}}],
            "sources": [inline("a"), inline("b"), inline("c")],
            "rerankingConfiguration": {
                "type": "BEDROCK_RERANKING_MODEL", "bedrockRerankingConfiguration": chosen,
            },
        })
    };
    let keys = json!({"aws_access_key_id": "AKIDTEST", "aws_secret_access_key": "s3cret/key+"});
    let mut priced = keys.clone();
    priced["aws_region_name"] = json!("eu-central-1");
    priced["input_cost_per_query"] = json!(0.01);
    let named = "arn:aws:bedrock:eu-central-1::foundation-model/amazon.rerank-v1:0";
    let by_arn = "bedrock/arn:aws:bedrock:us-west-2::foundation-model/cohere.rerank-v3-5:0";
    [("bedrock/amazon.rerank-v1:0", priced, sent(named)), (by_arn, keys, sent(&by_arn[8..]))]
        .into_iter()
        .map(|(model, params, sent)| Own {
            model,
            params,
            path: "/rerank",
            sent,
            answer: json!({"results": [
                {"index": 2, "relevanceScore": 0.75}, {"index": 0, "relevanceScore": 0.5},
            ]}),
            billed: json!({"search_units": 1}),
        })
        .collect()
}

/// <https://huggingface.github.io/text-embeddings-inference/>
fn of_servers() -> Vec<Own> {
    vec![Own {
        model: "huggingface/BAAI/bge-reranker-large",
        params: json!({"api_key": "hf-1"}),
        path: "/rerank",
        sent: json!({"query": "which?", "texts": ["a", "b", "c"]}),
        answer: json!([{"index": 2, "score": 0.75}, {"index": 0, "score": 0.5}, {"index": 1, "score": 0.1}]),
        billed: json!({"search_units": 1}),
    }]
}

/// <https://docs.nvidia.com/nim/nemo-retriever/text-reranking/latest/using-reranking.html>
fn of_nvidia() -> Vec<Own> {
    let places = [
        ("nvidia_nim/ranking/nvidia/llama-3.2-nv-rerankqa-1b-v2", "/v1/ranking"),
        (
            "nvidia_nim/nvidia/llama-3_2-nv-rerankqa-1b-v2",
            "/v1/retrieval/nvidia/llama-3_2-nv-rerankqa-1b-v2/reranking",
        ),
    ];
    places
        .into_iter()
        .map(|(model, path)| Own {
            model,
            params: json!({"api_key": "nv-1"}),
            path,
            sent: json!({
                "model": "nvidia/llama-3.2-nv-rerankqa-1b-v2", "query": {"text": "which?"},
                "passages": [{"text": "a"}, {"text": "b"}, {"text": "c"}],
            }),
            answer: json!({"rankings": [
                {"index": 2, "logit": 0.75}, {"index": 0, "logit": 0.5}, {"index": 1, "logit": -3.029_296_875},
            ]}),
            billed: json!({"search_units": 1}),
        })
        .collect()
}

/// The answer of Cohere's form, and of those that took after it.
fn results() -> Value {
    json!([
        {"index": 2, "relevance_score": 0.75, "document": {"text": "c"}}, {"index": 0, "relevance_score": 0.5},
    ])
}

/// <https://cloud.google.com/generative-ai-app-builder/docs/reference/rest/v1/projects.locations.rankingConfigs/rank>,
/// <https://docs.cohere.com/reference/rerank>
fn of_google_and_azure() -> Vec<Own> {
    let google = Own {
        model: "vertex_ai/semantic-ranker-default@latest",
        params: json!({"api_key": "g-1", "vertex_project": "p-1"}),
        path: "/v1/projects/p-1/locations/global/rankingConfigs/default_ranking_config:rank",
        sent: json!({
            "model": "semantic-ranker-default@latest", "query": "which?", "topN": 2,
            "records": [{"id": "0", "content": "a"}, {"id": "1", "content": "b"}, {"id": "2", "content": "c"}],
            "ignoreRecordDetailsInResponse": true,
        }),
        answer: json!({"records": [{"id": "2", "score": 0.75}, {"id": "0", "score": 0.5}]}),
        billed: json!({"search_units": 1}),
    };
    let azure = Own {
        model: "azure_ai/cohere-rerank-v4.0-pro",
        params: json!({"api_key": "az-1"}),
        path: "/v1/rerank",
        sent: json!({
            "model": "cohere-rerank-v4.0-pro", "query": "which?", "documents": ["a", "b", "c"], "top_n": 2,
        }),
        answer: json!({"id": "r-1", "results": results(), "meta": {"billed_units": {"search_units": 1}}}),
        billed: json!({"search_units": 1}),
    };
    vec![google, azure]
}

/// <https://docs.together.ai/reference/rerank-1>, <https://docs.fireworks.ai/api-reference/rerank-documents>,
/// <https://michaelfeil.eu/infinity/>
fn of_jinas_form() -> Vec<Own> {
    let usage = json!({"prompt_tokens": 38, "total_tokens": 38});
    let together =
        json!({"object": "rerank", "id": "oGs6Zt9", "model": "m", "results": results(), "usage": usage});
    let fireworks = json!({"object": "list", "model": "m", "data": results(), "usage": usage});
    let infinity =
        json!({"object": "rerank", "id": "i-1", "model": "m", "results": results(), "usage": usage});
    let models = [
        ("together_ai/Salesforce/Llama-Rank-V1", "Salesforce/Llama-Rank-V1", together),
        ("fireworks_ai/qwen3-reranker-8b", "accounts/fireworks/models/qwen3-reranker-8b", fireworks),
        ("infinity/mixedbread-ai/mxbai-rerank-xsmall-v1", "mixedbread-ai/mxbai-rerank-xsmall-v1", infinity),
    ];
    models
        .into_iter()
        .map(|(model, named, answer)| Own {
            model,
            params: json!({"api_key": "k-1"}),
            path: "/rerank",
            sent: json!({
                "model": named, "query": "which?", "documents": ["a", "b", "c"], "top_n": 2,
                "return_documents": false,
            }),
            answer,
            billed: json!({"total_tokens": 38}),
        })
        .collect()
}

#[test]
fn providers_with_a_form_of_their_own_are_asked_in_it_and_answer_in_coheres() {
    let upstream = Upstream::start();
    let forms = forms();
    let list: Vec<Value> = forms
        .iter()
        .map(|own| {
            let mut params = own.params.clone();
            params["model"] = json!(own.model);
            params["api_base"] = json!(upstream.base());
            json!({"model_name": own.model, "litellm_params": params})
        })
        .collect();
    let file = json!({
        "general_settings": {"master_key": MASTER_KEY}, "router_settings": {"num_retries": 0}, "model_list": list,
    });
    // A key of Bedrock's own, which the agent runtime does not take.
    let gateway = Setup::new(file.to_string()).env("AWS_BEARER_TOKEN_BEDROCK", "bedrock-key").start();
    let client = Client::of(&gateway);
    for own in &forms {
        let body = own.answer.to_string();
        upstream.push(Script::replay(200, &[], body));
        let answer = ranked(&client, "/v2/rerank", own.model, json!({"top_n": 2}));
        assert_eq!(answer.status, 200, "{}: {}", own.model, answer.text());
        let seen = upstream.last();
        assert_eq!((seen.path.as_str(), seen.json()), (own.path, own.sent.clone()), "{}", own.model);
        let told = answer.json();
        let places: Vec<(u64, f64)> = told["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["index"].as_u64().unwrap(), one["relevance_score"].as_f64().unwrap()))
            .collect();
        assert_eq!(places, [(2, 0.75), (0, 0.5)], "{}", own.model);
        assert_eq!(told["meta"]["billed_units"], own.billed, "{}", own.model);
        let shown = seen.header("authorization");
        match own.model.split('/').next().unwrap() {
            "bedrock" => assert!(shown.starts_with("AWS4-HMAC-SHA256 Credential=AKIDTEST/"), "{shown}"),
            "azure_ai" => assert_eq!((shown, seen.header("api-key")), ("Bearer az-1", "")),
            _ => {}
        }
        if own.params["input_cost_per_query"].is_number() {
            assert_eq!(answer.header("x-litellm-response-cost"), "0.01");
        }
    }
    let repeated = json!({"return_documents": true, "max_tokens_per_doc": 9});
    upstream.push(Script::replay(200, &[], forms[2].answer.to_string()));
    let answer = ranked(&client, "/v2/rerank", forms[2].model, repeated);
    assert_eq!(answer.header("x-gatewright-dropped-params"), "max_tokens_per_doc");
    assert_eq!(answer.json()["results"][0]["document"], json!({"text": "c", "n": 1}));
}

#[test]
fn what_does_not_rank_says_so_and_an_answer_that_is_no_ranking_is_the_providers_fault() {
    let upstream = Upstream::start();
    let list = [
        deployment("claude", "bedrock/anthropic.claude-3-haiku-20240307-v1:0", &upstream, ""),
        deployment("tei", "huggingface/BAAI/bge-reranker-large", &upstream, ""),
    ];
    let list = format!("router_settings: {{num_retries: 0}}\nmodel_list:\n{}", list.concat());
    let gateway = Gateway::start(&list);
    let client = Client::of(&gateway);
    let unable = ranked(&client, "/rerank", "claude", json!({}));
    assert_eq!((unable.status, upstream.seen().len()), (400, 0), "{}", unable.text());
    for wrong in [r#"{"results": []}"#, r#"[{"index": "first"}]"#] {
        upstream.push(Script::replay(200, &[], wrong));
        let answer = ranked(&client, "/rerank", "tei", json!({}));
        assert_eq!(answer.status, 502, "{}", answer.text());
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
