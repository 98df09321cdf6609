//! Amazon Bedrock through the whole gateway: what is sent and signed, what clients of each dialect get, and clients that
//! speak Converse themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gatewright_core::{Framing, RawEvent};
use gatewright_dialects::Splitter;
use gatewright_tests::answer::{anthropic, openai};
use gatewright_tests::client::{Client, chat, message};
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::{Chunks, Ends, Said, Script, Upstream, Used};
use serde_json::{Value, json};

/// A deployment with AWS keys, and whatever is said besides.
fn signed(name: &str, model: &str, upstream: &Upstream, more: Value) -> String {
    let mut params = json!({
        "model": model, "aws_access_key_id": "AKIDTEST", "aws_secret_access_key": "s3cret/key+",
        "aws_region_name": "eu-west-1", "aws_bedrock_runtime_endpoint": upstream.base(),
    });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("  - {}\n", json!({"model_name": name, "litellm_params": params}))
}

fn start(list: &[String]) -> Gateway {
    Gateway::start(&format!("router_settings: {{num_retries: 0}}\nmodel_list:\n{}", list.concat()))
}

/// The events of a Converse stream: their names and their data.
fn events(body: &[u8]) -> Vec<(String, Value)> {
    let mut seen = Vec::new();
    let mut each = |event: RawEvent<'_>| {
        seen.push((event.name.to_owned(), serde_json::from_slice(event.data).unwrap()));
        Ok(())
    };
    Splitter::new(Framing::AwsEvents, 1 << 20).feed(body, &mut each).unwrap();
    seen
}

fn said() -> Said {
    Said::text(["It is ", "sunny."])
        .thinking(["Look ", "outside."], "c2ln")
        .tool("tooluse_1", "look", &[r#"{"a""#, ":1}"])
        .tool("tooluse_2", "wait", &[])
}

#[test]
fn a_request_is_signed_for_its_region_and_its_model_stands_in_the_address() {
    let upstream = Upstream::start();
    let arn = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc";
    let plain = "bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0";
    let list = [
        signed("plain", plain, &upstream, json!({})),
        signed("arn", &format!("bedrock/{arn}"), &upstream, json!({})),
        signed(
            "profile",
            "bedrock/anthropic.claude-3-haiku-20240307-v1:0",
            &upstream,
            json!({"model_id": arn}),
        ),
        signed("invoked", "bedrock/invoke/us-east-1/anthropic.claude-v2:1", &upstream, json!({})),
    ];
    let gateway = start(&list);
    let client = Client::of(&gateway);
    let encoded = "arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aapplication-inference-profile%2Fabc";
    upstream.choose(|seen| {
        let whole = r#"{"type":"message","id":"msg_1","model":"c","content":[],"stop_reason":"end_turn"}"#;
        seen.path.ends_with("/invoke").then(|| Script::replay(200, &[], whole))
    });
    for (model, path) in [
        ("plain", "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse".to_owned()),
        ("arn", format!("/model/{encoded}/converse")),
        ("profile", format!("/model/{encoded}/converse")),
        ("invoked", "/model/anthropic.claude-v2%3A1/invoke".to_owned()),
    ] {
        let response = client.chat(model, "hi");
        assert_eq!(response.status, 200, "{model}: {}", response.text());
        let seen = upstream.last();
        assert_eq!(seen.path, path);
        let shown = seen.header("authorization");
        assert!(shown.starts_with("AWS4-HMAC-SHA256 Credential=AKIDTEST/"), "{shown}");
        assert!(shown.contains("/eu-west-1/bedrock/aws4_request, SignedHeaders="), "{shown}");
        assert!(shown.contains("content-type;host;x-amz-date, Signature="), "{shown}");
    }
}

#[test]
fn clients_of_every_dialect_get_what_the_model_said() {
    let upstream = Upstream::start();
    let gateway = start(&[signed("m", "bedrock/anthropic.claude-sonnet-4-6", &upstream, json!({}))]);
    let client = Client::of(&gateway);
    let calls = |tools: &[gatewright_tests::answer::GotTool]| {
        tools.iter().map(|tool| (tool.id.clone(), tool.arguments.clone())).collect::<Vec<_>>()
    };
    let wanted =
        [("tooluse_1".to_owned(), r#"{"a":1}"#.to_owned()), ("tooluse_2".to_owned(), "{}".to_owned())];
    for stream in [false, true] {
        for chunks in [Chunks::Events, Chunks::Bytes(11), Chunks::Whole] {
            let script = || Script { chunks, ..Script::says(said()) };
            upstream.push(script());
            let more = json!({"stream": stream, "stream_options": {"include_usage": true}});
            let response = client.post("/v1/chat/completions", &chat("m", "hi", more));
            let got = match stream {
                true => openai::stream(&response.body),
                false => openai::whole(&response.json()),
            };
            assert_eq!(
                (&*got.text, &*got.reasoning),
                ("It is sunny.", "Look outside."),
                "{}",
                response.text()
            );
            assert_eq!((calls(&got.tools), got.finish.as_deref()), (wanted.to_vec(), Some("tool_calls")));
            assert_eq!(got.usage.map(|usage| (usage.input, usage.output)), Some((10, 5)));
            upstream.push(script());
            let response = client.post("/v1/messages", &message("m", "hi", json!({"stream": stream})));
            let got = match stream {
                true => anthropic::stream(&response.body),
                false => anthropic::whole(&response.json()),
            };
            assert_eq!(
                (&*got.text, &*got.reasoning),
                ("It is sunny.", "Look outside."),
                "{}",
                response.text()
            );
            assert_eq!((calls(&got.tools), got.finish.as_deref()), (wanted.to_vec(), Some("tool_use")));
        }
    }
}

#[test]
fn what_claude_thought_is_counted_for_clients_of_every_dialect() {
    let upstream = Upstream::start();
    let gateway = start(&[
        signed("m", "bedrock/anthropic.claude-sonnet-4-6", &upstream, json!({})),
        signed("nova", "bedrock/amazon.nova-2-lite-v1:0", &upstream, json!({})),
    ]);
    let client = Client::of(&gateway);
    let used = Used { input: 10, output: 50, reasoning: 30, ..Used::default() };
    for stream in [false, true] {
        upstream.push(Script::says(Said { used, ..said() }));
        let more =
            json!({"stream": stream, "stream_options": {"include_usage": true}, "reasoning_effort": "low"});
        let response = client.post("/v1/chat/completions", &chat("m", "hi", more));
        let got = if stream { openai::stream(&response.body) } else { openai::whole(&response.json()) };
        assert_eq!(
            got.usage.map(|usage| (usage.output, usage.reasoning)),
            Some((50, 30)),
            "{}",
            response.text()
        );
        let paths = &upstream.last().json()["additionalModelResponseFieldPaths"];
        assert_eq!(paths, &json!(["/usage/output_tokens_details"]));
        upstream.push(Script::says(Said { used, ..said() }));
        let thinking = json!({"type": "enabled", "budget_tokens": 1024});
        let asked = message("m", "hi", json!({"stream": stream, "max_tokens": 4000, "thinking": thinking}));
        let response = client.post("/v1/messages", &asked);
        let got = if stream { anthropic::stream(&response.body) } else { anthropic::whole(&response.json()) };
        assert_eq!(
            got.usage.map(|usage| (usage.output, usage.reasoning)),
            Some((50, 30)),
            "{}",
            response.text()
        );
    }
    for (model, more) in [("m", json!({})), ("nova", json!({"reasoning_effort": "low"}))] {
        assert_eq!(client.post("/v1/chat/completions", &chat(model, "hi", more)).status, 200);
        assert_eq!(upstream.last().json().get("additionalModelResponseFieldPaths"), None, "{model}");
    }
}

#[test]
fn what_the_operator_sets_stands_where_converse_has_it() {
    let upstream = Upstream::start();
    let more = json!({
        "temperature": 0.25, "max_tokens": 77,
        "guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"},
    });
    let gateway = start(&[signed("m", "bedrock/amazon.nova-pro-v1:0", &upstream, more)]);
    let client = Client::of(&gateway);
    assert_eq!(client.post("/v1/chat/completions", &chat("m", "hi", json!({"max_tokens": 5}))).status, 200);
    let sent = upstream.last().json();
    assert_eq!(sent["inferenceConfig"], json!({"maxTokens": 5, "temperature": 0.25}));
    assert_eq!(sent["guardrailConfig"]["guardrailIdentifier"], "abc");
    assert_eq!((sent.get("temperature"), sent.get("aws_region_name")), (None, None));
}

#[test]
fn a_role_is_taken_on_once_for_many_calls() {
    let upstream = Upstream::start();
    upstream.choose(|seen| {
        let role = "<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>r0le</SecretAccessKey>\
                    <SessionToken>tok+en</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>";
        let asks = seen.body.starts_with(b"Action=AssumeRole&");
        asks.then(|| Script::replay(200, &[("content-type".into(), "text/xml".into())], role))
    });
    let more = json!({"aws_role_name": "arn:aws:iam::1:role/r", "aws_sts_endpoint": upstream.base()});
    let gateway = start(&[signed("m", "bedrock/amazon.nova-pro-v1:0", &upstream, more)]);
    let client = Client::of(&gateway);
    for _ in 0..3 {
        assert_eq!(client.chat("m", "hi").status, 200);
    }
    let seen = upstream.seen();
    let shown: Vec<bool> =
        seen.iter().map(|seen| seen.header("authorization").contains("Credential=ASIAROLE/")).collect();
    assert_eq!(shown, [false, true, true, true]);
    assert_eq!(seen[1].header("x-amz-security-token"), "tok+en");
    assert!(!gateway.log().contains("r0le") && !gateway.log().contains("tok+en"), "{}", gateway.log());
}

#[test]
fn a_role_that_is_refused_is_the_clients_to_know_and_no_secret_is() {
    let upstream = Upstream::start();
    upstream.choose(|seen| {
        let refusal = "<Error><Code>AccessDenied</Code><Message>s3cret/key+</Message></Error>";
        seen.body.starts_with(b"Action=").then(|| Script::replay(403, &[], refusal))
    });
    let more = json!({"aws_role_name": "arn:r", "aws_sts_endpoint": upstream.base()});
    let gateway = start(&[signed("m", "bedrock/amazon.nova-pro-v1:0", &upstream, more)]);
    let response = Client::of(&gateway).chat("m", "hi");
    assert_eq!(response.status, 401, "{}", response.text());
    assert!(response.text().contains("the AWS credentials were refused"), "{}", response.text());
    assert!(gateway.log().contains("AccessDenied"), "{}", gateway.log());
    assert!(!(gateway.log() + &response.text()).contains("s3cret"), "{}", gateway.log());
}

#[test]
fn errors_are_known_by_the_name_in_their_head() {
    let upstream = Upstream::start();
    let gateway = start(&[signed("m", "bedrock/amazon.nova-pro-v1:0", &upstream, json!({}))]);
    let client = Client::of(&gateway);
    for (status, message, words) in [
        (429, "Too many requests", "RateLimitError: BedrockException - Too many requests"),
        (400, "Input is too long for requested model.", "ContextWindowExceededError: BedrockException"),
        (404, "no such model", "NotFoundError: BedrockException"),
        (403, "You don't have access", "PermissionDeniedError: BedrockException"),
    ] {
        upstream.push(Script::fails(status, message));
        let response = client.chat("m", "hi");
        assert_eq!(response.status, status, "{}", response.text());
        assert!(response.text().contains(words), "{}", response.text());
        assert!(!response.text().contains("s3cret"), "{}", response.text());
    }
    // Some names say another thing than their status.
    let named = [("x-amzn-errortype".to_owned(), "ExpiredTokenException:http://x/".to_owned())];
    upstream.push(Script::replay(403, &named, r#"{"message":"expired"}"#));
    assert!(client.chat("m", "hi").text().contains("AuthenticationError"));
}

#[test]
fn an_exception_in_a_stream_reaches_the_client_in_its_own_words() {
    let upstream = Upstream::start();
    let gateway = start(&[signed("m", "bedrock/amazon.nova-pro-v1:0", &upstream, json!({}))]);
    let client = Client::of(&gateway);
    let fails = || Script::says(Said::words(5)).stopping(3, Ends::Error("slow down".into()));
    upstream.push(fails());
    let response = client.post("/v1/chat/completions", &chat("m", "hi", json!({"stream": true})));
    let got = openai::stream(&response.body);
    assert!(got.error.is_some_and(|error| error.to_string().contains("slow down")), "{}", response.text());
    upstream.push(fails());
    let converse = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]});
    let response = client.post("/bedrock/model/m/converse-stream", &converse);
    let (name, data) = events(&response.body).pop().unwrap();
    assert_eq!(name, "throttlingException");
    assert!(data["message"].as_str().unwrap().contains("slow down"), "{data}");
}

#[test]
fn clients_may_speak_converse_to_any_provider() {
    let upstream = Upstream::start();
    let list = [
        deployment("o", "openai/gpt-4o", &upstream, ""),
        signed("b", "bedrock/anthropic.claude-sonnet-4-6", &upstream, json!({})),
    ];
    let gateway = start(&list);
    let client = Client::of(&gateway);
    let asks = json!({
        "messages": [{"role": "user", "content": [{"text": "hi"}]}], "system": [{"text": "s"}],
        "inferenceConfig": {"maxTokens": 50}, "unheardOf": {"a": 1.50},
    });
    for name in ["o", "b"] {
        let response = client.post(&format!("/bedrock/model/{name}/converse"), &asks);
        assert_eq!(response.status, 200, "{}", response.text());
        let told = response.json();
        assert_eq!(told["output"]["message"]["content"][0]["text"], "w0 w1 w2 w3 w4 ", "{told}");
        assert_eq!((&told["stopReason"], &told["usage"]["totalTokens"]), (&json!("end_turn"), &json!(15)));
        let response = client.post(&format!("/bedrock/model/{name}/converse-stream"), &asks);
        assert_eq!(response.header("content-type"), "application/vnd.amazon.eventstream");
        let events = events(&response.body);
        let text: String = events.iter().filter_map(|(_, data)| data["delta"]["text"].as_str()).collect();
        assert_eq!(text, "w0 w1 w2 w3 w4 ");
        let (last, metadata) = events.last().unwrap();
        assert_eq!((&**last, &metadata["usage"]["outputTokens"]), ("metadata", &json!(5)));
    }
    let seen = upstream.seen();
    assert_eq!(seen[0].json()["max_tokens"], 50);
    assert_eq!(seen[1].json()["stream"], true);
    assert!(seen[2].body.ends_with(br#""unheardOf":{"a":1.5}}"#), "{:?}", seen[2].body);
    let response = client.post("/bedrock/model/nobody/converse", &asks);
    assert_eq!((response.status, &response.json()["__type"]), (400, &json!("ResourceNotFoundException")));
}

#[test]
fn claude_is_invoked_in_its_own_dialect() {
    let upstream = Upstream::start();
    let gateway = start(&[signed("m", "bedrock/invoke/anthropic.claude-sonnet-4-6", &upstream, json!({}))]);
    let client = Client::of(&gateway);
    upstream.choose(|_| {
        let inner = [
            r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#,
            r#"{"type":"message_stop"}"#,
        ];
        Some(Script::chunks_of_aws(inner.map(|event| json!({"bytes": BASE64.encode(event)}))))
    });
    let beta =
        client.clone().header("anthropic-beta", "context-1m-2025-08-07, oauth-2025-04-20,effort-2025-11-24");
    let response = beta.post("/v1/messages", &message("m", "hi", json!({"stream": true, "zzz": 1.0})));
    let got = anthropic::stream(&response.body);
    assert_eq!(
        (&*got.text, got.finish.as_deref(), &*got.model),
        ("hi", Some("end_turn"), "m"),
        "{}",
        response.text()
    );
    let seen = upstream.last();
    assert_eq!(seen.path, "/model/anthropic.claude-sonnet-4-6/invoke-with-response-stream");
    let sent = seen.json();
    assert_eq!((&sent["anthropic_version"], &sent["zzz"]), (&json!("bedrock-2023-05-31"), &json!(1.0)));
    assert_eq!(sent["anthropic_beta"], json!(["context-1m-2025-08-07", "effort-2025-11-24"]));
    assert_eq!(response.header("x-gatewright-dropped-params"), "anthropic-beta.oauth-2025-04-20");
    assert_eq!((sent.get("model"), sent.get("stream"), seen.header("anthropic-beta")), (None, None, ""));
    let response = client.post("/v1/chat/completions", &chat("m", "hi", json!({"stream": true})));
    assert_eq!(openai::stream(&response.body).text, "hi");
}

#[test]
fn an_imported_model_is_asked_in_openais_form_where_converse_does_not_have_it() {
    let upstream = Upstream::start();
    let arn = "arn:aws:bedrock:eu-west-1:123456789012:imported-model/abc";
    let encoded = "arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aimported-model%2Fabc";
    let list = ["openai", "qwen2", "llama"].map(|architecture| {
        signed(architecture, &format!("bedrock/{architecture}/{arn}"), &upstream, json!({}))
    });
    let gateway = start(&list);
    let client = Client::of(&gateway);
    upstream.choose(|seen| {
        let piece = |delta: Value, finish: Value| {
            json!({"id": "c-1", "object": "chat.completion.chunk", "model": "abc",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        };
        let mut last = piece(json!({}), json!("stop"));
        last["amazon-bedrock-invocationMetrics"] = json!({"inputTokenCount": 8, "outputTokenCount": 5});
        let streamed = [piece(json!({"role": "assistant", "content": "hi"}), Value::Null), last];
        let whole = json!({"id": "c-1", "object": "chat.completion", "model": "abc",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13}});
        match seen.path.rsplit('/').next() {
            Some("invoke") => Some(Script::replay(200, &[], whole.to_string())),
            Some("invoke-with-response-stream") => {
                Some(Script::chunks_of_aws(streamed.map(|event| json!({"bytes": BASE64.encode(event.to_string())}))))
            }
            _ => None,
        }
    });
    for model in ["openai", "qwen2"] {
        let asks = |stream: bool| {
            let more = json!({"stream": stream, "stream_options": {"include_usage": true}, "max_tokens": 9});
            client.post(
                "/v1/chat/completions",
                &chat(model, "hi", if stream { more } else { json!({"max_tokens": 9}) }),
            )
        };
        let whole = asks(false).json();
        assert_eq!(
            (&whole["choices"][0]["message"]["content"], &whole["model"]),
            (&json!("hi"), &json!(model))
        );
        assert_eq!(upstream.last().path, format!("/model/{encoded}/invoke"));
        let got = openai::stream(&asks(true).body);
        assert_eq!((got.text.as_str(), got.finish.as_deref()), ("hi", Some("stop")));
        let seen = upstream.last();
        assert_eq!(seen.path, format!("/model/{encoded}/invoke-with-response-stream"));
        assert!(seen.header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=AKIDTEST/"));
        let messages = json!([{"role": "user", "content": "hi"}]);
        assert_eq!(seen.json(), json!({"model": arn, "messages": messages, "max_tokens": 9}));
        let response = client.post("/v1/messages", &message(model, "hi", json!({"stream": true})));
        assert_eq!(anthropic::stream(&response.body).text, "hi", "{}", response.text());
        assert_eq!(upstream.last().json().get("stream"), None);
    }
    assert_eq!(client.chat("llama", "n=1").status, 200);
    assert_eq!(upstream.last().path, format!("/model/{encoded}/converse"));
    let entries = gateway
        .journal_when("all ended", |all| all.iter().filter(|one| one.ending() == "complete").count() == 7);
    let counted =
        entries.iter().filter(|one| one.0["usage"]["input"] == 8 && one.0["usage"]["output"] == 5).count();
    assert_eq!(counted, 6, "{:?}", entries.iter().map(|one| &one.0).collect::<Vec<_>>());
}
