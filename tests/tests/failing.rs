//! What a client sees when a provider fails: retries, fallbacks, and errors in the client's own dialect.

use gatewright_tests::answer::{Got, anthropic, openai};
use gatewright_tests::client::{Client, Response, chat, message};
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::{Ends, Pause, Said, Script, Upstream};
use serde_json::{Value, json};

const OPENAI: &str = "openai/gpt-4o";
const ANTHROPIC: &str = "anthropic/claude-sonnet-4-5";
const PATHS: [&str; 2] = ["/v1/chat/completions", "/v1/messages"];

/// A gateway whose group `a` falls back to `b`, with `retries` at each.
fn gateway(upstream: &Upstream, a: &str, b: &str, retries: u32) -> Gateway {
    let list = [deployment("a", a, upstream, ""), deployment("b", b, upstream, "")];
    Gateway::start(&format!(
        "router_settings: {{num_retries: {retries}, retry_after: 0, fallbacks: [{{a: [b]}}]}}\nmodel_list:\n{}",
        list.concat()
    ))
}

fn ask(client: &Client, path: &str, model: &str, stream: bool) -> Response {
    match path {
        "/v1/messages" => client.post(path, &message(model, "hi", json!({"stream": stream}))),
        _ => client.post(path, &chat(model, "hi", json!({"stream": stream}))),
    }
}

fn read(path: &str, stream: bool, response: &Response) -> Got {
    assert_eq!(response.status, 200, "{path} {stream}: {}", response.text());
    let got = match (path, stream) {
        ("/v1/messages", true) => anthropic::stream(&response.body),
        ("/v1/messages", false) => anthropic::whole(&response.json()),
        (_, true) => openai::stream(&response.body),
        (_, false) => openai::whole(&response.json()),
    };
    assert!(got.faults.is_empty(), "{path} {stream}: {:?}\n{}", got.faults, response.text());
    got
}

#[test]
fn a_failed_attempt_is_tried_again_before_the_client_sees_anything() {
    let failures = [
        ("an error", Script::fails(500, "broken")),
        ("overload", Script::fails(503, "busy")),
        ("a rate limit", Script::fails(429, "slow down").header("retry-after", "0")),
        ("a cut head", Script { cut_before_head: true, ..Script::default() }),
    ];
    // Each waits between its attempts, so they go side by side.
    std::thread::scope(|scope| {
        for (name, script) in failures {
            for path in PATHS {
                for stream in [false, true] {
                    let script = script.clone();
                    scope.spawn(move || tried_again(name, script, path, stream));
                }
            }
        }
    });
}

fn tried_again(name: &str, script: Script, path: &str, stream: bool) {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, OPENAI, ANTHROPIC, 2);
    upstream.push(script.clone());
    upstream.push(script);
    let response = ask(&Client::of(&gateway), path, "a", stream);
    let got = read(path, stream, &response);
    assert_eq!(got.text, "w0 w1 w2 w3 w4 ", "{name} {path} {stream}");
    assert_eq!(response.header("x-litellm-attempted-retries"), "2", "{name} {path} {stream}");
    assert_eq!(upstream.seen().len(), 3, "{name} {path} {stream}");
}

#[test]
fn a_stream_that_fails_before_its_first_content_is_tried_again() {
    let failures = [
        ("opens with an error", Ends::Error("overloaded".into())),
        ("is cut", Ends::Cut),
        ("ends", Ends::Close),
        ("turns to rubbish", Ends::Bytes("data: <html>\n\n".into())),
    ];
    std::thread::scope(|scope| {
        for (name, how) in failures {
            for path in PATHS {
                for model in [OPENAI, ANTHROPIC] {
                    let how = how.clone();
                    scope.spawn(move || opened_again(name, &how, path, model));
                }
            }
        }
    });
}

fn opened_again(name: &str, how: &Ends, path: &str, model: &str) {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, model, model, 1);
    // The first event of each dialect carries no content.
    for after in [0, 1] {
        let before = upstream.seen().len();
        upstream.push(Script::default().stopping(after, how.clone()));
        let got = read(path, true, &ask(&Client::of(&gateway), path, "a", true));
        let about = format!("a stream that {name} after {after}, {path} to {model}");
        assert_eq!(got.text, "w0 w1 w2 w3 w4 ", "{about}");
        assert!(got.error.is_none(), "{about}");
        assert_eq!(upstream.seen().len(), before + 2, "{about}");
    }
}

#[test]
fn a_group_that_fails_is_replaced_by_its_fallback_across_dialects() {
    for (a, b) in [(OPENAI, ANTHROPIC), (ANTHROPIC, OPENAI), (OPENAI, OPENAI), (ANTHROPIC, ANTHROPIC)] {
        let upstream = Upstream::start();
        let gateway = gateway(&upstream, a, b, 0);
        let client = Client::of(&gateway);
        for path in PATHS {
            for stream in [false, true] {
                upstream.push(Script::fails(500, "broken"));
                let response = ask(&client, path, "a", stream);
                let got = read(path, stream, &response);
                assert_eq!(got.text, "w0 w1 w2 w3 w4 ", "{a} {b} {path} {stream}");
                assert_eq!(got.model, "b", "the group that answered: {a} {b} {path} {stream}");
                assert_eq!(response.header("x-litellm-attempted-fallbacks"), "1");
            }
        }
        upstream.push(Script::fails(500, "broken"));
        let own = client.post("/v1/chat/completions", &chat("b", "hi", json!({"fallbacks": ["a"]})));
        assert_eq!(own.json()["model"], "a", "a client's own fallback");
    }
}

#[test]
fn a_request_at_fault_is_not_tried_again() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, OPENAI, ANTHROPIC, 2);
    let client = Client::of(&gateway);
    for status in [400, 422] {
        let before = upstream.seen().len();
        upstream.push(Script::fails(status, "your fault"));
        assert_eq!(client.chat("a", "hi").status, status);
        assert_eq!(upstream.seen().len(), before + 1);
    }
}

#[test]
fn errors_come_in_the_clients_dialect_with_the_providers_words() {
    let upstream = Upstream::start();
    let list = [deployment("o", OPENAI, &upstream, ""), deployment("a", ANTHROPIC, &upstream, "")];
    let gateway = Gateway::start(&format!(
        "router_settings: {{num_retries: 0, disable_cooldowns: true}}\nmodel_list:\n{}",
        list.concat()
    ));
    let client = Client::of(&gateway);
    let table = [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "authentication_error", "authentication_error"),
        (403, "permission_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (429, "throttling_error", "rate_limit_error"),
        (500, "internal_server_error", "api_error"),
        (503, "internal_server_error", "overloaded_error"),
    ];
    for (status, openai_type, anthropic_type) in table {
        for model in ["o", "a"] {
            for stream in [false, true] {
                upstream.push(Script::fails(status, "so it said").header("retry-after", "7"));
                let response = ask(&client, PATHS[0], model, stream);
                let body = response.json();
                let about = format!("{status} {model} {stream}: {body}");
                assert_eq!(response.status, status, "{about}");
                assert!(body["error"]["message"].as_str().unwrap().contains("so it said"), "{about}");
                assert_eq!(body["error"]["code"], json!(status.to_string()), "{about}");
                assert!(body["error"].get("param").is_some(), "{about}");
                let kinds =
                    [openai_type, "invalid_request_error", anthropic_type, "server_error", "requests"];
                assert!(kinds.contains(&body["error"]["type"].as_str().unwrap()), "{about}");
                upstream.push(Script::fails(status, "so it said").header("retry-after", "7"));
                let response = ask(&client, PATHS[1], model, stream);
                let body = response.json();
                let about = format!("{status} {model} {stream}: {body}");
                assert_eq!(response.status, status, "{about}");
                assert_eq!(body["type"], "error", "{about}");
                assert_eq!(body["error"]["type"], anthropic_type, "{about}");
                assert!(body["error"]["message"].as_str().unwrap().contains("so it said"), "{about}");
                if status == 429 {
                    assert_eq!(response.header("retry-after"), "7", "{about}");
                }
            }
        }
    }
}

#[test]
fn a_deployment_without_money_is_left_at_once_and_its_status_is_shown() {
    let upstream = Upstream::start();
    let quota = || {
        let error = json!({"message": "You exceeded your current quota", "type": "insufficient_quota",
            "param": null, "code": "insufficient_quota"});
        Script::replay(429, &[], json!({ "error": error }).to_string())
    };
    let gateway = gateway(&upstream, OPENAI, ANTHROPIC, 2);
    let client = Client::of(&gateway);
    upstream.push(quota());
    let response = ask(&client, PATHS[0], "a", false);
    assert_eq!(read(PATHS[0], false, &response).text, "w0 w1 w2 w3 w4 ");
    assert_eq!(response.header("x-litellm-attempted-fallbacks"), "1", "{:?}", response.headers);
    assert_eq!(upstream.seen().len(), 2);
    upstream.choose(move |_| Some(quota()));
    for (path, kind) in PATHS.iter().zip(["throttling_error", "rate_limit_error"]) {
        let response = ask(&client, path, "a", false);
        assert_eq!(response.status, 429);
        let error = &response.json()["error"];
        assert_eq!(error["type"], kind, "{error}");
        assert!(error["message"].as_str().unwrap().contains("RateLimitError: OpenAIException"), "{error}");
    }
}

#[test]
fn a_stream_that_fails_after_its_first_content_ends_with_an_error_in_the_clients_dialect() {
    let upstream = Upstream::start();
    let list = [deployment("o", OPENAI, &upstream, ""), deployment("a", ANTHROPIC, &upstream, "")];
    let gateway =
        Gateway::start(&format!("router_settings: {{num_retries: 2}}\nmodel_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    let ends = [
        Ends::Cut,
        Ends::CutInside(7),
        Ends::Close,
        Ends::Error("overloaded".into()),
        Ends::Bytes("data: <html>oops</html>\n\n".into()),
    ];
    for model in ["o", "a"] {
        for how in &ends {
            let before = upstream.seen().len();
            upstream.push(Script::says(Said::words(20)).stopping(6, how.clone()));
            let response = ask(&client, PATHS[0], model, true);
            let text = response.text();
            let error = chunks(&text).into_iter().find(|chunk| chunk.get("error").is_some());
            let error = error.unwrap_or_else(|| panic!("no error event: {model} {how:?}\n{text}"));
            assert!(error["error"]["message"].is_string() && error["error"]["code"].is_string(), "{error}");
            assert!(
                text.contains("w1") && text.trim_end().ends_with("data: [DONE]"),
                "{model} {how:?}\n{text}"
            );
            assert!(response.whole, "the client's connection breaks: {model} {how:?}");
            upstream.push(Script::says(Said::words(20)).stopping(6, how.clone()));
            let response = ask(&client, PATHS[1], model, true);
            let text = response.text();
            let got = anthropic::stream(&response.body);
            let error = got.error.unwrap_or_else(|| panic!("no error event: {model} {how:?}\n{text}"));
            assert!(error["type"].is_string() && error["message"].is_string(), "{error}");
            assert!(text.contains("w1") && !text.contains("message_stop"), "{model} {how:?}\n{text}");
            assert!(response.whole, "the client's connection breaks: {model} {how:?}");
            assert_eq!(upstream.seen().len(), before + 2, "tried again after content: {model} {how:?}");
        }
    }
}

#[test]
fn a_provider_that_stalls_is_given_up() {
    let upstream = Upstream::start();
    let list = [
        deployment("a", OPENAI, &upstream, "timeout: 0.3, stream_timeout: 0.3"),
        deployment("b", ANTHROPIC, &upstream, ""),
    ];
    let gateway = Gateway::start(&format!(
        "router_settings: {{num_retries: 0, fallbacks: [{{a: [b]}}]}}\nmodel_list:\n{}",
        list.concat()
    ));
    let client = Client::of(&gateway);
    for (stream, script) in [
        (false, Script { before_head: Pause::Forever, ..Script::default() }),
        (true, Script { before_head: Pause::Forever, ..Script::default() }),
        (true, Script::default().stopping(0, Ends::Stall)),
        (true, Script::default().stopping(1, Ends::Stall)),
    ] {
        upstream.push(script);
        let got = read(PATHS[0], stream, &ask(&client, PATHS[0], "a", stream));
        assert_eq!(got.model, "b");
    }
}

#[test]
fn a_provider_that_answers_with_a_page_is_an_error_and_not_a_crash() {
    let upstream = Upstream::start();
    let list = [deployment("o", OPENAI, &upstream, ""), deployment("a", ANTHROPIC, &upstream, "")];
    let gateway =
        Gateway::start(&format!("router_settings: {{num_retries: 0}}\nmodel_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    let html = [("content-type".to_owned(), "text/html".to_owned())];
    for status in [200, 404, 502] {
        for model in ["o", "a"] {
            for path in PATHS {
                for stream in [false, true] {
                    upstream.push(Script::replay(status, &html, "<html><h1>It works</h1></html>"));
                    let response = ask(&client, path, model, stream);
                    let about =
                        format!("{status} {model} {path} {stream}: {} {}", response.status, response.text());
                    assert!(response.status >= 400, "{about}");
                    assert!(response.json()["error"]["message"].is_string(), "{about}");
                }
            }
        }
    }
}

fn chunks(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

#[test]
fn a_client_may_ask_for_retries_and_for_none() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, OPENAI, ANTHROPIC, 1);
    let client = Client::of(&gateway);
    for (more, attempts) in [
        (json!({"num_retries": 0, "disable_fallbacks": true}), 1),
        (json!({"num_retries": 2, "disable_fallbacks": true}), 3),
        (json!({"num_retries": 0}), 2),
    ] {
        let before = upstream.seen().len();
        (0..attempts).for_each(|_| upstream.push(Script::fails(500, "broken")));
        let response = client.post(PATHS[0], &chat("a", "hi", more.clone()));
        assert_eq!(response.status, 500, "{more}");
        assert_eq!(upstream.seen().len(), before + attempts, "{more}");
        // What is for the gateway is not for the provider.
        assert!(
            upstream.seen()[before..].iter().all(|seen| seen.json().get("num_retries").is_none()),
            "{more}"
        );
    }
}

#[test]
fn an_error_names_the_deployment_that_failed() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, OPENAI, ANTHROPIC, 0);
    let client = Client::of(&gateway);
    for (path, group, name) in [("/v1/chat/completions", "a", OPENAI), ("/v1/messages", "b", ANTHROPIC)] {
        upstream.push(Script::fails(400, "no").header("request-id", "req_7"));
        let failed = ask(&client, path, group, false);
        let served = ask(&client, path, group, false);
        assert_eq!((failed.status, served.status), (400, 200));
        assert_eq!(failed.header("x-litellm-model-name"), name);
        assert_eq!(failed.header("x-litellm-model-id"), served.header("x-litellm-model-id"));
        assert_eq!(failed.header("request-id"), "req_7");
    }
    let unknown = ask(&client, "/v1/messages", "nobody", false);
    assert_eq!(unknown.header("x-litellm-model-id"), "");
}

#[test]
fn the_providers_headers_are_shown_on_errors_too_or_not_at_all() {
    let upstream = Upstream::start();
    for (setting, shown) in [("", "7"), ("litellm_settings: {return_response_headers: false}\n", "")] {
        let list = deployment("m", OPENAI, &upstream, "");
        let gateway = Gateway::start(&format!("{setting}model_list:\n{list}"));
        for script in [Script::fails(400, "no"), Script::default()] {
            upstream.push(script.header("x-ratelimit-remaining-requests", "7"));
            let response = Client::of(&gateway).chat("m", "hi");
            for name in ["x-ratelimit-remaining-requests", "llm_provider-x-ratelimit-remaining-requests"] {
                assert_eq!(response.header(name), shown, "{} {setting}", response.status);
            }
        }
    }
}
