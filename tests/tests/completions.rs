//! OpenAI Completions over upstreams that have them and over those that only chat.

use gatewright_tests::answer::events;
use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

fn serving(upstream: &Upstream) -> Gateway {
    let list = [
        deployment("instruct", "openai/gpt-3.5-turbo-instruct", upstream, ""),
        deployment("older", "text-completion-openai/davinci-002", upstream, ""),
        deployment("together", "together_ai/mistralai/Mixtral-8x7B-Instruct-v0.1", upstream, ""),
        deployment("chat", "openai/gpt-4o", upstream, ""),
        deployment("claude", "anthropic/claude-sonnet-4-5", upstream, ""),
    ];
    Gateway::start(&format!("model_list:\n{}", list.concat()))
}

#[test]
fn a_text_goes_on_over_every_upstream() {
    let upstream = Upstream::start();
    let gateway = serving(&upstream);
    let client = Client::of(&gateway);
    for (model, path) in [
        ("instruct", "/v1/completions"),
        ("older", "/v1/completions"),
        ("together", "/v1/completions"),
        ("chat", "/v1/chat/completions"),
        ("claude", "/v1/messages"),
    ] {
        for at in ["/v1/completions", "/completions", &format!("/engines/{model}/completions")] {
            let response = client.post(at, &json!({"model": model, "prompt": "n=3 in=7 out=4"}));
            assert_eq!(response.status, 200, "{model}: {}", response.text());
            let told = response.json();
            assert_eq!(
                (&told["object"], &told["choices"][0]["text"]),
                (&json!("text_completion"), &json!("w0 w1 w2 "))
            );
            assert_eq!((&told["model"], &told["usage"]["prompt_tokens"]), (&json!(model), &json!(7)));
            assert_eq!(upstream.last().path, path, "{model}");
        }
        for asked in [false, true] {
            let body = json!({"model": model, "prompt": "n=3 in=7 out=4", "stream": true,
                              "stream_options": {"include_usage": asked}});
            let response = client.post("/v1/completions", &body);
            let events = events(&response.body);
            assert_eq!(events.last().unwrap().1, "[DONE]", "{model}");
            let told: Vec<Value> =
                events.iter().filter_map(|(_, data)| serde_json::from_str(data).ok()).collect();
            let texts: String =
                told.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
            assert_eq!(texts, "w0 w1 w2 ", "{model}");
            let used = told.iter().any(|chunk| chunk["usage"]["completion_tokens"] == 4);
            assert_eq!(used, asked, "{model}: {}", response.text());
        }
    }
}

#[test]
fn several_prompts_and_tokens_go_where_they_are_known() {
    let upstream = Upstream::start();
    let gateway = serving(&upstream);
    let client = Client::of(&gateway);
    for prompt in [json!(["a", "b"]), json!([1, 2, 3]), json!([[1], [2]])] {
        let response = client.post("/v1/completions", &json!({"model": "instruct", "prompt": prompt}));
        assert_eq!((response.status, &upstream.last().json()["prompt"]), (200, &prompt));
        let before = upstream.seen().len();
        let response = client.post("/v1/completions", &json!({"model": "chat", "prompt": prompt}));
        assert_eq!((response.status, &response.json()["error"]["param"]), (400, &json!("prompt")));
        assert_eq!(upstream.seen().len(), before, "{}", response.text());
    }
}

#[test]
fn a_client_of_chats_may_ask_a_model_that_only_continues() {
    let upstream = Upstream::start();
    let gateway = serving(&upstream);
    let client = Client::of(&gateway);
    let response = client.chat("instruct", "say n=2");
    assert_eq!(response.json()["choices"][0]["message"]["content"], "w0 w1 ", "{}", response.text());
    assert_eq!(upstream.last().json()["prompt"], "say n=2");
}
