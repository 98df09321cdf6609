//! Google's API: its clients, whoever answers them, and its two services, whoever asks.

use gatewright_tests::answer::{anthropic, gemini, openai};
use gatewright_tests::client::{Client, chat, message};
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::google;
use gatewright_tests::upstream::{Said, Script, Upstream};
use serde_json::{Value, json};

const MODELS: [(&str, &str); 3] =
    [("o", "openai/gpt-4o"), ("a", "anthropic/claude-sonnet-4-5"), ("g", "gemini/gemini-2.5-flash")];

fn gateway(upstream: &Upstream) -> Gateway {
    let list: String = MODELS.iter().map(|(name, model)| deployment(name, model, upstream, "")).collect();
    Gateway::start(&format!("router_settings: {{num_retries: 0}}\nmodel_list:\n{list}"))
}

fn asks(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})
}

#[test]
fn googles_clients_are_answered_whole_as_events_and_as_a_list() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream);
    let client = Client::of(&gateway);
    for (name, _) in MODELS {
        for base in ["/v1beta/models", "/v1/models", "/models"] {
            let asked = asks("n=3 in=12 out=4");
            let whole = client.post(&format!("{base}/{name}:generateContent"), &asked);
            let events = client.post(&format!("{base}/{name}:streamGenerateContent?alt=sse"), &asked);
            let list = client.post(&format!("{base}/{name}:streamGenerateContent"), &asked);
            assert_eq!(list.header("content-type"), "application/json");
            assert!(events.header("content-type").starts_with("text/event-stream"));
            let items = list.json();
            let as_events: String =
                items.as_array().unwrap().iter().map(|item| format!("data: {item}\n\n")).collect();
            for got in [
                gemini::whole(&whole.json()),
                gemini::stream(&events.body),
                gemini::stream(as_events.as_bytes()),
            ] {
                assert!(got.faults.is_empty(), "{name}: {:?}", got.faults);
                assert_eq!((got.text.as_str(), got.model.as_str()), ("w0 w1 w2 ", name));
                assert_eq!(got.finish.as_deref(), Some("STOP"));
                assert_eq!(got.usage.map(|usage| (usage.input, usage.output)), Some((12, 4)), "{name}");
            }
        }
    }
}

#[test]
fn a_key_comes_in_googles_places() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream);
    let nobody = Client::with_key(&gateway, "wrong");
    let path = "/v1beta/models/g:generateContent";
    assert_eq!(nobody.post(path, &asks("hi")).status, 401);
    let key = gatewright_tests::gateway::MASTER_KEY;
    assert_eq!(
        Client::with_key(&gateway, "").header("x-goog-api-key", key).post(path, &asks("hi")).status,
        200
    );
    assert_eq!(Client::with_key(&gateway, "").post(&format!("{path}?key={key}"), &asks("hi")).status, 200);
}

#[test]
fn what_google_alone_knows_reaches_it_byte_for_byte() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream);
    let body = r#"{"contents":[{"parts":[{"text":"hi é"}]}],"new":{"b":1.50,"a":[1E2]},"generation_config":{"x":-0.0}}"#;
    let response = Client::of(&gateway).post_bytes("/v1beta/models/g:generateContent", body.as_bytes());
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(upstream.last().body, body);
}

#[test]
fn what_is_wrong_is_told_in_googles_words() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream);
    let client = Client::of(&gateway);
    for (path, body, status, word) in [
        ("/v1beta/models/g:dream", asks("hi"), 404, "NOT_FOUND"),
        ("/v1beta/models/g:generateContent", json!({}), 400, "INVALID_ARGUMENT"),
        ("/v1beta/models/o:generateContent", json!({"contents": 3}), 400, "INVALID_ARGUMENT"),
        ("/v1beta/models/a:generateContent", asks("status=429"), 429, "RESOURCE_EXHAUSTED"),
        ("/v1beta/models/g:generateContent", asks("status=503"), 503, "UNAVAILABLE"),
    ] {
        let response = client.post(path, &body);
        let error = response.json()["error"].clone();
        assert_eq!(
            (response.status, error["code"].as_u64()),
            (status, Some(status.into())),
            "{path} {error}"
        );
        assert_eq!(error["status"], word, "{path}");
    }
    // A stream that fails after its first byte, as events and in the list.
    let broken = asks("n=20 error=6");
    let events = client.post("/v1beta/models/a:streamGenerateContent?alt=sse", &broken);
    assert_eq!(gemini::stream(&events.body).error.unwrap()["status"], "UNAVAILABLE");
    let list = client.post("/v1beta/models/a:streamGenerateContent", &broken).json();
    assert_eq!(list.as_array().unwrap().last().unwrap()["error"]["status"], "UNAVAILABLE");
}

#[test]
fn tokens_are_counted_in_each_clients_words_whoever_counts() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream);
    let client = Client::of(&gateway);
    for (name, _) in MODELS {
        let theirs = client.post("/v1/messages/count_tokens", &message(name, "in=17 hello", json!({})));
        let googles = client.post(&format!("/v1beta/models/{name}:countTokens"), &asks("in=17 hello"));
        let counts = [theirs.json()["input_tokens"].as_u64(), googles.json()["totalTokens"].as_u64()];
        let fits = |count: &Option<u64>| count.is_some_and(|n| if name == "o" { n < 40 } else { n == 17 });
        assert!(counts.iter().all(fits), "{name}: {counts:?}");
    }
}

#[test]
fn a_calls_signature_comes_back_with_the_call() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream);
    let client = Client::of(&gateway);
    let signed = || Said { signature: Some("c2lnbmVk".into()), ..Said::words(0).tool("", "look", &["{}"]) };
    let calls = |seen: &Value| seen["contents"][1]["parts"].clone();
    let function = json!({"name": "look", "parameters": {"type": "object", "properties": {}}});

    for stream in [false, true] {
        upstream.push(Script::says(signed()));
        let tools = json!([{"type": "function", "function": function}]);
        let first = chat("g", "look", json!({"tools": tools, "stream": stream}));
        let response = client.post("/v1/chat/completions", &first);
        let call = match stream {
            true => openai_call(&response.body),
            false => response.json()["choices"][0]["message"]["tool_calls"][0].clone(),
        };
        assert_eq!(call["provider_specific_fields"]["thought_signature"], "c2lnbmVk", "{call}");
        let mut turns = first["messages"].as_array().unwrap().clone();
        turns.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
        turns.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "a door"}));
        client.post("/v1/chat/completions", &json!({"model": "g", "messages": turns, "tools": tools}));
        let sent = calls(&upstream.last().json());
        assert_eq!(sent[0]["thoughtSignature"], "c2lnbmVk", "{sent}");
        assert_eq!(sent[0]["functionCall"]["id"], call["id"], "{sent}");
    }

    upstream.push(Script::says(signed()));
    let tools = json!([{"name": "look", "input_schema": {"type": "object", "properties": {}}}]);
    let first = message("g", "look", json!({"tools": tools}));
    let content = client.post("/v1/messages", &first).json()["content"].clone();
    let id =
        content.as_array().unwrap().iter().find(|block| block["type"] == "tool_use").unwrap()["id"].clone();
    let mut turns = first["messages"].as_array().unwrap().clone();
    turns.push(json!({"role": "assistant", "content": content}));
    turns.push(
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "a door"}]}),
    );
    client.post("/v1/messages", &json!({"model": "g", "max_tokens": 9, "messages": turns, "tools": tools}));
    let sent = calls(&upstream.last().json());
    assert_eq!(sent[0]["thoughtSignature"], "c2lnbmVk", "{sent}");
}

/// The call of a stream, put together as LiteLLM's clients do.
fn openai_call(body: &[u8]) -> Value {
    let mut whole = Value::Null;
    for (_, data) in gatewright_tests::answer::events(body) {
        let event: Value = serde_json::from_str(&data).unwrap_or_default();
        let call = &event["choices"][0]["delta"]["tool_calls"][0];
        match (call.is_null(), whole.is_null()) {
            (true, _) => {}
            (false, true) => whole = call.clone(),
            (false, false) => {
                let more = call["function"]["arguments"].as_str().unwrap_or_default();
                let so_far = whole["function"]["arguments"].as_str().unwrap_or_default();
                whole["function"]["arguments"] = format!("{so_far}{more}").into();
            }
        }
    }
    whole
}

/// Vertex AI behind `upstream`, its tokens from the same place.
fn vertex(upstream: &Upstream, models: &[&str]) -> Gateway {
    let account = google::service_account(&upstream.base()).to_string();
    let entry = |model: &&str| {
        let params = json!({
            "model": format!("vertex_ai/{model}"), "api_base": upstream.base(), "vertex_credentials": account,
            "vertex_location": "europe-west4",
        });
        format!("  - {}\n", json!({"model_name": model, "litellm_params": params}))
    };
    let list: String = models.iter().map(entry).collect();
    Gateway::start(&format!("router_settings: {{num_retries: 0}}\nmodel_list:\n{list}"))
}

#[test]
fn each_of_vertexs_models_is_asked_at_its_own_path_with_a_token_that_is_fetched_once_each() {
    let upstream = Upstream::start();
    upstream.choose(|seen| {
        let json = vec![("content-type".to_owned(), "application/json".to_owned())];
        (seen.path == "/token").then(|| Script::replay(200, &json, google::token().to_string()))
    });
    let place = "/v1/projects/project/locations/europe-west4";
    let cases = [
        (
            "gemini-2.5-flash",
            "publishers/google/models/gemini-2.5-flash:generateContent",
            "publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        ),
        (
            "claude-sonnet-4-5",
            "publishers/anthropic/models/claude-sonnet-4-5:rawPredict",
            "publishers/anthropic/models/claude-sonnet-4-5:streamRawPredict",
        ),
        (
            "mistral-large",
            "publishers/mistralai/models/mistral-large:rawPredict",
            "publishers/mistralai/models/mistral-large:streamRawPredict",
        ),
        ("meta/llama-4", "endpoints/openapi/chat/completions", "endpoints/openapi/chat/completions"),
        ("4711", "endpoints/4711:generateContent", "endpoints/4711:streamGenerateContent?alt=sse"),
    ];
    let gateway = vertex(&upstream, &cases.map(|(model, ..)| model));
    let client = Client::of(&gateway);
    for (model, plain, streamed) in cases {
        let tokens = || upstream.seen().iter().filter(|seen| seen.path == "/token").count();
        let before = tokens();
        for (path, stream) in [(plain, false), (streamed, true), (plain, false)] {
            let response =
                client.post("/v1/chat/completions", &chat(model, "n=3", json!({"stream": stream})));
            let got = if stream { openai::stream(&response.body) } else { openai::whole(&response.json()) };
            assert_eq!(got.text, "w0 w1 w2 ", "{model}: {}", response.text());
            let seen = upstream.last();
            assert_eq!(seen.path, format!("{place}/{path}"));
            assert_eq!(seen.header("authorization"), "Bearer ya29.fake");
        }
        assert_eq!(tokens() - before, 1, "{model}");
    }
    let sent = client.post("/v1/messages", &message("claude-sonnet-4-5", "n=3", json!({})));
    assert_eq!(anthropic::whole(&sent.json()).text, "w0 w1 w2 ");
    let body = upstream.last().json();
    assert_eq!((body["anthropic_version"].as_str(), body.get("model")), (Some("vertex-2023-10-16"), None));
    let counted = client.post("/v1/messages/count_tokens", &message("claude-sonnet-4-5", "in=7", json!({})));
    assert_eq!(counted.json()["input_tokens"], 7);
    assert_eq!(upstream.last().path, format!("{place}/publishers/anthropic/models/count-tokens:rawPredict"));
    assert_eq!(upstream.last().json()["model"], "claude-sonnet-4-5");
}

#[test]
fn credentials_that_google_refuses_are_told_as_such_and_not_shown() {
    let upstream = Upstream::start();
    upstream.choose(|seen| {
        let json = vec![("content-type".to_owned(), "application/json".to_owned())];
        let refused =
            json!({"error": "invalid_grant", "error_description": String::from_utf8_lossy(&seen.body)});
        (seen.path == "/token").then(|| Script::replay(400, &json, refused.to_string()))
    });
    let gateway = vertex(&upstream, &["gemini-2.5-flash"]);
    let response = Client::of(&gateway).chat("gemini-2.5-flash", "hi");
    assert_eq!(response.status, 401);
    let text = response.text();
    assert!(text.contains("refused the deployment's credentials (400: invalid_grant)"), "{text}");
    assert!(!text.contains("assertion") && !gateway.log().contains("assertion"), "{text}");
    assert!(upstream.seen().iter().all(|seen| seen.path == "/token"), "nothing was asked without a token");
}
