//! What happens before a call goes anywhere: keys, limits, malformed requests, and a body that is only data.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use gatewright_tests::client::{Client, Live, chat, message};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment, model};
use gatewright_tests::upstream::{Ends, Gate, Script, Upstream};
use serde_json::json;

fn start(upstream: &Upstream) -> Gateway {
    Gateway::start(&model("m", "openai/gpt-4o", upstream))
}

#[test]
fn a_key_is_taken_from_every_header_that_clients_use() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    for (name, value) in [
        ("authorization", format!("Bearer {MASTER_KEY}")),
        ("authorization", MASTER_KEY.to_owned()),
        ("x-litellm-api-key", MASTER_KEY.to_owned()),
        ("x-api-key", MASTER_KEY.to_owned()),
        ("api-key", MASTER_KEY.to_owned()),
    ] {
        let client = Client::new(gateway.addr()).header(name, &value);
        assert_eq!(client.chat("m", "hi").status, 200, "{name}");
        assert_eq!(client.get("/v1/models").status, 200, "{name}");
    }
    // The gateway's key is not for the provider.
    assert!(upstream.seen().iter().all(|seen| !format!("{:?}", seen.headers).contains(MASTER_KEY)));
    assert!(upstream.seen().iter().all(|seen| seen.header("authorization") == "Bearer sk-upstream"));
}

#[test]
fn without_a_good_key_nothing_is_served() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    for (client, kind) in [
        (Client::new(gateway.addr()), "auth_error"),
        (Client::new(gateway.addr()).header("authorization", "Bearer sk-wrong"), "token_not_found_in_db"),
        (Client::new(gateway.addr()).header("authorization", "Bearer"), "auth_error"),
        (Client::new(gateway.addr()).header("x-api-key", &MASTER_KEY[..12]), "token_not_found_in_db"),
    ] {
        let response = client.chat("m", "hi");
        assert_eq!(response.status, 401, "{client:?}: {}", response.text());
        assert_eq!(response.json()["error"]["type"], kind);
        let response = client.post("/v1/messages", &message("m", "hi", json!({})));
        assert_eq!(response.status, 401);
        assert!(response.json()["error"]["message"].is_string());
        assert_eq!(client.get("/v1/models").status, 401);
        assert_eq!(client.get("/model/info").status, 401);
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_request_without_a_good_key_is_refused_before_its_body_comes() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    for key in ["", "authorization: Bearer sk-wrong\r\n"] {
        let client = Client::new(gateway.addr());
        let mut socket = client.connect().unwrap();
        let head = client.head("POST", "/v1/chat/completions");
        write!(socket, "{head}{key}content-type: application/json\r\ncontent-length: 90000000\r\n\r\n")
            .unwrap();
        assert_eq!(Live::read(socket).unwrap().status, 401);
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&model("m", "openai/gpt-4o", &upstream));
    let client = Client::of(&gateway);
    // Refused by its head alone.
    let mut socket = client.connect().unwrap();
    let head = client.head("POST", "/v1/chat/completions");
    write!(socket, "{head}content-type: application/json\r\ncontent-length: 900000000\r\n\r\n{{").unwrap();
    let live = Live::read(socket).unwrap();
    assert_eq!(live.status, 413);
    assert!(upstream.seen().is_empty());
    // Nothing broke.
    assert_eq!(client.chat("m", &"x".repeat(1 << 20)).status, 200);
}

#[test]
fn a_body_without_a_length_is_limited_too() {
    let upstream = Upstream::start();
    let list = model("m", "openai/gpt-4o", &upstream);
    let gateway = Setup::new(format!("{list}general_settings: {{max_request_size_mb: 1}}\n")).start();
    let client = Client::new(gateway.addr());
    let mut socket = client.connect().unwrap();
    let head = client.head("POST", "/v1/chat/completions");
    write!(socket, "{head}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    let piece = "x".repeat(1 << 16);
    // It may answer and close before everything is sent.
    let _ = (0..32).try_for_each(|_| write!(socket, "{:x}\r\n{piece}\r\n", piece.len()));
    assert_eq!(Live::read(socket).unwrap().status, 413);
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_client_that_waits_for_a_go_ahead_gets_it() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let client = Client::of(&gateway);
    let body = chat("m", "hi", json!({})).to_string();
    let mut socket = client.connect().unwrap();
    let head = client.head("POST", "/v1/chat/completions");
    let length = body.len();
    write!(
        socket,
        "{head}content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    )
    .unwrap();
    let mut go_ahead = [0; 25];
    socket.read_exact(&mut go_ahead).unwrap();
    assert_eq!(&go_ahead, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(body.as_bytes()).unwrap();
    assert_eq!(Live::read(socket).unwrap().status, 200);
}

#[test]
fn a_body_that_is_no_request_is_refused() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let client = Client::of(&gateway);
    let deep =
        format!("{{\"model\":\"m\",\"messages\":[],\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies = [
        ("nothing", ""),
        ("no JSON", "model=m"),
        ("half a JSON", r#"{"model":"m","messages":["#),
        ("a list", "[]"),
        ("two models", r#"{"model":"m","messages":[],"model":"other"}"#),
        ("two models, one spelt with an escape", r#"{"model":"m","messages":[],"mode\u006c":"other"}"#),
        ("no model", r#"{"messages":[]}"#),
        ("a model that is no text", r#"{"model":7,"messages":[]}"#),
        ("more after the end", r#"{"model":"m","messages":[]} {}"#),
        ("depth without end", &deep),
    ];
    for (name, body) in bodies {
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let response = client.post_bytes(path, body.as_bytes());
            assert_eq!(response.status, 400, "{name} at {path}: {}", response.text());
            assert!(response.json()["error"]["message"].is_string(), "{name}");
        }
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_name_that_no_model_has_goes_nowhere() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&model("\"*\"", "openai/*", &upstream));
    let client = Client::of(&gateway);
    assert_eq!(client.chat(&"x".repeat(1024), "hi").status, 200);
    let refused = client.chat(&"x".repeat(1025), "hi");
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["param"], "model");
    assert!(refused.body.len() < 500, "{}", refused.text());
    assert_eq!(gateway.journal().len(), 1);
}

#[test]
fn a_compressed_body_is_told_as_such() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let client = Client::of(&gateway).header("content-encoding", "gzip");
    for path in ["/v1/chat/completions", "/v1/messages"] {
        let response = client.post_bytes(path, b"\x1f\x8b\x08\x00");
        assert_eq!(response.status, 415, "{}", response.text());
        assert!(response.text().contains("gzip"), "{}", response.text());
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn an_unknown_model_and_an_unknown_path_are_told_apart() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let client = Client::of(&gateway);
    let response = client.chat("nobody", "hi");
    assert_eq!(response.status, 400);
    assert!(response.json()["error"]["message"].as_str().unwrap().contains("nobody"), "{}", response.text());
    assert_eq!(client.post("/v1/nothing", &json!({})).status, 404);
    assert_eq!(client.get("/v1/chat/completions").status, 405);
    let response = client.post("/v1/messages", &message("nobody", "hi", json!({})));
    assert_eq!(response.json()["type"], "error", "{}", response.text());
}

#[test]
fn a_body_is_data_and_changes_neither_host_nor_credentials() {
    let (upstream, stranger) = (Upstream::start(), Upstream::start());
    let list = [
        deployment("m", "openai/gpt-4o", &upstream, ""),
        deployment("a", "anthropic/claude-sonnet-4-5", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway)
        .header("host-override", &stranger.base())
        .header("x-forwarded-host", "example.com")
        .header("openai-organization", "org-of-a-stranger");
    for (field, value) in [
        ("api_base", json!(stranger.base())),
        ("base_url", json!(stranger.base())),
        ("api_key", json!("sk-of-a-stranger")),
        ("extra_headers", json!({"authorization": "Bearer sk-of-a-stranger", "x-injected": "1"})),
        ("headers", json!({"x-api-key": "sk-of-a-stranger", "x-injected": "1"})),
        ("extra_body", json!({"api_key": "sk-of-a-stranger"})),
        ("extra_query", json!({"key": "sk-of-a-stranger"})),
        ("custom_llm_provider", json!("anthropic")),
        ("organization", json!("org-of-a-stranger")),
        ("api_version", json!("../../elsewhere")),
        (
            "user_config",
            json!({"model_list": [{"model_name": "m", "litellm_params": {"model": "openai/x", "api_base": stranger.base()}}]}),
        ),
    ] {
        for model in ["m", "a"] {
            let before = upstream.seen().len();
            let more = json!({field: value});
            client.post("/v1/chat/completions", &chat(model, "hi", more.clone()));
            client.post("/v1/messages", &message(model, "hi", more));
            for seen in &upstream.seen()[before..] {
                let (path, key) = match model {
                    "m" => ("/v1/chat/completions", seen.header("authorization")),
                    _ => ("/v1/messages", seen.header("x-api-key")),
                };
                assert_eq!(seen.path, path, "{field} {model}");
                assert_eq!(key.trim_start_matches("Bearer "), "sk-upstream", "{field} {model}");
                assert_eq!(seen.header("x-injected"), "", "{field} {model}");
                assert_eq!(seen.header("openai-organization"), "", "{field} {model}");
                assert_eq!(seen.header("host"), upstream.addr().to_string(), "{field} {model}");
            }
        }
    }
    assert!(stranger.seen().is_empty(), "{:?}", stranger.seen());
}

#[test]
fn slow_headers_are_not_waited_for() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let mut socket = Client::of(&gateway).connect().unwrap();
    socket.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n").unwrap();
    let started = Instant::now();
    let mut rest = Vec::new();
    // Whether it says goodbye or not, the connection must end.
    let _ = socket.read_to_end(&mut rest);
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(9), "closed after {waited:?}");
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&rest));
    assert_eq!(Client::of(&gateway).chat("m", "hi").status, 200);
}

#[test]
fn the_models_are_listed_for_clients_and_operators() {
    let upstream = Upstream::start();
    let list = [
        deployment("m", "openai/gpt-4o", &upstream, ""),
        deployment("m", "openai/gpt-4o-mini", &upstream, ""),
        deployment("not-yet", "petals/stable-beluga-2", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    for path in ["/v1/models", "/models"] {
        let models = client.get(path).json();
        let ids: Vec<&str> =
            models["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["m", "not-yet"], "{models}");
        assert_eq!(models["object"], "list");
        assert_eq!(models["data"][0]["created"], 1_677_610_602);
    }
    assert_eq!(client.get("/v1/models/m").json()["id"], "m");
    assert_eq!(client.get("/v1/models/nobody").status, 404);
    let info = client.get("/model/info").json();
    assert_eq!(info["data"].as_array().unwrap().len(), 3, "{info}");
    assert!(!info.to_string().contains("sk-upstream"), "{info}");
    let refused = client.chat("not-yet", "hi");
    assert!((400..=501).contains(&refused.status), "{}", refused.text());
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("petals"), "{}", refused.text());
}

#[test]
fn the_page_of_the_api_needs_neither_a_key_nor_the_internet() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let client = Client::new(gateway.addr());
    let page = client.get("/docs");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let files: Vec<String> =
        page.text().split('"').filter(|word| word.starts_with('/')).map(str::to_owned).collect();
    assert_eq!(files.len(), 3, "{}", page.text());
    for file in files {
        let served = client.get(&file);
        let packed = served.header("content-encoding") == "gzip";
        assert_eq!((served.status, packed), (200, !file.ends_with("start.js")), "{file}");
        assert_eq!(packed, served.body.starts_with(&[0x1f, 0x8b]), "{file}");
    }
    assert!(!page.text().contains("//"), "nothing of another host");
    assert!(client.get("/docs/start.js").text().contains("/openapi.json"));
    assert_eq!(client.get("/openapi.json").json()["openapi"], "3.1.0");
}

#[test]
fn health_is_told_without_a_call() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    for path in ["/health/liveliness", "/health/readiness", "/"] {
        assert_eq!(Client::new(gateway.addr()).get(path).status, 200, "{path}");
    }
    assert_eq!(Client::new(gateway.addr()).get("/health").status, 401);
    assert_eq!(Client::of(&gateway).get("/health").status, 200);
}

#[test]
fn a_gateway_that_stops_lets_its_streams_end() {
    let upstream = Upstream::start();
    let mut gateway = start(&upstream);
    let gate = Gate::default();
    upstream.push(Script::default().stopping(3, Ends::Hold(gate.clone())));
    let mut live =
        Client::of(&gateway).start("/v1/chat/completions", &chat("m", "hi", json!({"stream": true})));
    live.event_with("w1");
    gateway.terminate();
    let client = Client::of(&gateway);
    let closed = gatewright_tests::gateway::poll(Duration::from_secs(10), || {
        client.try_get("/health/liveliness").is_err().then_some(())
    });
    assert!(closed.is_some(), "it still takes new connections");
    assert!(gateway.runs(), "it did not wait for the stream: {}", gateway.log());
    gate.open();
    live.event_with("[DONE]");
    assert!(gateway.wait_for_exit().success(), "{}", gateway.log());
    let entries = gateway.journal();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].ending(), "complete");
    assert!(entries[0].is_exact());
}

#[test]
fn an_open_door_needs_a_good_lock() {
    let upstream = Upstream::start();
    let list = model("m", "openai/gpt-4o", &upstream);
    for (key, serves) in [("", false), ("general_settings:\n  master_key: sk-1234\n", false)] {
        let setup = Setup::new(format!("{list}{key}"));
        let (ok, text) = setup
            .arg("--config")
            .arg("config.yaml")
            .arg("--host")
            .arg("0.0.0.0")
            .arg("--port")
            .arg("0")
            .run();
        assert_eq!(ok, serves, "{text}");
        assert!(text.contains("master"), "{text}");
    }
}

#[test]
fn a_check_tells_every_problem_of_a_configuration_at_once() {
    let config = "model_list:\n  - model_name: m\n    litellm_params: {model: openai/gpt-4o, api_kye: x}\n\
                  router_settings: {num_retires: 3}\ngeneral_settings: {master_kye: sk-x}\nlitellm_setings: {}\n";
    let (_, text) = Setup::new(config).arg("--config").arg("config.yaml").arg("--check").run();
    for word in ["api_key", "num_retries", "master_key", "litellm_settings"] {
        assert!(text.contains(word), "no hint at {word}: {text}");
    }
}

#[test]
fn what_is_no_http_gets_an_answer_too() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let client = Client::of(&gateway);
    let post = client.head("POST", "/v1/chat/completions");
    for (name, request, status) in [
        ("two lengths", format!("{post}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}"), 400),
        ("a length with a sign", format!("{post}content-length: +2\r\n\r\n{{}}"), 400),
        ("a folded header", format!("{post}x-a: b\r\n c\r\ncontent-length: 2\r\n\r\n{{}}"), 400),
        (
            "an unknown coding",
            format!("{post}transfer-encoding: xchunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"),
            400,
        ),
        (
            "a chunk without a size",
            format!("{post}transfer-encoding: chunked\r\n\r\nZZ\r\n{{}}\r\n0\r\n\r\n"),
            400,
        ),
        ("a head that is too long", format!("{post}x-a: {}\r\n\r\n", "a".repeat(1 << 20)), 431),
        ("a url that is too long", client.head("GET", &format!("/{}", "a".repeat(70_000))) + "\r\n", 414),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n".to_owned(), 400),
    ] {
        let mut socket = client.connect().unwrap();
        // It may answer and close before everything is sent.
        let _ = socket.write_all(request.as_bytes());
        assert_eq!(Live::read(socket).unwrap().status, status, "{name}");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn an_answer_does_not_wait_for_what_the_client_sends_next() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let client = Client::of(&gateway);
    let head = client.head("POST", "/v1/chat/completions");
    for (stream, next) in
        [(false, "POST /v1/ch"), (true, "POST /v1/ch"), (false, "no HTTP\r\n\r\n"), (false, "\r\n")]
    {
        let gate = Gate::default();
        if stream {
            upstream.push(Script::default().stopping(3, Ends::Hold(gate.clone())));
        }
        let body = chat("m", "hi", json!({"stream": stream})).to_string();
        let length = body.len();
        let mut socket = client.connect().unwrap();
        write!(socket, "{head}content-length: {length}\r\n\r\n{body}{next}").unwrap();
        let mut live = Live::read(socket).unwrap();
        assert_eq!(live.status, 200, "{next:?}");
        match stream {
            true => drop(live.event_with("w1")),
            false => assert!(live.finish().whole, "{next:?}"),
        }
        gate.open();
    }
}

#[test]
fn a_page_may_call_a_gateway_that_asks_for_a_key() {
    let upstream = Upstream::start();
    let list = model("m", "openai/gpt-4o", &upstream);
    let (locked, open) =
        (Gateway::start(&list), Setup::new(format!("{list}general_settings: {{}}\n")).start());
    for (gateway, allowed) in [(&locked, "*"), (&open, "")] {
        let page = Client::of(gateway).header("origin", "https://page.example");
        let asks = page
            .clone()
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, content-type");
        let asked = asks.open("OPTIONS", "/v1/chat/completions", b"").unwrap();
        assert_eq!(asked.header("access-control-allow-origin"), allowed);
        assert_eq!(asked.status, if allowed.is_empty() { 405 } else { 204 });
        if !allowed.is_empty() {
            assert_eq!(asked.header("access-control-allow-headers"), "authorization, content-type");
        }
        for response in [page.chat("m", "hi"), page.chat("nobody", "hi"), page.get("/nothing")] {
            assert_eq!(response.header("access-control-allow-origin"), allowed, "{}", response.text());
            assert_eq!(response.header("access-control-expose-headers"), allowed);
        }
    }
    assert_eq!(Client::of(&locked).chat("m", "hi").header("access-control-allow-origin"), "");
}
