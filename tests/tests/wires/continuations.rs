//! Continuations by Codestral and by Azure's older deployments.

use super::*;

#[test]
fn codestral_fills_in_between_and_answers_as_a_chat() {
    let upstream = Upstream::start();
    let params = json!({"model": "text-completion-codestral/codestral-latest", "api_base": upstream.base(), "api_key": "k"});
    let gateway = gateway(&[("fill", params)]);
    let client = Client::of(&gateway);
    let usage = json!({"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": " add(a,b):"}, "finish_reason": "stop"});
    let answer = json!({"id": "5b", "object": "chat.completion", "created": 1, "model": "codestral-latest", "choices": [choice], "usage": usage});
    upstream.push(whole(&answer));
    let asked = json!({"model": "fill", "prompt": "def", "suffix": "return a+b", "seed": 3, "max_tokens": 9});
    let response = client.post("/v1/completions", &asked);
    assert_eq!(response.status, 200, "{}", response.text());
    let told = response.json();
    assert_eq!(told["choices"], json!([{"index": 0, "text": " add(a,b):", "finish_reason": "stop"}]));
    assert_eq!((&told["object"], &told["usage"]), (&json!("text_completion"), &usage));
    let seen = upstream.last();
    assert_eq!(seen.path, "/fim/completions");
    let want = json!({"model": "codestral-latest", "prompt": "def", "suffix": "return a+b", "random_seed": 3, "max_tokens": 9});
    assert_eq!(seen.json(), want);
    let event = json!({"id": "5b", "object": "chat.completion.chunk", "created": 1, "model": "c", "choices": [
        {"index": 0, "delta": {"content": " x"}, "finish_reason": "stop"},
    ]});
    upstream.push(events(&[&format!("data: {event}\n\n"), "data: [DONE]\n\n"]));
    let text =
        client.post("/v1/completions", &json!({"model": "fill", "prompt": "def", "stream": true})).text();
    assert!(text.contains(r#""text":" x""#) && !text.contains("delta"), "{text}");
}

#[test]
fn azures_older_deployments_continue_texts() {
    let upstream = Upstream::start();
    let params = |version: &str| json!({"model": "azure_text/instruct", "api_base": upstream.base(), "api_key": "k", "api_version": version});
    let gateway = gateway(&[("dated", params("2024-10-21")), ("v1", params("v1"))]);
    for (model, path) in [
        ("dated", "/openai/deployments/instruct/completions?api-version=2024-10-21"),
        ("v1", "/openai/v1/completions"),
    ] {
        let response =
            Client::of(&gateway).post("/v1/completions", &json!({"model": model, "prompt": "n=2"}));
        assert_eq!(response.status, 200, "{model}: {}", response.text());
        assert_eq!(response.json()["choices"][0]["text"], "w0 w1 ");
        assert_eq!((upstream.last().path.as_str(), upstream.last().header("api-key")), (path, "k"));
    }
}
