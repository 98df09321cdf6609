//! Cohere's API and Ollama's own, behind the gateway and in front of it.

use gatewright_tests::answer::openai;
use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::{Ends, Said, Script, UNBILLED, Upstream, Used};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn started(upstream: &Upstream) -> (Gateway, Client) {
    let list = [
        deployment("cohere", "cohere/command-a-03-2025", upstream, ""),
        deployment("ollama", "ollama_chat/llama3.2", upstream, "num_ctx: 8192"),
        deployment("openai", "openai/gpt-4o", upstream, ""),
        deployment("anthropic", "anthropic/claude-sonnet-4-5", upstream, ""),
    ];
    let settings = "router_settings: {num_retries: 0, disable_cooldowns: true}";
    let gateway = Gateway::start(&format!("{settings}\nmodel_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    (gateway, client)
}

fn used() -> Used {
    Used { input: 30, output: 4, ..Used::default() }
}

#[test]
fn text_and_tools_come_whole_and_streamed() {
    let upstream = Upstream::start();
    let (_gateway, client) = started(&upstream);
    for (model, path) in [("cohere", "/v2/chat"), ("ollama", "/api/chat")] {
        let said = Said { used: used(), ..Said::text(["Hel", "lo"]) }.thinking(["Hm", "m."], "");
        let called = Said { used: used(), ..Said::default() }.tool("c1", "look", &["{\"a\":", "1}"]);
        for (said, text, tools) in [(said, "Hello", 0), (called, "", 1)] {
            let script = move || Script::says(said.clone());
            upstream.push(script());
            let whole = openai::whole(&client.post(CHAT, &chat(model, "hi", json!({}))).json());
            upstream.push(script());
            let asked = json!({"stream": true, "stream_options": {"include_usage": true}});
            let stream = openai::stream(&client.post(CHAT, &chat(model, "hi", asked)).body);
            for got in [whole, stream] {
                assert!(got.faults.is_empty(), "{model}: {:?}", got.faults);
                assert_eq!((got.text.as_str(), got.tools.len()), (text, tools), "{model}");
                let usage = got.usage.unwrap();
                assert_eq!((usage.input, usage.output), (30, 4), "{model}");
                for tool in got.tools {
                    let arguments: Value = serde_json::from_str(&tool.arguments).unwrap();
                    assert_eq!((tool.id.as_str(), arguments), ("c1", json!({"a": 1})), "{model}");
                }
            }
            assert_eq!(upstream.last().path, path);
        }
    }
}

#[test]
fn what_an_operator_sets_for_ollama_reaches_its_options() {
    let upstream = Upstream::start();
    let (_gateway, client) = started(&upstream);
    let asked = chat("ollama", "hi", json!({"max_tokens": 9, "keep_alive": "1m"}));
    assert_eq!(client.post(CHAT, &asked).status, 200);
    let sent = upstream.last().json();
    assert_eq!(sent["options"], json!({"num_predict": 9, "num_ctx": 8192}));
    assert_eq!((&sent["stream"], &sent["keep_alive"]), (&json!(false), &json!("1m")));
}

#[test]
fn errors_keep_their_status_before_a_stream_and_end_it_within() {
    let upstream = Upstream::start();
    let (_gateway, client) = started(&upstream);
    for model in ["cohere", "ollama"] {
        upstream.push(Script::fails(404, "no such model"));
        let answer = client.post(CHAT, &chat(model, "hi", json!({})));
        assert_eq!(answer.status, 404, "{model}");
        assert!(answer.text().contains("no such model"), "{}", answer.text());
        let said = Said { used: used(), ..Said::words(3) };
        upstream.push(Script::says(said).stopping(3, Ends::Error("it broke".to_owned())));
        let stream = client.post(CHAT, &chat(model, "hi", json!({"stream": true})));
        assert!(stream.text().contains("it broke"), "{model}: {}", stream.text());
    }
}

#[test]
fn cohere_is_paid_what_it_bills_and_clients_are_told_what_it_counts() {
    let upstream = Upstream::start();
    let prices = "input_cost_per_token: 0.001, output_cost_per_token: 0.01";
    let model = deployment("m", "cohere/command-a-03-2025", &upstream, prices);
    let gateway = Gateway::start(&format!("model_list:\n{model}"));
    upstream.push(Script::says(Said { used: used(), ..Said::words(1) }));
    let answer = Client::of(&gateway).post(CHAT, &chat("m", "hi", json!({})));
    assert_eq!(answer.json()["usage"]["prompt_tokens"], 30);
    assert_eq!(UNBILLED, 10);
    // Twenty of thirty tokens at a tenth of a cent, four at a cent.
    assert_eq!(answer.header("x-litellm-response-cost"), "0.06");
}

#[test]
fn cohere_clients_are_served_by_every_dialect() {
    let upstream = Upstream::start();
    let (_gateway, client) = started(&upstream);
    let asked = |model: &str, stream: bool| json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
    for model in ["cohere", "ollama", "openai", "anthropic"] {
        let said = Said { used: used(), ..Said::text(["Hel", "lo"]) }.tool("c1", "look", &["{}"]);
        upstream.push(Script::says(said.clone()));
        let whole = client.post("/v2/chat", &asked(model, false)).json();
        assert_eq!(whole["message"]["content"], json!([{"type": "text", "text": "Hello"}]), "{model}");
        assert_eq!(whole["message"]["tool_calls"][0]["function"]["name"], "look", "{model}");
        assert_eq!(whole["finish_reason"], "TOOL_CALL", "{model}");
        assert_eq!(whole["usage"]["tokens"]["output_tokens"], 4, "{model}");
        upstream.push(Script::says(said));
        let stream = client.post("/v2/chat", &asked(model, true));
        let events: Vec<Value> = stream
            .text()
            .lines()
            .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
            .collect();
        let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!((kinds.first(), kinds.last()), (Some(&"message-start"), Some(&"message-end")), "{model}");
        let text: String =
            events.iter().filter_map(|event| event["delta"]["message"]["content"]["text"].as_str()).collect();
        assert_eq!(text, "Hello", "{model}");
        let end = events.last().unwrap();
        assert_eq!(end["delta"]["finish_reason"], "TOOL_CALL", "{model}");
        assert_eq!(end["delta"]["usage"]["tokens"]["output_tokens"], 4, "{model}: {end}");
        upstream.push(Script::fails(429, "slow down"));
        let refused = client.post("/v2/chat", &asked(model, false));
        assert_eq!(refused.status, 429, "{model}");
        assert!(refused.json()["message"].as_str().unwrap().contains("slow down"), "{}", refused.text());
    }
}

#[test]
fn ollama_clients_are_served_by_every_dialect_and_stream_unless_they_say_no() {
    let upstream = Upstream::start();
    let (_gateway, client) = started(&upstream);
    for model in ["cohere", "ollama", "openai", "anthropic"] {
        let said = Said { used: used(), ..Said::text(["Hel", "lo"]) }.tool("c1", "look", &["{\"a\":", "1}"]);
        let mut asked = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        upstream.push(Script::says(said.clone()));
        let stream = client.post("/api/chat", &asked);
        assert_eq!(stream.header("content-type"), "application/x-ndjson", "{model}: {}", stream.text());
        let lines: Vec<Value> =
            stream.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let text: String = lines.iter().filter_map(|line| line["message"]["content"].as_str()).collect();
        assert_eq!(text, "Hello", "{model}");
        let call = lines.iter().find_map(|line| line["message"]["tool_calls"].get(0)).unwrap();
        assert_eq!(call["function"], json!({"name": "look", "arguments": {"a": 1}}), "{model}");
        asked["stream"] = false.into();
        upstream.push(Script::says(said));
        let whole = client.post("/api/chat", &asked).json();
        assert_eq!((&whole["message"]["content"], &whole["model"]), (&json!("Hello"), &json!(model)));
        for end in [lines.last().unwrap(), &whole] {
            assert_eq!((&end["done"], &end["eval_count"]), (&json!(true), &json!(4)), "{model}");
        }
        upstream.push(Script::fails(404, "no such model"));
        let refused = client.post("/api/chat", &asked);
        assert_eq!(refused.status, 404, "{model}");
        assert!(refused.json()["error"].as_str().unwrap().contains("no such model"), "{}", refused.text());
    }
}

#[test]
fn cohere_clients_get_vectors() {
    let upstream = Upstream::start();
    let (_gateway, client) = started(&upstream);
    let body = json!({"model": "cohere", "texts": ["a", "b"], "input_type": "search_query",
                      "embedding_types": ["float"]});
    let answer = client.post("/v2/embed", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["embeddings"]["float"], json!([[0, 0.5, -1.0], [1, 0.5, -1.0]]));
    assert_eq!(upstream.last().path, "/v2/embed");
}
