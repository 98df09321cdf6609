//! What passes through untouched, and what LiteLLM's clients expect to be changed.

use gatewright_tests::answer::{Got, anthropic, openai};
use gatewright_tests::client::{Client, chat, message};
use gatewright_tests::gateway::{Gateway, MASTER, Setup, deployment, model};
use gatewright_tests::upstream::{Chunks, Said, Script, Upstream, UsageForm};
use serde_json::{Value, json};

#[test]
fn what_the_gateway_does_not_know_passes_byte_for_byte() {
    let upstream = Upstream::start();
    let list = [
        deployment("o", "openai/gpt-4o", &upstream, ""),
        deployment("a", "anthropic/claude-sonnet-4-5", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    let turns = r#""messages":[{"role":"user","content":"hi é 😀","name":null}]"#;
    let unknown = r#""zzz":{"b":1.50,"a":[1E2,1e400,  -0.0,12345678901234567890123]} ,"temperature":0.70"#;
    for (path, name, upstream_name) in
        [("/v1/chat/completions", "o", "gpt-4o"), ("/v1/messages", "a", "claude-sonnet-4-5")]
    {
        let sent = format!(r#"{{{unknown},"model":"{name}",{turns},"max_tokens":7}}"#);
        let response = client.post_bytes(path, sent.as_bytes());
        assert_eq!(response.status, 200, "{}", response.text());
        let got = String::from_utf8(upstream.last().body.to_vec()).unwrap();
        assert!(got.contains(unknown), "{path}: {got}");
        assert!(got.contains(turns), "{path}: {got}");
        assert!(got.contains(&format!(r#""model":"{upstream_name}""#)), "{path}: {got}");
    }
}

#[test]
fn usage_comes_in_a_stream_only_where_it_was_asked_for() {
    let upstream = Upstream::start();
    let list = [
        deployment("o", "openai/gpt-4o", &upstream, ""),
        deployment("a", "anthropic/claude-sonnet-4-5", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    for name in ["o", "a"] {
        for usage in [UsageForm::Asked, UsageForm::Always, UsageForm::WithFinish, UsageForm::Everywhere] {
            for asked in [false, true] {
                upstream.push(Script { usage, ..Script::default() });
                let options = if asked {
                    json!({"stream": true, "stream_options": {"include_usage": true}})
                } else {
                    json!({"stream": true})
                };
                let response = client.post("/v1/chat/completions", &chat(name, "hi", options));
                let got = openai::stream(&response.body);
                assert!(got.faults.is_empty(), "{:?}", got.faults);
                assert_eq!(got.text, "w0 w1 w2 w3 w4 ", "{name} {usage:?} {asked}");
                let told = got.usage.map(|usage| (usage.input, usage.output));
                assert_eq!(told, asked.then_some((10, 5)), "{name} {usage:?} {asked}: {}", response.text());
                if name == "o" {
                    assert_eq!(upstream.last().json()["stream_options"]["include_usage"], true);
                }
            }
        }
    }
}

#[test]
fn the_client_sees_the_name_it_asked_for_and_who_answered() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&model("m", "openai/gpt-4o", &upstream));
    let client = Client::of(&gateway);
    let response = client.chat("m", "hi");
    assert_eq!(response.json()["model"], "m");
    for (name, value) in [
        ("x-litellm-model-group", "m"),
        ("x-litellm-attempted-retries", "0"),
        ("x-litellm-attempted-fallbacks", "0"),
        ("x-litellm-model-api-base", format!("{}/v1", upstream.base()).as_str()),
    ] {
        assert_eq!(response.header(name), value, "{name}");
    }
    for name in ["x-litellm-call-id", "x-litellm-model-id", "x-litellm-version"] {
        assert!(!response.header(name).is_empty(), "{name} in {:?}", response.headers);
    }
    // gpt-4o: 2.5 and 10 dollars a million tokens.
    assert_eq!(
        response.header("x-litellm-response-cost").parse::<f64>().ok(),
        Some(7.5e-5),
        "{:?}",
        response.headers
    );
    upstream.push(Script::default().header("x-request-id", "req_7").header("set-cookie", "a=b"));
    let response = client.chat("m", "hi");
    assert_eq!(response.header("llm_provider-x-request-id"), "req_7", "{:?}", response.headers);
    assert_eq!(response.header("set-cookie"), "");
    let response = client.post("/v1/chat/completions", &chat("m", "hi", json!({"stream": true})));
    assert_eq!(openai::stream(&response.body).model, "m");
    assert!(response.header("content-type").starts_with("text/event-stream"));
    assert!(!response.header("x-litellm-call-id").is_empty());
}

#[test]
fn the_model_may_stand_in_the_path() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&model("m", "openai/gpt-4o", &upstream));
    let client = Client::of(&gateway);
    let body = json!({"messages": [{"role": "user", "content": "hi"}]});
    for path in [
        "/openai/deployments/m/chat/completions",
        "/engines/m/chat/completions",
        "/openai/deployments/m/chat/completions?api-version=2024-02-01",
    ] {
        let response = client.post(path, &body);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        assert_eq!(upstream.last().json()["model"], "gpt-4o", "{path}");
    }
    assert_eq!(client.post("/chat/completions", &chat("m", "hi", json!({}))).status, 200);
}

#[test]
fn wildcards_and_aliases_find_their_deployment() {
    let upstream = Upstream::start();
    let list =
        [deployment("openai/*", "openai/*", &upstream, ""), deployment("m", "openai/gpt-4o", &upstream, "")];
    let gateway = Gateway::start(&format!(
        "router_settings: {{model_group_alias: {{nick: m}}}}\nmodel_list:\n{}",
        list.concat().replace("model_name: openai/*", "model_name: \"openai/*\"")
    ));
    let client = Client::of(&gateway);
    for (asked, sent) in [("openai/gpt-5-mini", "gpt-5-mini"), ("nick", "gpt-4o")] {
        let response = client.chat(asked, "hi");
        assert_eq!(response.status, 200, "{asked}: {}", response.text());
        assert_eq!(upstream.last().json()["model"], sent, "{asked}");
    }
}

/// A question, and what must come back through all four pairs of dialects.
struct Pair {
    name: &'static str,
    said: Said,
    check: fn(&Got, &str),
}

fn pairs() -> Vec<Pair> {
    let text = |text: &str| Said::text([text]);
    let mut parallel = Said::text(Vec::<String>::new())
        .tool("call_1", "weather", &["{\"ci", "ty\":\"Pa", "ris\"}"])
        .tool("call_2", "time", &["{\"zone\":\"CET\"}"]);
    parallel.interleave = true;
    let mut cached = text("hello");
    cached.used.cached = 6;
    cached.used.reasoning = 3;
    let mut long = text("cut short");
    long.finish = None;
    vec![
        Pair {
            name: "text",
            said: Said::text(["Grüße ", "aus ", "東京 😀"]),
            check: |got, about| assert_eq!(got.text, "Grüße aus 東京 😀", "{about}"),
        },
        Pair {
            name: "nothing",
            said: Said::text(Vec::<String>::new()),
            check: |got, about| assert_eq!(got.text, "", "{about}"),
        },
        Pair {
            name: "parallel tools",
            said: parallel,
            check: |got, about| {
                let calls: Vec<_> = got
                    .tools
                    .iter()
                    .map(|tool| {
                        (
                            tool.id.as_str(),
                            tool.name.as_str(),
                            serde_json::from_str::<Value>(&tool.arguments).unwrap(),
                        )
                    })
                    .collect();
                assert_eq!(
                    calls,
                    [
                        ("call_1", "weather", json!({"city": "Paris"})),
                        ("call_2", "time", json!({"zone": "CET"}))
                    ],
                    "{about}"
                );
                assert!(
                    ["tool_calls", "tool_use"].contains(&got.finish.as_deref().unwrap_or_default()),
                    "{about}"
                );
            },
        },
        Pair {
            name: "text and a tool",
            said: text("one moment").tool("call_1", "weather", &["{}"]),
            check: |got, about| {
                assert_eq!((got.text.as_str(), got.tools.len()), ("one moment", 1), "{about}")
            },
        },
        Pair {
            name: "thinking",
            said: text("42").thinking(["let me ", "see"], "c2ln"),
            check: |got, about| {
                assert_eq!((got.reasoning.as_str(), got.text.as_str()), ("let me see", "42"), "{about}")
            },
        },
        Pair {
            name: "caching",
            said: cached,
            check: |got, about| {
                assert_eq!(got.usage.map(|usage| (usage.input, usage.cached)), Some((10, 6)), "{about}")
            },
        },
        Pair {
            name: "an end",
            said: long,
            check: |got, about| {
                assert!(["stop", "end_turn"].contains(&got.finish.as_deref().unwrap_or_default()), "{about}")
            },
        },
    ]
}

#[test]
fn every_pair_of_dialects_says_the_same_at_every_chunk_boundary() {
    let upstream = Upstream::start();
    let list = [
        deployment("o", "openai/gpt-4o", &upstream, ""),
        deployment("a", "anthropic/claude-sonnet-4-5", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    let more = json!({"stream": true, "stream_options": {"include_usage": true}});
    for pair in pairs() {
        for name in ["o", "a"] {
            for chunks in
                [Chunks::Events, Chunks::Whole, Chunks::Bytes(1), Chunks::Bytes(5), Chunks::Bytes(64)]
            {
                let about = format!("{} from {name} in {chunks:?}", pair.name);
                let script = Script { chunks, ..Script::says(pair.said.clone()) };
                for stream in [true, false] {
                    upstream.push(script.clone());
                    let body =
                        if stream { chat(name, "hi", more.clone()) } else { chat(name, "hi", json!({})) };
                    let response = client.post("/v1/chat/completions", &body);
                    let got =
                        if stream { openai::stream(&response.body) } else { openai::whole(&response.json()) };
                    assert!(got.faults.is_empty(), "{about} {stream}: {:?}\n{}", got.faults, response.text());
                    (pair.check)(&got, &format!("{about} to openai, stream {stream}\n{}", response.text()));
                    upstream.push(script.clone());
                    let response =
                        client.post("/v1/messages", &message(name, "hi", json!({"stream": stream})));
                    let got = if stream {
                        anthropic::stream(&response.body)
                    } else {
                        anthropic::whole(&response.json())
                    };
                    assert!(got.faults.is_empty(), "{about} {stream}: {:?}\n{}", got.faults, response.text());
                    (pair.check)(
                        &got,
                        &format!("{about} to anthropic, stream {stream}\n{}", response.text()),
                    );
                }
            }
        }
    }
}

#[test]
fn tokens_are_counted_by_the_provider_where_it_can() {
    let upstream = Upstream::start();
    let list = [
        deployment("o", "openai/gpt-4o", &upstream, ""),
        deployment("a", "anthropic/claude-sonnet-4-5", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    let counted = client.post(
        "/v1/messages/count_tokens",
        &json!({"model": "a", "messages": [{"role": "user", "content": "in=17 hi"}]}),
    );
    assert_eq!(counted.json()["input_tokens"], 17, "{}", counted.text());
    assert_eq!(upstream.last().path, "/v1/messages/count_tokens");
    assert_eq!(upstream.last().json()["model"], "claude-sonnet-4-5");
    let before = upstream.seen().len();
    let text = "the quick brown fox jumps over the lazy dog";
    let estimated = client.post(
        "/v1/messages/count_tokens",
        &json!({"model": "o", "messages": [{"role": "user", "content": text}]}),
    );
    let tokens = estimated.json()["input_tokens"].as_u64().unwrap_or_default();
    assert!((9..40).contains(&tokens), "{}", estimated.text());
    assert_eq!(upstream.seen().len(), before, "an estimate asks nobody");
}

#[test]
fn anthropic_headers_reach_anthropic() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&model("a", "anthropic/claude-sonnet-4-5", &upstream));
    let client = Client::of(&gateway)
        .header("anthropic-beta", "context-1m-2025-08-07")
        .header("anthropic-version", "2023-06-01");
    assert_eq!(client.post("/v1/messages", &message("a", "hi", json!({}))).status, 200);
    let seen = upstream.last();
    assert!(seen.header("anthropic-beta").contains("context-1m-2025-08-07"), "{:?}", seen.headers);
    assert_eq!(seen.header("anthropic-version"), "2023-06-01");
    assert_eq!(seen.header("x-api-key"), "sk-upstream");
    assert_eq!(seen.header("authorization"), "");
}

#[test]
fn a_compressed_answer_is_unpacked() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&model("m", "openai/gpt-4o", &upstream));
    let client = Client::of(&gateway);
    upstream.push(Script::default());
    let plain = client.chat("m", "hi");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &plain.body).unwrap();
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    upstream.push(Script::replay(200, &headers, packed.finish().unwrap()));
    let response = client.chat("m", "hi");
    assert_eq!(response.header("content-encoding"), "");
    assert_eq!(openai::whole(&response.json()).text, openai::whole(&plain.json()).text);
}

#[test]
fn a_provider_that_does_not_stream_is_still_understood() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&model("m", "openai/gpt-4o", &upstream));
    let client = Client::of(&gateway);
    let plain = client.chat("m", "hi");
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    upstream.choose(move |_| Some(Script::replay(200, &headers, plain.body.clone())));
    let response = client.post("/v1/chat/completions", &chat("m", "hi", json!({"stream": true})));
    let told = match response.header("content-type").starts_with("text/event-stream") {
        true => openai::stream(&response.body).text,
        false => openai::whole(&response.json()).text,
    };
    assert_eq!(told, "w0 w1 w2 w3 w4 ", "{} {}", response.status, response.text());
}

#[test]
fn many_streams_at_once_are_each_their_own() {
    let upstream = Upstream::start();
    let list = [
        deployment("o", "openai/gpt-4o", &upstream, ""),
        deployment("a", "anthropic/claude-sonnet-4-5", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    std::thread::scope(|scope| {
        for number in 0..32 {
            let client = &client;
            scope.spawn(move || {
                for round in 0..8 {
                    let words = 1 + (number * 7 + round * 3) % 40;
                    let name = if (number + round) % 2 == 0 { "o" } else { "a" };
                    let body = chat(
                        name,
                        &format!("n={words} in={words}"),
                        json!({"stream": true, "stream_options": {"include_usage": true}}),
                    );
                    let got = openai::stream(&client.post("/v1/chat/completions", &body).body);
                    assert!(got.faults.is_empty(), "{:?}", got.faults);
                    assert_eq!(got.text, (0..words).map(|i| format!("w{i} ")).collect::<String>());
                    assert_eq!(got.usage.unwrap().input, words);
                }
            });
        }
    });
    let entries = gateway.journal_when("all entries", |entries| entries.len() == 256);
    assert!(entries.iter().all(|entry| entry.is_exact() && entry.ending() == "complete"));
    let billed: u64 = upstream.bills().iter().map(|bill| bill.input + bill.output).sum();
    assert_eq!(entries.iter().map(|entry| entry.input() + entry.output()).sum::<u64>(), billed);
}

#[test]
fn a_bare_model_name_finds_its_providers_wildcard() {
    let upstream = Upstream::start();
    let list = [
        deployment("openai/*", "openai/*", &upstream, ""),
        deployment("anthropic/*", "anthropic/*", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    for (name, path) in [("gpt-4o", "/v1/chat/completions"), ("claude-sonnet-4-5", "/v1/messages")] {
        let response = client.chat(name, "hi");
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.json()["model"], name);
        assert_eq!((&*upstream.last().path, &upstream.last().json()["model"]), (path, &json!(name)));
        assert_eq!(client.get(&format!("/v1/models/{name}")).json()["mode"], "chat");
    }
    assert_eq!(client.chat("nobodys-model", "hi").status, 400);
}

#[test]
fn a_trace_tells_what_the_provider_says_of_its_answer() {
    let (upstream, collector) = (Upstream::start(), Upstream::start());
    let list = [
        deployment("o", "openai/gpt-4o", &upstream, ""),
        deployment("a", "anthropic/claude-sonnet-4-5", &upstream, ""),
    ];
    let mut gateway = Setup::new(format!("model_list:\n{}{MASTER}", list.concat()))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.base())
        .start();
    let client = Client::of(&gateway);
    for stream in [false, true] {
        client.post("/v1/chat/completions", &chat("o", "hi", json!({"stream": stream})));
        client.post("/v1/chat/completions", &chat("a", "hi", json!({"stream": stream})));
    }
    gateway.terminate();
    assert!(gateway.wait_for_exit().success());
    let told: Vec<u8> = collector.seen().iter().flat_map(|seen| seen.body.to_vec()).collect();
    let told = String::from_utf8_lossy(&told);
    let times = |text: &str| told.matches(text).count();
    assert_eq!(times("gen_ai.response.finish_reasons"), 4);
    for id in upstream.bills().iter().map(|bill| &bill.id) {
        assert_eq!(times(id), 1, "{id}");
    }
    // Not `w0` alone: ids are random bytes, which say anything so short now and then.
    assert!(times("end_turn") == 2 && !told.contains("w0 w1"));
}

#[test]
fn a_client_of_the_older_functions_reads_calls_of_any_provider_in_the_older_form() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&model("a", "anthropic/claude-sonnet-4-5", &upstream));
    let client = Client::of(&gateway);
    let function = json!({"name": "f", "parameters": {"type": "object"}});
    let tools = json!([{"type": "function", "function": function}]);
    for (asked, field, word) in [
        (json!({"functions": [function]}), "function_call", "function_call"),
        (json!({"functions": [function], "tools": tools}), "tool_calls", "tool_calls"),
    ] {
        upstream.push(Script::says(Said::text(Vec::<String>::new()).tool("call_1", "f", &["{}"])));
        let response = client.post("/v1/chat/completions", &chat("a", "hi", asked));
        let choice = &response.json()["choices"][0];
        assert_eq!(choice["finish_reason"], word, "{choice}");
        assert!(choice["message"].get(field).is_some(), "{choice}");
    }
}

#[test]
fn what_a_body_needs_of_anthropics_betas_is_asked_for() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&model("a", "anthropic/claude-sonnet-4-5", &upstream));
    let client = Client::of(&gateway);
    let tool = |kind: &str| json!({"tools": [{"type": kind, "name": "x"}]});
    let file = json!({"type": "file", "file": {"file_id": "file_1"}});
    for (more, want) in [
        (json!({}), ""),
        (tool("web_search_20250305"), ""),
        (tool("computer_20251124"), "computer-use-2025-11-24"),
        (tool("computer_20250124"), "computer-use-2025-01-24"),
        (tool("advisor_20260301"), "advisor-tool-2026-03-01"),
        (
            json!({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}),
            "context-management-2025-06-27",
        ),
        (json!({"context_management": {"edits": [{"type": "compact_20260112"}]}}), "compact-2026-01-12"),
        (json!({"speed": "fast"}), "fast-mode-2026-02-01"),
        (json!({"speed": "standard"}), ""),
        (json!({"diagnostics": {"previous_message_id": null}}), "cache-diagnosis-2026-04-07"),
        (json!({"container": "container_1"}), ""),
        (
            json!({"container": {"skills": [{"type": "anthropic", "skill_id": "pdf"}]}}),
            "code-execution-2025-08-25,skills-2025-10-02",
        ),
        (
            json!({"output_config": {"task_budget": {"type": "tokens", "total": 9}}}),
            "task-budgets-2026-03-13",
        ),
        (json!({"mcp_servers": [{"type": "url", "name": "m"}]}), "mcp-client-2025-04-04"),
        (
            json!({"mcp_servers": [{"type": "url", "name": "m"}], "tools": [{"type": "mcp_toolset", "mcp_server_name": "m"}]}),
            "mcp-client-2025-11-20",
        ),
        (json!({"messages": [{"role": "user", "content": [file]}]}), "files-api-2025-04-14"),
    ] {
        let response = client.post("/v1/chat/completions", &chat("a", "hi", more.clone()));
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(upstream.last().header("anthropic-beta"), want, "{more}");
    }
    let client = client.header("anthropic-beta", "fast-mode-2026-02-01, context-1m-2025-08-07");
    let body = chat("a", "hi", json!({"speed": "fast", "diagnostics": {}}));
    assert_eq!(client.post("/v1/chat/completions", &body).status, 200);
    assert_eq!(
        upstream.last().header("anthropic-beta"),
        "fast-mode-2026-02-01, context-1m-2025-08-07,cache-diagnosis-2026-04-07"
    );
}

#[test]
fn notes_reach_a_provider_that_keeps_them_and_no_other() {
    let upstream = Upstream::start();
    let models: String =
        [("o", "openai/gpt-4o"), ("n", "nvidia_nim/meta/llama3"), ("a", "anthropic/claude-sonnet-4-5")]
            .map(|(name, target)| deployment(name, target, &upstream, ""))
            .concat();
    let gateway = Gateway::start(&format!("model_list:\n{models}"));
    let client = Client::of(&gateway);
    let notes = json!({"run": "7"});
    let stored = json!({"metadata": notes, "store": true});
    for (name, path, body, want) in [
        ("stored at OpenAI", "/v1/chat/completions", chat("o", "hi", stored.clone()), notes.clone()),
        ("not stored", "/v1/chat/completions", chat("o", "hi", json!({"metadata": notes})), Value::Null),
        (
            "where it is not known",
            "/v1/chat/completions",
            chat("n", "hi", json!({"metadata": notes, "store": true, "drop_params": true})),
            Value::Null,
        ),
        (
            "an answer of Responses",
            "/v1/responses",
            json!({"model": "o", "input": "hi", "metadata": notes}),
            notes.clone(),
        ),
        (
            "the end user, to Anthropic",
            "/v1/messages",
            message("a", "hi", json!({"metadata": {"user_id": "u"}})),
            json!({"user_id": "u"}),
        ),
        ("nothing else, to Anthropic", "/v1/chat/completions", chat("a", "hi", stored), Value::Null),
    ] {
        let answer = client.post(path, &body);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(upstream.last().json()["metadata"], want, "{name}");
    }
}
