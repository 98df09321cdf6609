//! Pictures by models that have words of their own for them, from OpenAI's clients and back.

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::{Script, Seen, Upstream};
use serde_json::{Value, json};

const GENERATIONS: &str = "/v1/images/generations";
const EDITS: &str = "/v1/images/edits";

fn start(settings: &str) -> (Upstream, Gateway, Client) {
    let upstream = Upstream::start();
    let named = |name: &str, model: &str| deployment(name, model, &upstream, "num_retries: 0");
    let list = named("imagen", "gemini/imagen-3.0-generate-001")
        + &named("banana", "gemini/gemini-2.5-flash-image")
        + &named("canvas", "bedrock/amazon.nova-canvas-v1:0")
        + &named("sd", "bedrock/stability.sd3-5-large-v1:0")
        + &deployment("strict", "gemini/imagen-3.0-generate-001", &upstream, "drop_params: false");
    let gateway = Gateway::start(&format!("litellm_settings: {{{settings}}}\nmodel_list:\n{list}"));
    let client = Client::of(&gateway);
    (upstream, gateway, client)
}

fn answers(body: &Value) -> Script {
    let head = [("content-type".to_owned(), "application/json".to_owned())];
    Script::replay(200, &head, body.to_string().into_bytes())
}

fn drawn(response: &Response) -> usize {
    assert_eq!(response.status, 200, "{}", response.text());
    let data = response.json()["data"].as_array().unwrap().clone();
    assert!(data.iter().all(|one| one["b64_json"] == "aGk=" && one.get("url").is_none()), "{data:?}");
    data.len()
}

fn cost(response: &Response) -> &str {
    response.header("x-litellm-response-cost")
}

/// What a Gemini model answers.
fn candidate(parts: &Value, finish: &str) -> Value {
    json!({
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish}],
        "usageMetadata": {
            "promptTokenCount": 10, "candidatesTokenCount": 1300, "totalTokenCount": 1310,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
        },
    })
}

fn picture() -> Value {
    json!([{"text": "Here."}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}])
}

#[test]
fn imagen_makes_four_a_request_and_each_has_its_price() {
    let (upstream, gateway, client) = start("");
    let asked = json!({"model": "imagen", "prompt": "a cat", "n": 6, "size": "1792x1024", "quality": "hd",
                       "response_format": "url"});
    let response = client.post(GENERATIONS, &asked);
    assert_eq!(drawn(&response), 6);
    // Six at $0.04.
    assert_eq!(cost(&response), "0.24");
    assert_eq!(response.header("x-gatewright-dropped-params"), "quality, response_format.url");
    assert_eq!(response.json().get("usage"), None);
    let mut counts: Vec<u64> = upstream.seen().iter().map(samples).collect();
    counts.sort_unstable();
    assert_eq!(counts, [2, 4]);
    let seen = upstream.last();
    assert!(seen.path.ends_with("/models/imagen-3.0-generate-001:predict"), "{}", seen.path);
    assert_eq!(seen.header("x-goog-api-key"), "sk-upstream");
    assert_eq!(seen.json()["parameters"]["aspectRatio"], "16:9");
    let entries = gateway.journal_when("one attempt is booked", |entries| {
        entries.len() == 1 && entries[0].ending() != "running"
    });
    assert_eq!(entries[0].0["cost"], json!(0.24));
}

fn samples(seen: &Seen) -> u64 {
    seen.json()["parameters"]["sampleCount"].as_u64().unwrap()
}

#[test]
fn a_gemini_model_makes_one_a_request_and_is_paid_by_tokens() {
    let (upstream, gateway, client) = start("");
    for _ in 0..3 {
        upstream.push(answers(&candidate(&picture(), "STOP")));
    }
    let response = client.post(GENERATIONS, &json!({"model": "banana", "prompt": "a cat", "n": 3}));
    assert_eq!((drawn(&response), upstream.count()), (3, 3));
    // Thrice 10 at $0.30, 10 of words at $2.50 and 1290 of the picture at $30 a million.
    assert_eq!(cost(&response), "0.116184");
    assert_eq!(response.json()["usage"]["output_tokens_details"]["image_tokens"], 3870);
    gateway.journal_when("one attempt is booked", |entries| {
        entries.len() == 1 && entries[0].0["cost"] == json!(0.116184)
    });

    upstream.push(answers(&candidate(&picture(), "STOP")));
    let fields = [("model", "banana"), ("prompt", "a hat"), ("size", "1024x1536")];
    let response = client.upload(EDITS, ("image[]", b"\xff\xd8 a photo"), &fields);
    assert_eq!(drawn(&response), 1);
    let sent = upstream.last().json();
    assert_eq!(
        sent["contents"][0]["parts"],
        json!([{"inlineData": {"mimeType": "image/jpeg", "data": "/9ggYSBwaG90bw=="}}, {"text": "a hat"}])
    );
    assert_eq!(sent["generationConfig"]["imageConfig"]["aspectRatio"], "2:3");
}

#[test]
fn amazons_and_stabilitys_models_are_invoked_in_their_own_words() {
    let (upstream, _gateway, client) = start("");
    let asked = json!({"model": "canvas", "prompt": "a cat", "n": 2, "size": "1280x720", "quality": "high"});
    let response = client.post(GENERATIONS, &asked);
    // Two at $0.06, in one request.
    assert_eq!((drawn(&response), cost(&response), upstream.count()), (2, "0.12", 1));
    assert!(upstream.last().path.ends_with("/model/amazon.nova-canvas-v1%3A0/invoke"));
    let configuration = json!({"numberOfImages": 2, "width": 1280, "height": 720, "quality": "premium"});
    assert_eq!(upstream.last().json()["imageGenerationConfig"], configuration);

    let fields = [("model", "canvas"), ("prompt", "a hat")];
    assert_eq!(drawn(&client.upload(EDITS, ("image", b"a photo"), &fields)), 1);
    let sent = upstream.last().json();
    assert_eq!(sent["imageVariationParams"], json!({"text": "a hat", "images": ["YSBwaG90bw=="]}));

    let response = client.post(GENERATIONS, &json!({"model": "sd", "prompt": "a cat", "n": 2}));
    // Two at $0.08, in two requests.
    assert_eq!((drawn(&response), cost(&response), upstream.count()), (2, "0.16", 4));
    assert_eq!(upstream.last().json(), json!({"prompt": "a cat"}));
}

#[test]
fn a_client_that_wants_a_stream_gets_its_last_events() {
    let (upstream, _gateway, client) = start("");
    for n in [1, 2] {
        (0..n).for_each(|_| upstream.push(answers(&candidate(&picture(), "STOP"))));
        let asked = json!({"model": "banana", "prompt": "a cat", "n": n, "stream": true});
        let response = client.post(GENERATIONS, &asked);
        assert_eq!(response.status, 200, "{}", response.text());
        assert!(response.header("content-type").starts_with("text/event-stream"), "{n}");
        let events = response.text();
        assert_eq!(events.matches("event: image_generation.completed\n").count(), n, "{events}");
        assert!(events.contains("\"b64_json\":\"aGk=\"") && events.contains("\"usage\""), "{events}");
    }
}

#[test]
fn what_was_filtered_is_told_and_what_was_left_is_answered() {
    let (upstream, _gateway, client) = start("");
    let blocked = json!({"predictions": [{"raiFilteredReason": "the prompt names a person"}]});
    let refused = candidate(&json!([{"text": "I cannot."}]), "IMAGE_SAFETY");
    for (model, answer, words) in [
        ("imagen", &blocked, "the prompt names a person"),
        ("banana", &refused, "IMAGE_SAFETY"),
        ("canvas", &json!({"images": [], "error": "blocked by our content filters"}), "our content filters"),
        ("sd", &json!({"finish_reasons": ["Filter reason: prompt"]}), "Filter reason: prompt"),
    ] {
        upstream.push(answers(answer));
        let response = client.post(GENERATIONS, &json!({"model": model, "prompt": "a cat"}));
        let error = &response.json()["error"];
        assert_eq!(response.status, 400, "{error}");
        assert_eq!(error["type"], "invalid_request_error");
        let told = error["message"].as_str().unwrap();
        assert!(told.contains("ContentPolicyViolationError") && told.contains(words), "{told}");
    }
    let made = json!({"mimeType": "image/png", "bytesBase64Encoded": "aGk="});
    upstream.push(answers(&json!({"predictions": [made, blocked["predictions"][0]]})));
    let response = client.post(GENERATIONS, &json!({"model": "imagen", "prompt": "a cat", "n": 2}));
    assert_eq!((drawn(&response), cost(&response)), (1, "0.04"));
    for answer in [candidate(&picture(), "STOP"), refused] {
        upstream.push(answers(&answer));
    }
    let response = client.post(GENERATIONS, &json!({"model": "banana", "prompt": "a cat", "n": 2}));
    assert_eq!(drawn(&response), 1);
}

#[test]
fn what_cannot_be_carried_or_done_is_refused_before_it_is_sent() {
    let (upstream, _gateway, client) = start("");
    let draw = |more: Value| {
        let mut body = json!({"prompt": "a cat"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.post(GENERATIONS, &body)
    };
    for (response, words) in [
        (draw(json!({"model": "strict", "style": "vivid"})), "does not support parameters: style"),
        (draw(json!({"model": "imagen", "n": 11})), "'n'"),
        (
            client.upload(EDITS, ("image", b"x"), &[("model", "imagen"), ("prompt", "a hat")]),
            "from words only",
        ),
    ] {
        assert_eq!(response.status, 400, "{}", response.text());
        assert!(response.text().contains(words), "{words}: {}", response.text());
    }
    assert_eq!(upstream.count(), 0);
    assert_eq!(drawn(&draw(json!({"model": "strict", "response_format": "url", "size": "1280x896"}))), 1);
    let dropped = json!({"model": "strict", "style": "vivid", "additional_drop_params": ["style"]});
    assert_eq!(drawn(&draw(dropped)), 1, "what the client itself lets go is not lost");
}

#[test]
fn a_budget_holds_what_all_pictures_cost_before_they_are_made() {
    let (upstream, _gateway, client) = start("max_budget: 0.1");
    let draw = |n: u64| client.post(GENERATIONS, &json!({"model": "imagen", "prompt": "a cat", "n": n}));
    let response = draw(5);
    assert!(response.status != 200 && response.text().contains("budget"), "{}", response.text());
    assert_eq!(upstream.count(), 0);
    assert_eq!(drawn(&draw(2)), 2);
}
