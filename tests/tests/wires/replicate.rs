//! Replicate.

use super::*;

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let params = |model: &str| json!({"model": model, "api_base": format!("{}/v1", upstream.base()), "api_key": "r8-key", "num_retries": 0});
    let gateway = gateway(&[
        ("llama", params("replicate/meta/meta-llama-3-70b-instruct")),
        (
            "versioned",
            params("replicate/acme/swift:02e509c789964a7ea8736978a43525956ef40397be9033abf9fd2badfe68c9e3"),
        ),
        ("deployed", params("replicate/deployments/acme/swift")),
    ]);
    (upstream, gateway)
}

fn prediction(upstream: &Upstream, status: &str, more: Value) -> Value {
    let urls = json!({
        "get": format!("{}/v1/predictions/p1", upstream.base()), "stream": format!("{}/v1/streams/s1", upstream.base()),
    });
    let mut prediction = json!({"id": "p1", "status": status, "output": null, "error": null, "urls": urls});
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
    assert!(response.status == 500 && response.text().contains("CUDA out of memory"), "{}", response.text());
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
