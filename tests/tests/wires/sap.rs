//! SAP AI Core.

use super::*;

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    upstream.choose(|seen| {
        let token = json!({"access_token": "t-1-token", "expires_in": 3600});
        (seen.path == "/oauth/token").then(|| whole(&token))
    });
    let key =
        json!({"clientid": "c-1", "clientsecret": "s-1-secret", "url": upstream.base(), "serviceurls": {}});
    let base = format!("{}/v2/inference/deployments/d1", upstream.base());
    let params = |model: &str| json!({"model": model, "api_base": base, "api_key": key.to_string(), "resource_group": "g-1", "num_retries": 0});
    let gateway =
        gateway(&[("chat", params("sap/gpt-4o")), ("vectors", params("sap/text-embedding-3-small"))]);
    (upstream, gateway)
}

fn push(upstream: &Upstream, script: Script) {
    let script = std::sync::Mutex::new(Some(script));
    upstream.choose(move |seen| match seen.path.as_str() {
        "/oauth/token" => Some(whole(&json!({"access_token": "t-1-token", "expires_in": 3600}))),
        _ => script.lock().unwrap().take(),
    });
}

fn result() -> Value {
    let message = json!({"role": "assistant", "content": "hi there"});
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage,
    })
}

#[test]
fn a_service_keys_client_asks_and_the_answer_stands_inside() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    push(
        &upstream,
        whole(
            &json!({"request_id": "r", "intermediate_results": {"templating": []}, "final_result": result()}),
        ),
    );
    let body = json!({"model": "chat", "temperature": 0.5, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let response = client.post("/v1/chat/completions", &body);
    assert_eq!(response.status, 200, "{}", response.text());
    let told = response.json();
    assert_eq!(told["choices"][0]["message"]["content"], "hi there");
    assert_eq!((&told["model"], &told["usage"]["total_tokens"]), (&json!("chat"), &json!(5)));
    let seen = upstream.seen();
    assert_eq!(seen[0].path, "/oauth/token");
    assert!(seen[0].header("authorization").starts_with("Basic "));
    assert_eq!(seen[1].path, "/v2/inference/deployments/d1/v2/completion");
    assert_eq!(
        (seen[1].header("authorization"), seen[1].header("ai-resource-group")),
        ("Bearer t-1-token", "g-1")
    );
    let prompt = json!({"template": [{"role": "user", "content": "hi"}]});
    let model =
        json!({"name": "gpt-4o", "version": "latest", "params": {"temperature": 0.5, "max_tokens": 9}});
    assert_eq!(
        seen[1].json(),
        json!({"config": {"modules": {"prompt_templating": {"prompt": prompt, "model": model}}}})
    );
    let told = client.get("/model/info").text() + &gateway.log();
    assert!(!told.contains("s-1-secret") && !told.contains("t-1-token"), "{told}");
}

#[test]
fn a_stream_holds_events_of_openais_and_errors_are_told() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    let chunk = |delta: Value, finish: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices});
        format!("data: {}\n\n", json!({"request_id": "r", "final_result": chunk}))
    };
    let templates = "data: {\"request_id\":\"r\",\"intermediate_results\":{\"templating\":[]}}\n\n";
    let said = [
        templates,
        &chunk(json!({"role": "assistant", "content": "Hel"}), Value::Null),
        &chunk(json!({"content": "lo"}), json!("stop")),
        "data: [DONE]\n\n",
    ];
    push(&upstream, events(&said));
    let ask = json!({"model": "chat", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let text = client.post("/v1/chat/completions", &ask).text();
    assert!(text.contains(r#""content":"Hel""#) && text.contains(r#""content":"lo""#), "{text}");
    assert!(!text.contains("request_id") && text.ends_with("data: [DONE]\n\n"), "{text}");
    let sent = upstream.last().json();
    assert_eq!(sent["config"]["stream"], json!({"enabled": true}));
    let params = &sent["config"]["modules"]["prompt_templating"]["model"]["params"];
    assert_eq!(params, &json!({"stream_options": {"include_usage": true}}));
    let broken = "data: {\"error\":{\"request_id\":\"r\",\"code\":500,\"message\":\"the model is away\",\"location\":\"LLM Module\"}}\n\n";
    push(&upstream, events(&[templates, broken]));
    let response = client.post("/v1/chat/completions", &ask);
    assert!(response.status == 500 && response.text().contains("the model is away"), "{}", response.text());
    let refused = json!({"error": {"request_id": "r", "code": 400, "message": "unused placeholder", "location": "Templating"}});
    push(&upstream, Script { status: 400, ..whole(&refused) });
    let response = client.chat("chat", "hi");
    assert!(response.status == 400 && response.text().contains("unused placeholder"), "{}", response.text());
}

#[test]
fn vectors_stand_inside_too() {
    let (upstream, gateway) = start();
    let item = json!({"object": "embedding", "index": 0, "embedding": [0.5]});
    let result = json!({"object": "list", "data": [item], "model": "m", "usage": {"prompt_tokens": 2, "total_tokens": 2}});
    push(&upstream, whole(&json!({"request_id": "r", "final_result": result})));
    let asked = json!({"model": "vectors", "input": ["a"], "dimensions": 1});
    let response = Client::of(&gateway).post("/v1/embeddings", &asked);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!((&response.json()["data"][0], &response.json()["usage"]["total_tokens"]), (&item, &json!(2)));
    let seen = upstream.last();
    assert_eq!(seen.path, "/v2/inference/deployments/d1/v2/embeddings");
    let model = json!({"name": "text-embedding-3-small", "version": "latest", "params": {"dimensions": 1}});
    assert_eq!(
        seen.json(),
        json!({"config": {"modules": {"embeddings": {"model": model}}}, "input": {"text": ["a"], "type": "text"}})
    );
}
