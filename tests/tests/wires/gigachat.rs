//! GigaChat.

use super::*;

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    upstream.choose(|seen| {
        let token = json!({"access_token": "t-1-token", "expires_at": 4_102_444_800_000_u64});
        (seen.path == "/api/v2/oauth").then(|| whole(&token))
    });
    let list = json!([
        {"model_name": "giga", "litellm_params": {"model": "gigachat/GigaChat-2-Max", "api_base": upstream.base(), "api_key": "a2V5LTE="}},
        {"model_name": "vectors", "litellm_params": {"model": "gigachat/Embeddings", "api_base": upstream.base(), "api_key": "a2V5LTE="}},
    ]);
    let file = json!({"general_settings": {"master_key": MASTER_KEY}, "model_list": list});
    let address = format!("{}/api/v2/oauth", upstream.base());
    let gateway = Setup::new(file.to_string())
        .env("GIGACHAT_AUTH_URL", &address)
        .env("GIGACHAT_SCOPE", "GIGACHAT_API_B2B")
        .start();
    (upstream, gateway)
}

fn push(upstream: &Upstream, script: Script) {
    let script = std::sync::Mutex::new(Some(script));
    upstream.choose(move |seen| match seen.path.as_str() {
        "/api/v2/oauth" => {
            Some(whole(&json!({"access_token": "t-1-token", "expires_at": 4_102_444_800_000_u64})))
        }
        _ => script.lock().unwrap().take(),
    });
}

#[test]
fn a_key_is_exchanged_for_a_token_that_serves_all_calls() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    for _ in 0..2 {
        let response = client.chat("giga", "n=1");
        assert_eq!(response.status, 200, "{}", response.text());
    }
    let seen = upstream.seen();
    let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, ["/api/v2/oauth", "/chat/completions", "/chat/completions"]);
    assert_eq!(seen[0].header("authorization"), "Basic a2V5LTE=");
    assert_eq!((seen[0].header("rquid").len(), &*seen[0].body), (36, b"scope=GIGACHAT_API_B2B".as_slice()));
    assert_eq!(seen[2].header("authorization"), "Bearer t-1-token");
    let told = client.get("/model/info").text() + &gateway.log();
    assert!(!told.contains("a2V5LTE=") && !told.contains("t-1-token"), "{told}");
}

fn tools() -> Value {
    json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}])
}

#[test]
fn a_function_that_is_called_comes_as_a_tool_whole_and_streamed() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    let state = "77d3fb14-457a-46ba-937e-8d856156d003";
    let called = json!({"name": "look", "arguments": {"days": 1}});
    let usage = json!({"prompt_tokens": 138, "completion_tokens": 21, "total_tokens": 159, "precached_prompt_tokens": 2});
    let message =
        json!({"content": "", "role": "assistant", "function_call": called, "functions_state_id": state});
    let answer = json!({
        "choices": [{"message": message, "index": 0, "finish_reason": "function_call"}],
        "created": 1_706_016_586, "model": "GigaChat-2-Max:2.0.28.2", "object": "chat.completion", "usage": usage,
    });
    push(&upstream, whole(&answer));
    let asks = json!([{"role": "user", "content": "hi"}]);
    let body = json!({"model": "giga", "messages": asks, "tools": tools(), "tool_choice": "auto"});
    let response = client.post("/v1/chat/completions", &body);
    assert_eq!(response.status, 200, "{}", response.text());
    let told = response.json();
    let choice = &told["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(
        (&call["id"], &call["function"]),
        (&json!(state), &json!({"name": "look", "arguments": "{\"days\":1}"}))
    );
    assert_eq!((&told["usage"]["prompt_tokens"], &told["usage"]["total_tokens"]), (&json!(140), &json!(161)));
    let sent = upstream.last().json();
    assert_eq!((&sent["functions"][0]["name"], &sent["function_call"]), (&json!("look"), &json!("auto")));
    assert!(sent.get("tools").is_none() && sent.get("tool_choice").is_none(), "{sent}");
    let event = json!({
        "choices": [{"delta": message, "index": 0, "finish_reason": "function_call"}],
        "created": 1_706_016_586, "model": "GigaChat-2-Max:2.0.28.2", "object": "chat.completion", "usage": usage,
    });
    push(&upstream, events(&[&format!("data: {event}\n\n"), "data: [DONE]\n\n"]));
    let body = json!({"model": "giga", "max_tokens": 9, "stream": true, "messages": asks, "tools": [
        {"name": "look", "input_schema": {"type": "object"}},
    ]});
    let text = client.post("/v1/messages", &body).text();
    assert!(text.contains(r#""type":"tool_use""#) && text.contains(state), "{text}");
    assert!(text.contains(r#""stop_reason":"tool_use""#) && text.contains(r#""output_tokens":21"#), "{text}");
}

#[test]
fn what_was_said_before_is_written_in_its_words() {
    let (upstream, gateway) = start();
    let state = "77d3fb14-457a-46ba-937e-8d856156d003";
    let call =
        json!({"id": state, "type": "function", "function": {"name": "look", "arguments": "{\"days\":1}"}});
    let body = json!({"model": "giga", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": state, "content": "sunny"},
    ]});
    let response = Client::of(&gateway).post("/v1/chat/completions", &body);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(
        upstream.last().json()["messages"],
        json!([
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "", "function_call": {"name": "look", "arguments": {"days": 1}}, "functions_state_id": state},
            {"role": "function", "name": "look", "content": "\"sunny\""},
        ])
    );
}

#[test]
fn vectors_have_their_usage_and_errors_their_words() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    let item = |index: u32| json!({"object": "embedding", "index": index, "embedding": [0.5], "usage": {"prompt_tokens": 3}});
    push(&upstream, whole(&json!({"object": "list", "model": "Embeddings", "data": [item(0), item(1)]})));
    let response = client.post("/v1/embeddings", &json!({"model": "vectors", "input": ["a", "b"]}));
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.json()["usage"], json!({"prompt_tokens": 6, "total_tokens": 6}));
    assert_eq!(upstream.last().json(), json!({"model": "Embeddings", "input": ["a", "b"]}));
    push(&upstream, Script { status: 404, ..whole(&json!({"status": 404, "message": "No such model"})) });
    let response = client.chat("giga", "hi");
    assert!(response.status == 404 && response.text().contains("No such model"), "{}", response.text());
}
