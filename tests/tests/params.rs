//! What an operator says about the parameters of a deployment's requests.

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, Setup, deployment, model};
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

#[test]
fn a_field_that_the_operator_insists_on_is_sent_whatever_is_known_of_the_provider() {
    let upstream = Upstream::start();
    let insists =
        deployment("insists", "groq/llama-3.3-70b-versatile", &upstream, "allowed_openai_params: [top_k]");
    let translated =
        deployment("claude", "anthropic/claude-sonnet-4-5", &upstream, "allowed_openai_params: [seed]");
    let list = model("plain", "groq/llama-3.3-70b-versatile", &upstream) + &insists + &translated;
    let gateway = Gateway::start(&list);
    let client = Client::of(&gateway);
    for (name, dropped, sent) in
        [("plain", "top_k", json!([null, 7])), ("insists", "", json!([5, 7])), ("claude", "", json!([5, 7]))]
    {
        let response = client.post("/v1/chat/completions", &chat(name, "hi", json!({"top_k": 5, "seed": 7})));
        assert_eq!(response.status, 200, "{name}: {}", response.text());
        assert_eq!(response.header("x-gatewright-dropped-params"), dropped, "{name}");
        let body = upstream.last().json();
        assert_eq!(json!([body["top_k"], body["seed"]]), sent, "{name}");
    }
}

#[test]
fn cache_marks_are_set_where_the_operator_says() {
    let upstream = Upstream::start();
    let points =
        "cache_control_injection_points: [{location: message; role: system}, {location: message; index: -1}]";
    let claude = |name: &str, more: &str| {
        deployment(name, "anthropic/claude-sonnet-4-5", &upstream, "")
            + &more.replace("; ", ", ").replace(": [", ":\n        [")
    };
    let list = String::from("model_list:\n")
        + &claude("marked", &format!("      {points}\n"))
        + &claude("plain", "");
    let gateway = Gateway::start(&list);
    let client = Client::of(&gateway);
    let control = json!({"type": "ephemeral"});
    let messages = json!([
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"},
    ]);
    for (name, mark) in [("marked", &control), ("plain", &Value::Null)] {
        let response = client.post("/v1/chat/completions", &json!({"model": name, "messages": messages}));
        assert_eq!(response.status, 200, "{}", response.text());
        let body = upstream.last().json();
        assert_eq!(&body["system"][0]["cache_control"], mark, "{body}");
        let last = body["messages"].as_array().unwrap().last().unwrap();
        assert_eq!(&last["content"][0]["cache_control"], mark, "{body}");
    }
    let own = json!({"model": "marked", "max_tokens": 9, "system": "S", "messages": [{"role": "user", "content": "a"}]});
    assert_eq!(client.post("/v1/messages", &own).status, 200);
    let body = upstream.last().json();
    assert_eq!(
        (&body["system"][0]["cache_control"], &body["messages"][0]["content"][0]["cache_control"]),
        (&control, &control)
    );
}

#[test]
fn tokens_are_counted_by_whoever_counts_them_best() {
    let upstream = Upstream::start();
    let other = |name: &str, model: &str| deployment(name, model, &upstream, "");
    let list = model("gpt", "openai/gpt-4o", &upstream)
        + &other("claude", "anthropic/claude-sonnet-4-5")
        + &other("llama", "groq/llama-3.3-70b-versatile");
    let gateway = Gateway::start(&list);
    let client = Client::of(&gateway);
    let ask = |body: Value| client.post("/utils/token_counter", &body);
    let messages = json!([{"role": "user", "content": "hi"}]);
    let told = ask(json!({"model": "gpt", "messages": messages})).json();
    assert_eq!(
        told,
        json!({
            "total_tokens": 8, "request_model": "gpt", "model_used": "gpt-4o", "tokenizer_type": "openai_tokenizer",
            "count_source": "local_estimate", "original_response": null, "error": false, "error_message": null,
            "status_code": null,
        })
    );
    assert_eq!(ask(json!({"model": "gpt", "prompt": "hi"})).json()["total_tokens"], 8);
    let told = ask(json!({"model": "claude", "messages": messages})).json();
    assert_eq!(
        (&told["total_tokens"], &told["tokenizer_type"]),
        (&json!(10), &json!("anthropic_api")),
        "{told}"
    );
    assert_eq!(upstream.last().path, "/v1/messages/count_tokens");
    let told = ask(json!({"model": "llama", "messages": messages})).json();
    assert_eq!(told["tokenizer_type"], "estimate", "{told}");
    for (body, words) in [(json!({"model": "gpt"}), "must be provided"), (json!({"prompt": "hi"}), "model")] {
        let response = ask(body);
        assert_eq!(response.status, 400, "{}", response.text());
        assert!(response.text().contains(words), "{}", response.text());
    }
}

#[test]
fn long_instructions_are_marked_for_all_where_the_operator_switches_that_on() {
    let upstream = Upstream::start();
    let list = model("claude", "anthropic/claude-sonnet-4-5", &upstream)
        + &deployment("gpt", "openai/gpt-4o", &upstream, "");
    let config = format!(
        "litellm_settings: {{enable_anthropic_prompt_caching: 1h}}\n{list}{}",
        gatewright_tests::gateway::MASTER
    );
    let gateway = Setup::new(config).start();
    let client = Client::of(&gateway);
    let long = "word ".repeat(1000);
    for (name, instructions, marked) in
        [("claude", &*long, true), ("claude", "short", false), ("gpt", &*long, false)]
    {
        let messages = json!([{"role": "system", "content": instructions}, {"role": "user", "content": "a"}]);
        assert_eq!(
            client.post("/v1/chat/completions", &json!({"model": name, "messages": messages})).status,
            200
        );
        let body = upstream.last().json();
        assert_eq!(body.to_string().contains("\"ttl\":\"1h\""), marked, "{name}: {body}");
    }
}
