//! Embeddings, from a client's request to the vectors and the ledger.

use std::time::Duration;

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, deployment, model, poll};
use gatewright_tests::upstream::{Script, Upstream};
use serde_json::json;

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let list = model("small", "openai/text-embedding-3-small", &upstream)
        + &deployment("claude", "anthropic/claude-sonnet-4-5", &upstream, "");
    let gateway = Gateway::start(&list);
    (upstream, gateway)
}

fn first_numbers(response: &Response) -> Vec<f64> {
    assert_eq!(response.status, 200, "{}", response.text());
    let told = response.json();
    told["data"].as_array().unwrap().iter().map(|item| item["embedding"][0].as_f64().unwrap()).collect()
}

#[test]
fn vectors_come_for_every_input_and_are_billed() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    let response = client.post("/v1/embeddings", &json!({"model": "small", "input": ["a", "bcd"]}));
    assert_eq!(first_numbers(&response), [1.0, 3.0]);
    assert_eq!(response.json()["model"], "small");
    assert_eq!(response.json()["usage"], json!({"prompt_tokens": 4, "total_tokens": 4}));
    // 4 tokens at $0.02 a million.
    assert_eq!(response.header("x-litellm-response-cost"), "0.00000008");
    let seen = upstream.last();
    assert_eq!(seen.path, "/v1/embeddings");
    assert_eq!(seen.json(), json!({"model": "text-embedding-3-small", "input": ["a", "bcd"]}));
    for path in ["/embeddings", "/engines/small/embeddings", "/openai/deployments/small/embeddings"] {
        assert_eq!(client.post(path, &json!({"model": "small", "input": "ab"})).status, 200, "{path}");
    }
}

#[test]
fn clients_of_other_dialects_are_given_the_same_vectors() {
    let (_upstream, gateway) = start();
    let client = Client::of(&gateway);
    let cohere = json!({"model": "small", "texts": ["a", "bcd"], "input_type": "search_document",
                        "embedding_types": ["float"]});
    // Ollama's conversations are streams where nothing is said; vectors never are.
    let ollama = |stream| json!({"model": "small", "input": ["a", "bcd"], "stream": stream});
    for (path, body, at) in [
        ("/v2/embed", cohere, "/embeddings/float"),
        ("/api/embed", json!({"model": "small", "input": ["a", "bcd"]}), "/embeddings"),
        ("/api/embed", ollama(true), "/embeddings"),
        ("/api/embed", ollama(false), "/embeddings"),
    ] {
        let response = client.post(path, &body);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        let told = response.json();
        let vectors = told.pointer(at).and_then(serde_json::Value::as_array).unwrap();
        let numbers: Vec<_> = vectors.iter().map(|vector| vector[0].as_f64()).collect();
        assert_eq!(numbers, [Some(1.0), Some(3.0)], "{path}: {}", response.text());
    }
}

#[test]
fn more_inputs_than_the_provider_takes_go_out_in_several_requests_and_come_back_in_order() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    let inputs: Vec<String> = (0..5000_usize).map(|n| "x".repeat(n % 17)).collect();
    let response = client.post("/v1/embeddings", &json!({"model": "small", "input": inputs}));
    let lengths: Vec<f64> = (0..5000).map(|n| f64::from(n % 17)).collect();
    assert!(first_numbers(&response) == lengths, "the vectors are those of their inputs");
    assert_eq!(response.json()["usage"]["prompt_tokens"], 10_000);
    assert_eq!(response.header("x-litellm-response-cost"), "0.0002");
    let mut sizes: Vec<usize> =
        upstream.seen().iter().map(|seen| seen.json()["input"].as_array().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [904, 2048, 2048]);
}

#[test]
fn batches_that_were_answered_are_billed_where_a_later_one_fails() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    let key = client.made("/key/generate", json!({"max_budget": 1}))["key"].as_str().unwrap().to_owned();
    let inputs: Vec<String> = (0..2050).map(|n| n.to_string()).collect();
    upstream.choose(|seen| {
        let last = seen.json()["input"].as_array().map(Vec::len) == Some(2);
        last.then(|| Script::fails(400, "no"))
    });
    let response = Client::with_key(&gateway, &key)
        .post("/v1/embeddings", &json!({"model": "small", "input": inputs, "num_retries": 0}));
    assert_eq!(response.status, 400, "{}", response.text());
    let path = format!("/key/info?key={key}");
    let spent =
        || Some(client.get(&path).json()["info"]["spend"].clone()).filter(|spend| *spend != json!(0.0));
    assert_eq!(poll(Duration::from_secs(30), spent), Some(json!(8.192e-5)));
}

#[test]
fn what_cannot_be_embedded_is_told() {
    let (_upstream, gateway) = start();
    let client = Client::of(&gateway);
    for (body, status, words) in [
        (json!({"model": "small"}), 400, "'input'"),
        (json!({"model": "claude", "input": "a"}), 400, "no embeddings"),
        (json!({"model": "nobody", "input": "a"}), 400, "nobody"),
    ] {
        let response = client.post("/v1/embeddings", &body);
        assert_eq!(response.status, status, "{body}: {}", response.text());
        assert!(response.text().contains(words), "{body}: {}", response.text());
    }
}
