//! IBM watsonx.ai.

use super::*;

fn params(upstream: &Upstream, model: &str) -> Value {
    json!({"model": model, "api_base": upstream.base(), "token": "t-1-token", "project_id": "p-1"})
}

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let mut cloud_pak = params(&upstream, "watsonx/ibm/granite-3-3-8b-instruct");
    cloud_pak["token"] = Value::Null;
    cloud_pak["zen_api_key"] = json!("z-1-key");
    cloud_pak["project_id"] = Value::Null;
    cloud_pak["space_id"] = json!("s-1");
    let gateway = gateway(&[
        ("granite", params(&upstream, "watsonx/ibm/granite-3-3-8b-instruct")),
        ("deployed", params(&upstream, "watsonx/deployment/d-1")),
        ("pak", cloud_pak),
        ("slate", params(&upstream, "watsonx/ibm/slate-125m-english-rtrvr")),
    ]);
    (upstream, gateway)
}

#[test]
fn a_chat_names_model_and_payer_in_ibms_words() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    for (model, path, shown, body) in [
        (
            "granite",
            "/ml/v1/text/chat?version=2024-03-13",
            "Bearer t-1-token",
            json!({"model_id": "ibm/granite-3-3-8b-instruct", "project_id": "p-1"}),
        ),
        ("deployed", "/ml/v1/deployments/d-1/text/chat?version=2024-03-13", "Bearer t-1-token", json!({})),
        (
            "pak",
            "/ml/v1/text/chat?version=2024-03-13",
            "ZenApiKey z-1-key",
            json!({"model_id": "ibm/granite-3-3-8b-instruct", "space_id": "s-1"}),
        ),
    ] {
        let response = client.chat(model, "n=2");
        assert_eq!(response.status, 200, "{model}: {}", response.text());
        assert_eq!(response.json()["choices"][0]["message"]["content"], "w0 w1 ");
        let seen = upstream.last();
        assert_eq!((seen.path.as_str(), seen.header("authorization")), (path, shown), "{model}");
        let mut sent = seen.json();
        assert!(sent.as_object_mut().unwrap().remove("messages").is_some());
        assert_eq!(sent, body, "{model}");
    }
    let told = client.get("/model/info").text() + &gateway.log();
    assert!(!told.contains("t-1-token") && !told.contains("z-1-key"), "{told}");
}

/// The form of IBM's events, as its Java SDK's tests have them.
const EVENTS: [&str; 4] = [
    "id: 1\nevent: message\ndata: {\"id\":\"chatcmpl-5d\",\"object\":\"chat.completion.chunk\",\"model_id\":\"ibm/g\",\"model\":\"ibm/g\",\"choices\":[{\"index\":0,\"finish_reason\":null,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"created\":1749736055,\"model_version\":\"4.0.0\",\"created_at\":\"2025-06-12T13:47:35.541Z\"}\n\n",
    "id: 2\nevent: message\ndata: {\"id\":\"chatcmpl-5d\",\"object\":\"chat.completion.chunk\",\"model_id\":\"ibm/g\",\"model\":\"ibm/g\",\"choices\":[{\"index\":0,\"finish_reason\":null,\"delta\":{\"content\":\"Ciao\"}}],\"created\":1749736055}\n\n",
    "id: 3\nevent: message\ndata: {\"id\":\"chatcmpl-5d\",\"object\":\"chat.completion.chunk\",\"model_id\":\"ibm/g\",\"model\":\"ibm/g\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"delta\":{\"content\":\"\"}}],\"created\":1749736055}\n\n",
    "id: 4\nevent: message\ndata: {\"id\":\"chatcmpl-5d\",\"object\":\"chat.completion.chunk\",\"model_id\":\"ibm/g\",\"model\":\"ibm/g\",\"choices\":[],\"created\":1749736055,\"usage\":{\"completion_tokens\":3,\"prompt_tokens\":38,\"total_tokens\":41}}\n\n",
];

#[test]
fn a_stream_has_a_path_of_its_own_and_ends_with_its_usage() {
    let (upstream, gateway) = start();
    upstream.push(events(&EVENTS));
    let response = Client::of(&gateway).post(
        "/v1/chat/completions",
        &json!({
            "model": "granite", "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "hi"}],
        }),
    );
    assert_eq!(response.status, 200, "{}", response.text());
    let text = response.text();
    assert!(text.contains(r#""content":"Ciao""#) && text.contains(r#""prompt_tokens":38"#), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let seen = upstream.last();
    assert_eq!(seen.path, "/ml/v1/text/chat_stream?version=2024-03-13");
    assert!(seen.json().get("stream").is_none() && seen.json().get("stream_options").is_none());
    upstream.push(events(&[EVENTS[0], "event: error\ndata: {\"errors\":[{\"code\":\"x\",\"message\":\"it broke\"}],\"status_code\":500}\n\n"]));
    let body = json!({"model": "granite", "stream": true, "num_retries": 0, "messages": [{"role": "user", "content": "hi"}]});
    let response = Client::of(&gateway).post("/v1/chat/completions", &body);
    assert!(response.status == 500 && response.text().contains("it broke"), "{}", response.text());
}

#[test]
fn what_is_wrong_is_told_in_ibms_words() {
    let (upstream, gateway) = start();
    let said = json!({"errors": [{"code": "json_validation_error", "message": "messages: not so"}], "status_code": 400});
    upstream.push(Script { status: 400, ..whole(&said) });
    let response = Client::of(&gateway).chat("granite", "hi");
    assert_eq!(response.status, 400);
    let message = &response.json()["error"]["message"];
    assert!(message.as_str().unwrap().ends_with("WatsonxException - messages: not so"), "{message}");
}

#[test]
fn vectors_and_rankings_are_read_and_billed() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    let vectors = json!([{"embedding": [-0.5, 0.25]}, {"embedding": [1.0, 2.0]}]);
    upstream.push(whole(&json!({"model_id": "ibm/slate", "results": vectors, "input_token_count": 10})));
    let response = client.post("/v1/embeddings", &json!({"model": "slate", "input": ["a", "b"]}));
    assert_eq!(response.status, 200, "{}", response.text());
    let told = response.json();
    assert_eq!(told["data"][1], json!({"object": "embedding", "index": 1, "embedding": [1.0, 2.0]}));
    assert_eq!(
        (&told["model"], &told["usage"]),
        (&json!("slate"), &json!({"prompt_tokens": 10, "total_tokens": 10}))
    );
    let seen = upstream.last();
    assert_eq!(seen.path, "/ml/v1/text/embeddings?version=2024-03-13");
    let model = "ibm/slate-125m-english-rtrvr";
    assert_eq!(seen.json(), json!({"inputs": ["a", "b"], "model_id": model, "project_id": "p-1"}));
    let results = json!([{"index": 1, "score": 7.5}, {"index": 0, "score": -3.0}]);
    upstream.push(whole(&json!({"model_id": "r", "results": results, "input_token_count": 20})));
    let asked = json!({"model": "slate", "query": "q", "documents": ["a", "b"], "return_documents": true});
    let response = client.post("/v1/rerank", &asked);
    assert_eq!(response.status, 200, "{}", response.text());
    let best = json!({"index": 1, "relevance_score": 7.5, "document": {"text": "b"}});
    assert_eq!(response.json()["results"][0], best);
    assert_eq!(upstream.last().path, "/ml/v1/text/rerank?version=2024-03-13");
}

#[test]
fn what_it_has_not_or_is_not_told_is_said() {
    let upstream = Upstream::start();
    let nobodys = json!({"model": "watsonx/ibm/g", "api_base": upstream.base(), "token": "t"});
    let gateway = gateway(&[("nobodys", nobodys), ("granite", params(&upstream, "watsonx/ibm/g"))]);
    let client = Client::of(&gateway);
    let response = client.chat("nobodys", "hi");
    assert!(
        response.text().contains("provider 'watsonx' needs project_id or space_id"),
        "{}",
        response.text()
    );
    let response = client.post("/v1/images/generations", &json!({"model": "granite", "prompt": "a cat"}));
    assert!(response.text().contains("provider 'watsonx' has no"), "{}", response.text());
    assert!(upstream.seen().is_empty());
}
