//! Amazon SageMaker.

use bytes::Bytes;
use gatewright_tests::upstream::aws_message;

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

fn part(payload: &str) -> Bytes {
    aws_message(&[(":event-type", "PayloadPart")], payload.as_bytes())
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
    assert!(response.text().contains("provider 'sagemaker_chat' has no embeddings"), "{}", response.text());
}

#[test]
fn a_stream_is_put_together_wherever_its_parts_are_cut() {
    let (upstream, gateway) = start();
    let head =
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"#;
    let whole = [
        head, r#""delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}"#, "\n\n",
        head, r#""delta":{"content":"lo"},"finish_reason":"stop"}]}"#, "\n\n",
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
        "\n\ndata: [DONE]\n\n",
    ]
    .concat();
    for size in [7, 60, 10_000] {
        let parts: Vec<Bytes> =
            whole.as_bytes().chunks(size).map(|piece| part(std::str::from_utf8(piece).unwrap())).collect();
        upstream.push(stream(&parts));
        let response = Client::of(&gateway).post("/v1/chat/completions", &ask("chat"));
        let text = response.text();
        assert!(text.contains(r#""content":"Hel""#) && text.contains(r#""content":"lo""#), "{size}: {text}");
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
    let broken = aws_message(
        &[(":exception-type", "ModelStreamError")],
        br#"{"Message":"it took too long","ErrorCode":"ModelInvocationTimeExceeded"}"#,
    );
    upstream.push(stream(&[broken]));
    let response = client.post("/v1/chat/completions", &ask("chat"));
    assert!(response.status == 500 && response.text().contains("it took too long"), "{}", response.text());
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
    assert!(text.contains(r#""content":" upon""#) && text.contains(r#""finish_reason":"length""#), "{text}");
    assert!(!text.contains("</s>"), "{text}");
    assert_eq!(upstream.last().json(), json!({"inputs": "hi", "stream": true, "parameters": {}}));
}
