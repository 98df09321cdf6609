//! Providers whose wire differs from their dialect's: what they are sent, and what clients get for their answers.

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup};
use gatewright_tests::upstream::{Answer, Script, Upstream};
use serde_json::{Value, json};

/// A gateway with these deployments, by their names.
fn gateway(deployments: &[(&str, Value)]) -> Gateway {
    let list: Vec<Value> = deployments
        .iter()
        .map(|(name, params)| json!({"model_name": name, "litellm_params": params}))
        .collect();
    let file = json!({"general_settings": {"master_key": MASTER_KEY}, "model_list": list});
    Setup::new(file.to_string()).start()
}

/// An answer of these bytes.
fn raw(content_type: &str, body: impl Into<bytes::Bytes>) -> Script {
    let answer = Answer::Raw { content_type: content_type.to_owned(), body: body.into() };
    Script { answer, ..Script::default() }
}

fn whole(body: &Value) -> Script {
    raw("application/json", body.to_string())
}

fn events(events: &[&str]) -> Script {
    raw("text/event-stream", events.concat())
}

mod watsonx {
    use super::*;

    fn params(upstream: &Upstream, model: &str) -> Value {
        json!({"model": model, "api_base": upstream.base(), "token": "t-1-token", "project_id": "p-1"})
    }

    fn start() -> (Upstream, Gateway) {
        let upstream = Upstream::start();
        let mut cloud_pak = params(&upstream, "watsonx/ibm/granite-3-3-8b-instruct");
        cloud_pak["token"] = Value::Null;
        cloud_pak["zen_api_key"] = json!("z-1-key");
        cloud_pak["project_id"] = Value::Null;
        cloud_pak["space_id"] = json!("s-1");
        let gateway = gateway(&[
            ("granite", params(&upstream, "watsonx/ibm/granite-3-3-8b-instruct")),
            ("deployed", params(&upstream, "watsonx/deployment/d-1")),
            ("pak", cloud_pak),
            ("slate", params(&upstream, "watsonx/ibm/slate-125m-english-rtrvr")),
        ]);
        (upstream, gateway)
    }

    #[test]
    fn a_chat_names_model_and_payer_in_ibms_words() {
        let (upstream, gateway) = start();
        let client = Client::of(&gateway);
        for (model, path, shown, body) in [
            (
                "granite",
                "/ml/v1/text/chat?version=2024-03-13",
                "Bearer t-1-token",
                json!({"model_id": "ibm/granite-3-3-8b-instruct", "project_id": "p-1"}),
            ),
            (
                "deployed",
                "/ml/v1/deployments/d-1/text/chat?version=2024-03-13",
                "Bearer t-1-token",
                json!({}),
            ),
            (
                "pak",
                "/ml/v1/text/chat?version=2024-03-13",
                "ZenApiKey z-1-key",
                json!({"model_id": "ibm/granite-3-3-8b-instruct", "space_id": "s-1"}),
            ),
        ] {
            let response = client.chat(model, "n=2");
            assert_eq!(response.status, 200, "{model}: {}", response.text());
            assert_eq!(response.json()["choices"][0]["message"]["content"], "w0 w1 ");
            let seen = upstream.last();
            assert_eq!((seen.path.as_str(), seen.header("authorization")), (path, shown), "{model}");
            let mut sent = seen.json();
            assert!(sent.as_object_mut().unwrap().remove("messages").is_some());
            assert_eq!(sent, body, "{model}");
        }
        let told = client.get("/model/info").text() + &gateway.log();
        assert!(!told.contains("t-1-token") && !told.contains("z-1-key"), "{told}");
    }

    /// The form of IBM's events, as its Java SDK's tests have them.
    const EVENTS: [&str; 4] = [
        "id: 1\nevent: message\ndata: {\"id\":\"chatcmpl-5d\",\"object\":\"chat.completion.chunk\",\"model_id\":\"ibm/g\",\"model\":\"ibm/g\",\"choices\":[{\"index\":0,\"finish_reason\":null,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"created\":1749736055,\"model_version\":\"4.0.0\",\"created_at\":\"2025-06-12T13:47:35.541Z\"}\n\n",
        "id: 2\nevent: message\ndata: {\"id\":\"chatcmpl-5d\",\"object\":\"chat.completion.chunk\",\"model_id\":\"ibm/g\",\"model\":\"ibm/g\",\"choices\":[{\"index\":0,\"finish_reason\":null,\"delta\":{\"content\":\"Ciao\"}}],\"created\":1749736055}\n\n",
        "id: 3\nevent: message\ndata: {\"id\":\"chatcmpl-5d\",\"object\":\"chat.completion.chunk\",\"model_id\":\"ibm/g\",\"model\":\"ibm/g\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"delta\":{\"content\":\"\"}}],\"created\":1749736055}\n\n",
        "id: 4\nevent: message\ndata: {\"id\":\"chatcmpl-5d\",\"object\":\"chat.completion.chunk\",\"model_id\":\"ibm/g\",\"model\":\"ibm/g\",\"choices\":[],\"created\":1749736055,\"usage\":{\"completion_tokens\":3,\"prompt_tokens\":38,\"total_tokens\":41}}\n\n",
    ];

    #[test]
    fn a_stream_has_a_path_of_its_own_and_ends_with_its_usage() {
        let (upstream, gateway) = start();
        upstream.push(events(&EVENTS));
        let response = Client::of(&gateway).post(
            "/v1/chat/completions",
            &json!({
                "model": "granite", "stream": true, "stream_options": {"include_usage": true},
                "messages": [{"role": "user", "content": "hi"}],
            }),
        );
        assert_eq!(response.status, 200, "{}", response.text());
        let text = response.text();
        assert!(text.contains(r#""content":"Ciao""#) && text.contains(r#""prompt_tokens":38"#), "{text}");
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        let seen = upstream.last();
        assert_eq!(seen.path, "/ml/v1/text/chat_stream?version=2024-03-13");
        assert!(seen.json().get("stream").is_none() && seen.json().get("stream_options").is_none());
        upstream.push(events(&[EVENTS[0], "event: error\ndata: {\"errors\":[{\"code\":\"x\",\"message\":\"it broke\"}],\"status_code\":500}\n\n"]));
        let body = json!({"model": "granite", "stream": true, "num_retries": 0, "messages": [{"role": "user", "content": "hi"}]});
        let response = Client::of(&gateway).post("/v1/chat/completions", &body);
        assert!(response.status == 500 && response.text().contains("it broke"), "{}", response.text());
    }

    #[test]
    fn what_is_wrong_is_told_in_ibms_words() {
        let (upstream, gateway) = start();
        let said = json!({"errors": [{"code": "json_validation_error", "message": "messages: not so"}], "status_code": 400});
        upstream.push(Script { status: 400, ..whole(&said) });
        let response = Client::of(&gateway).chat("granite", "hi");
        assert_eq!(response.status, 400);
        let message = &response.json()["error"]["message"];
        assert!(message.as_str().unwrap().ends_with("WatsonxException - messages: not so"), "{message}");
    }

    #[test]
    fn vectors_and_rankings_are_read_and_billed() {
        let (upstream, gateway) = start();
        let client = Client::of(&gateway);
        let vectors = json!([{"embedding": [-0.5, 0.25]}, {"embedding": [1.0, 2.0]}]);
        upstream.push(whole(&json!({"model_id": "ibm/slate", "results": vectors, "input_token_count": 10})));
        let response = client.post("/v1/embeddings", &json!({"model": "slate", "input": ["a", "b"]}));
        assert_eq!(response.status, 200, "{}", response.text());
        let told = response.json();
        assert_eq!(told["data"][1], json!({"object": "embedding", "index": 1, "embedding": [1.0, 2.0]}));
        assert_eq!(
            (&told["model"], &told["usage"]),
            (&json!("slate"), &json!({"prompt_tokens": 10, "total_tokens": 10}))
        );
        let seen = upstream.last();
        assert_eq!(seen.path, "/ml/v1/text/embeddings?version=2024-03-13");
        let model = "ibm/slate-125m-english-rtrvr";
        assert_eq!(seen.json(), json!({"inputs": ["a", "b"], "model_id": model, "project_id": "p-1"}));
        let results = json!([{"index": 1, "score": 7.5}, {"index": 0, "score": -3.0}]);
        upstream.push(whole(&json!({"model_id": "r", "results": results, "input_token_count": 20})));
        let asked =
            json!({"model": "slate", "query": "q", "documents": ["a", "b"], "return_documents": true});
        let response = client.post("/v1/rerank", &asked);
        assert_eq!(response.status, 200, "{}", response.text());
        let best = json!({"index": 1, "relevance_score": 7.5, "document": {"text": "b"}});
        assert_eq!(response.json()["results"][0], best);
        assert_eq!(upstream.last().path, "/ml/v1/text/rerank?version=2024-03-13");
    }

    #[test]
    fn what_it_has_not_or_is_not_told_is_said() {
        let upstream = Upstream::start();
        let nobodys = json!({"model": "watsonx/ibm/g", "api_base": upstream.base(), "token": "t"});
        let gateway = gateway(&[("nobodys", nobodys), ("granite", params(&upstream, "watsonx/ibm/g"))]);
        let client = Client::of(&gateway);
        let response = client.chat("nobodys", "hi");
        assert!(
            response.text().contains("provider 'watsonx' needs project_id or space_id"),
            "{}",
            response.text()
        );
        let response = client.post("/v1/images/generations", &json!({"model": "granite", "prompt": "a cat"}));
        assert!(response.text().contains("provider 'watsonx' has no"), "{}", response.text());
        assert!(upstream.seen().is_empty());
    }
}

mod gigachat {
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
        assert_eq!(
            (seen[0].header("rquid").len(), &*seen[0].body),
            (36, b"scope=GIGACHAT_API_B2B".as_slice())
        );
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
        assert_eq!(
            (&told["usage"]["prompt_tokens"], &told["usage"]["total_tokens"]),
            (&json!(140), &json!(161))
        );
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
        assert!(
            text.contains(r#""stop_reason":"tool_use""#) && text.contains(r#""output_tokens":21"#),
            "{text}"
        );
    }

    #[test]
    fn what_was_said_before_is_written_in_its_words() {
        let (upstream, gateway) = start();
        let state = "77d3fb14-457a-46ba-937e-8d856156d003";
        let call = json!({"id": state, "type": "function", "function": {"name": "look", "arguments": "{\"days\":1}"}});
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
}

mod sagemaker {
    use bytes::{BufMut as _, Bytes, BytesMut};

    use super::*;

    fn start() -> (Upstream, Gateway) {
        let upstream = Upstream::start();
        let params = |model: &str| {
            json!({
                "model": model, "sagemaker_base_url": upstream.base(), "aws_region_name": "eu-west-1", "api_key": "ignored",
                "aws_access_key_id": "AKIDTEST", "aws_secret_access_key": "s3cret/key+", "num_retries": 0,
            })
        };
        let gateway = gateway(&[
            ("chat", params("sagemaker_chat/my-endpoint")),
            ("nova", params("sagemaker_nova/my-nova")),
            ("text", params("sagemaker/my-text")),
        ]);
        (upstream, gateway)
    }

    /// A message of Amazon's event stream.
    fn message((name, value): (&str, &str), payload: &[u8]) -> Bytes {
        let mut headers = BytesMut::new();
        headers.put_u8(name.len().try_into().unwrap());
        headers.put_slice(name.as_bytes());
        headers.put_u8(7);
        headers.put_u16(value.len().try_into().unwrap());
        headers.put_slice(value.as_bytes());
        let mut out = BytesMut::new();
        out.put_u32((16 + headers.len() + payload.len()).try_into().unwrap());
        out.put_u32(headers.len().try_into().unwrap());
        out.put_u32(crc32fast::hash(&out));
        out.put_slice(&headers);
        out.put_slice(payload);
        out.put_u32(crc32fast::hash(&out));
        out.freeze()
    }

    fn part(payload: &str) -> Bytes {
        message((":event-type", "PayloadPart"), payload.as_bytes())
    }

    fn stream(messages: &[Bytes]) -> Script {
        raw("application/vnd.amazon.eventstream", messages.concat())
    }

    fn ask(model: &str) -> Value {
        json!({
            "model": model, "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "hi"}],
        })
    }

    #[test]
    fn a_request_is_signed_for_the_endpoint_that_it_names() {
        let (upstream, gateway) = start();
        let client = Client::of(&gateway);
        for (model, path, names) in [
            ("chat", "/endpoints/my-endpoint/invocations", true),
            ("nova", "/endpoints/my-nova/invocations", false),
        ] {
            let response = client.chat(model, "n=2");
            assert_eq!(response.status, 200, "{model}: {}", response.text());
            assert_eq!(response.json()["choices"][0]["message"]["content"], "w0 w1 ");
            let seen = upstream.last();
            assert_eq!((seen.path.as_str(), seen.json().get("model").is_some()), (path, names), "{model}");
            let shown = seen.header("authorization");
            assert!(shown.starts_with("AWS4-HMAC-SHA256 Credential=AKIDTEST/"), "{shown}");
            assert!(shown.contains("/eu-west-1/sagemaker/aws4_request"), "{shown}");
        }
        let response = client.post("/v1/embeddings", &json!({"model": "chat", "input": "a"}));
        assert!(
            response.text().contains("provider 'sagemaker_chat' has no embeddings"),
            "{}",
            response.text()
        );
    }

    #[test]
    fn a_stream_is_put_together_wherever_its_parts_are_cut() {
        let (upstream, gateway) = start();
        let head = r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"#;
        let whole = [
            head, r#""delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}"#, "\n\n",
            head, r#""delta":{"content":"lo"},"finish_reason":"stop"}]}"#, "\n\n",
            r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
            "\n\ndata: [DONE]\n\n",
        ]
        .concat();
        for size in [7, 60, 10_000] {
            let parts: Vec<Bytes> = whole
                .as_bytes()
                .chunks(size)
                .map(|piece| part(std::str::from_utf8(piece).unwrap()))
                .collect();
            upstream.push(stream(&parts));
            let response = Client::of(&gateway).post("/v1/chat/completions", &ask("chat"));
            let text = response.text();
            assert!(
                text.contains(r#""content":"Hel""#) && text.contains(r#""content":"lo""#),
                "{size}: {text}"
            );
            assert!(
                text.contains(r#""prompt_tokens":3"#) && text.ends_with("data: [DONE]\n\n"),
                "{size}: {text}"
            );
            assert_eq!(upstream.last().path, "/endpoints/my-endpoint/invocations-response-stream");
        }
    }

    #[test]
    fn what_goes_wrong_is_told_in_the_containers_words() {
        let (upstream, gateway) = start();
        let client = Client::of(&gateway);
        let said = json!({
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL", "Message": "Received client error (422) from primary",
            "OriginalMessage": r#"{"error":{"message":"inputs must be shorter"}}"#, "OriginalStatusCode": 422,
        });
        upstream.push(Script { status: 424, ..super::whole(&said) });
        let response = client.chat("chat", "hi");
        assert!(
            response.status == 422 && response.text().contains("inputs must be shorter"),
            "{}",
            response.text()
        );
        let broken = message(
            (":exception-type", "ModelStreamError"),
            br#"{"Message":"it took too long","ErrorCode":"ModelInvocationTimeExceeded"}"#,
        );
        upstream.push(stream(&[broken]));
        let response = client.post("/v1/chat/completions", &ask("chat"));
        assert!(
            response.status == 500 && response.text().contains("it took too long"),
            "{}",
            response.text()
        );
    }

    #[test]
    fn text_generation_is_asked_in_its_own_form() {
        let (upstream, gateway) = start();
        let client = Client::of(&gateway);
        upstream.push(super::whole(&json!([{"generated_text": " upon a time"}])));
        let asked = json!({"model": "text", "prompt": "Once", "max_tokens": 5, "temperature": 0.5});
        let response = client.post("/v1/completions", &asked);
        assert_eq!(response.status, 200, "{}", response.text());
        let told = response.json();
        assert_eq!((&told["choices"][0]["text"], &told["model"]), (&json!(" upon a time"), &json!("text")));
        let seen = upstream.last();
        assert_eq!(seen.path, "/endpoints/my-text/invocations");
        assert_eq!(
            seen.json(),
            json!({"inputs": "Once", "parameters": {"max_new_tokens": 5, "temperature": 0.5}})
        );
        let tokens = [
            part(
                "data:{\"token\":{\"id\":1,\"text\":\" upon\",\"logprob\":-0.1,\"special\":false},\"generated_text\":null,\"details\":null}\n\n",
            ),
            part(
                "data:{\"token\":{\"id\":2,\"text\":\"</s>\",\"logprob\":-0.1,\"special\":true},\"generated_text\":\" upon\",\"details\":{\"finish_reason\":\"length\"}}\n\n",
            ),
        ];
        upstream.push(stream(&tokens));
        let text = client.post("/v1/chat/completions", &ask("text")).text();
        assert!(
            text.contains(r#""content":" upon""#) && text.contains(r#""finish_reason":"length""#),
            "{text}"
        );
        assert!(!text.contains("</s>"), "{text}");
        assert_eq!(upstream.last().json(), json!({"inputs": "hi", "stream": true, "parameters": {}}));
    }
}

mod continuations {
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
        let asked =
            json!({"model": "fill", "prompt": "def", "suffix": "return a+b", "seed": 3, "max_tokens": 9});
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
}

mod sap {
    use super::*;

    fn start() -> (Upstream, Gateway) {
        let upstream = Upstream::start();
        upstream.choose(|seen| {
            let token = json!({"access_token": "t-1-token", "expires_in": 3600});
            (seen.path == "/oauth/token").then(|| whole(&token))
        });
        let key = json!({"clientid": "c-1", "clientsecret": "s-1-secret", "url": upstream.base(), "serviceurls": {}});
        let base = format!("{}/v2/inference/deployments/d1", upstream.base());
        let params = |model: &str| json!({"model": model, "api_base": base, "api_key": key.to_string(), "resource_group": "g-1", "num_retries": 0});
        let gateway =
            gateway(&[("chat", params("sap/gpt-4o")), ("vectors", params("sap/text-embedding-3-small"))]);
        (upstream, gateway)
    }

    fn push(upstream: &Upstream, script: Script) {
        let script = std::sync::Mutex::new(Some(script));
        upstream.choose(move |seen| match seen.path.as_str() {
            "/oauth/token" => Some(whole(&json!({"access_token": "t-1-token", "expires_in": 3600}))),
            _ => script.lock().unwrap().take(),
        });
    }

    fn result() -> Value {
        let message = json!({"role": "assistant", "content": "hi there"});
        let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage,
        })
    }

    #[test]
    fn a_service_keys_client_asks_and_the_answer_stands_inside() {
        let (upstream, gateway) = start();
        let client = Client::of(&gateway);
        push(
            &upstream,
            whole(
                &json!({"request_id": "r", "intermediate_results": {"templating": []}, "final_result": result()}),
            ),
        );
        let body = json!({"model": "chat", "temperature": 0.5, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
        let response = client.post("/v1/chat/completions", &body);
        assert_eq!(response.status, 200, "{}", response.text());
        let told = response.json();
        assert_eq!(told["choices"][0]["message"]["content"], "hi there");
        assert_eq!((&told["model"], &told["usage"]["total_tokens"]), (&json!("chat"), &json!(5)));
        let seen = upstream.seen();
        assert_eq!(seen[0].path, "/oauth/token");
        assert!(seen[0].header("authorization").starts_with("Basic "));
        assert_eq!(seen[1].path, "/v2/inference/deployments/d1/v2/completion");
        assert_eq!(
            (seen[1].header("authorization"), seen[1].header("ai-resource-group")),
            ("Bearer t-1-token", "g-1")
        );
        let prompt = json!({"template": [{"role": "user", "content": "hi"}]});
        let model =
            json!({"name": "gpt-4o", "version": "latest", "params": {"temperature": 0.5, "max_tokens": 9}});
        assert_eq!(
            seen[1].json(),
            json!({"config": {"modules": {"prompt_templating": {"prompt": prompt, "model": model}}}})
        );
        let told = client.get("/model/info").text() + &gateway.log();
        assert!(!told.contains("s-1-secret") && !told.contains("t-1-token"), "{told}");
    }

    #[test]
    fn a_stream_holds_events_of_openais_and_errors_are_told() {
        let (upstream, gateway) = start();
        let client = Client::of(&gateway);
        let chunk = |delta: Value, finish: Value| {
            let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
            let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices});
            format!("data: {}\n\n", json!({"request_id": "r", "final_result": chunk}))
        };
        let templates = "data: {\"request_id\":\"r\",\"intermediate_results\":{\"templating\":[]}}\n\n";
        let said = [
            templates,
            &chunk(json!({"role": "assistant", "content": "Hel"}), Value::Null),
            &chunk(json!({"content": "lo"}), json!("stop")),
            "data: [DONE]\n\n",
        ];
        push(&upstream, events(&said));
        let ask = json!({"model": "chat", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
        let text = client.post("/v1/chat/completions", &ask).text();
        assert!(text.contains(r#""content":"Hel""#) && text.contains(r#""content":"lo""#), "{text}");
        assert!(!text.contains("request_id") && text.ends_with("data: [DONE]\n\n"), "{text}");
        let sent = upstream.last().json();
        assert_eq!(sent["config"]["stream"], json!({"enabled": true}));
        let params = &sent["config"]["modules"]["prompt_templating"]["model"]["params"];
        assert_eq!(params, &json!({"stream_options": {"include_usage": true}}));
        let broken = "data: {\"error\":{\"request_id\":\"r\",\"code\":500,\"message\":\"the model is away\",\"location\":\"LLM Module\"}}\n\n";
        push(&upstream, events(&[templates, broken]));
        let response = client.post("/v1/chat/completions", &ask);
        assert!(
            response.status == 500 && response.text().contains("the model is away"),
            "{}",
            response.text()
        );
        let refused = json!({"error": {"request_id": "r", "code": 400, "message": "unused placeholder", "location": "Templating"}});
        push(&upstream, Script { status: 400, ..whole(&refused) });
        let response = client.chat("chat", "hi");
        assert!(
            response.status == 400 && response.text().contains("unused placeholder"),
            "{}",
            response.text()
        );
    }

    #[test]
    fn vectors_stand_inside_too() {
        let (upstream, gateway) = start();
        let item = json!({"object": "embedding", "index": 0, "embedding": [0.5]});
        let result = json!({"object": "list", "data": [item], "model": "m", "usage": {"prompt_tokens": 2, "total_tokens": 2}});
        push(&upstream, whole(&json!({"request_id": "r", "final_result": result})));
        let asked = json!({"model": "vectors", "input": ["a"], "dimensions": 1});
        let response = Client::of(&gateway).post("/v1/embeddings", &asked);
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(
            (&response.json()["data"][0], &response.json()["usage"]["total_tokens"]),
            (&item, &json!(2))
        );
        let seen = upstream.last();
        assert_eq!(seen.path, "/v2/inference/deployments/d1/v2/embeddings");
        let model =
            json!({"name": "text-embedding-3-small", "version": "latest", "params": {"dimensions": 1}});
        assert_eq!(
            seen.json(),
            json!({"config": {"modules": {"embeddings": {"model": model}}}, "input": {"text": ["a"], "type": "text"}})
        );
    }
}

mod replicate {
    use super::*;

    fn start() -> (Upstream, Gateway) {
        let upstream = Upstream::start();
        let params = |model: &str| json!({"model": model, "api_base": format!("{}/v1", upstream.base()), "api_key": "r8-key", "num_retries": 0});
        let gateway = gateway(&[
            ("llama", params("replicate/meta/meta-llama-3-70b-instruct")),
            (
                "versioned",
                params(
                    "replicate/acme/swift:02e509c789964a7ea8736978a43525956ef40397be9033abf9fd2badfe68c9e3",
                ),
            ),
            ("deployed", params("replicate/deployments/acme/swift")),
        ]);
        (upstream, gateway)
    }

    fn prediction(upstream: &Upstream, status: &str, more: Value) -> Value {
        let urls = json!({
            "get": format!("{}/v1/predictions/p1", upstream.base()), "stream": format!("{}/v1/streams/s1", upstream.base()),
        });
        let mut prediction =
            json!({"id": "p1", "status": status, "output": null, "error": null, "urls": urls});
        prediction.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        prediction
    }

    #[test]
    fn a_prediction_is_asked_for_until_it_has_ended() {
        let (upstream, gateway) = start();
        upstream.push(whole(&prediction(&upstream, "starting", json!({}))));
        upstream.push(whole(&prediction(&upstream, "processing", json!({"output": ["Hel"]}))));
        upstream.push(whole(&prediction(&upstream, "succeeded", json!({"output": ["Hel", "lo"]}))));
        let body = json!({"model": "llama", "max_tokens": 5, "stop": ["a", "b"], "messages": [{"role": "user", "content": "hi"}]});
        let response = Client::of(&gateway).post("/v1/chat/completions", &body);
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.json()["choices"][0]["message"]["content"], "Hello");
        let seen = upstream.seen();
        let asked: Vec<(&str, &str)> =
            seen.iter().map(|seen| (seen.method.as_str(), seen.path.as_str())).collect();
        let get = ("GET", "/v1/predictions/p1");
        assert_eq!(asked, [("POST", "/v1/models/meta/meta-llama-3-70b-instruct/predictions"), get, get]);
        assert!(seen.iter().all(|seen| seen.header("authorization") == "Bearer r8-key"));
        assert_eq!(seen[0].header("prefer"), "wait");
        assert_eq!(
            seen[0].json(),
            json!({"input": {"prompt": "hi", "max_new_tokens": 5, "stop_sequences": "a,b"}})
        );
    }

    #[test]
    fn versions_and_deployments_have_places_of_their_own() {
        let (upstream, gateway) = start();
        let client = Client::of(&gateway);
        let version = "02e509c789964a7ea8736978a43525956ef40397be9033abf9fd2badfe68c9e3";
        for (model, path, said) in [
            ("versioned", "/v1/predictions", json!(version)),
            ("deployed", "/v1/deployments/acme/swift/predictions", Value::Null),
        ] {
            upstream.push(whole(&prediction(&upstream, "succeeded", json!({"output": "Hello"}))));
            let response = client.post("/v1/completions", &json!({"model": model, "prompt": "hi"}));
            assert_eq!(response.status, 200, "{model}: {}", response.text());
            assert_eq!(response.json()["choices"][0]["text"], "Hello");
            let seen = upstream.last();
            assert_eq!((seen.path.as_str(), &seen.json()["version"]), (path, &said));
        }
    }

    #[test]
    fn a_stream_is_followed_where_the_prediction_says() {
        let (upstream, gateway) = start();
        upstream.push(whole(&prediction(&upstream, "starting", json!({}))));
        let said = [
            "event: output\nid: 1:0\ndata: Hel\n\n",
            "event: output\nid: 2:0\ndata: lo\ndata: you\n\n",
            "event: done\nid: 3:0\ndata: {}\n\n",
        ];
        upstream.push(events(&said));
        let client = Client::of(&gateway);
        let ask = json!({"model": "llama", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
        let text = client.post("/v1/chat/completions", &ask).text();
        assert!(text.contains(r#""content":"Hel""#) && text.contains(r#""content":"lo\nyou""#), "{text}");
        assert!(text.contains(r#""finish_reason":"stop""#) && text.ends_with("data: [DONE]\n\n"), "{text}");
        let seen = upstream.last();
        assert_eq!((seen.path.as_str(), seen.header("accept")), ("/v1/streams/s1", "text/event-stream"));
        let first = &upstream.seen()[0];
        assert_eq!((&first.json()["stream"], first.header("prefer")), (&json!(true), ""));
        upstream.push(whole(&prediction(&upstream, "starting", json!({}))));
        upstream.push(events(&["event: done\ndata: {\"reason\":\"canceled\"}\n\n"]));
        let response = client.post("/v1/chat/completions", &ask);
        assert!(
            response.status == 500 && response.text().contains("the prediction is canceled"),
            "{}",
            response.text()
        );
    }

    #[test]
    fn a_prediction_that_failed_or_leads_elsewhere_or_takes_too_long_is_an_error() {
        let (upstream, gateway) = start();
        let client = Client::of(&gateway);
        upstream.push(whole(&prediction(&upstream, "failed", json!({"error": "CUDA out of memory"}))));
        let response = client.chat("llama", "hi");
        assert!(
            response.status == 500 && response.text().contains("CUDA out of memory"),
            "{}",
            response.text()
        );
        let elsewhere = json!({"urls": {"get": "https://elsewhere.test/p1"}});
        upstream.push(whole(&prediction(&upstream, "starting", elsewhere)));
        let response = client.chat("llama", "hi");
        assert!(response.status == 502 && response.text().contains("somebody else"), "{}", response.text());
        let starting = prediction(&upstream, "starting", json!({}));
        upstream.choose(move |_| Some(whole(&starting)));
        let body = json!({"model": "llama", "timeout": 1, "num_retries": 0, "messages": [{"role": "user", "content": "hi"}]});
        let response = client.post("/v1/chat/completions", &body);
        assert!(response.status == 408 && response.text().contains("timed out"), "{}", response.text());
    }
}
