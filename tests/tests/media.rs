//! Pictures, sound and moderation, from a client's request to the answer and its price.

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, deployment, model};
use gatewright_tests::upstream::{Ends, Script, Upstream};
use serde_json::{Value, json};

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let other = |name: &str, model: &str| deployment(name, model, &upstream, "");
    let list = model("voice", "openai/tts-1", &upstream)
        + &other("ear", "openai/whisper-1")
        + &other("scribe", "openai/gpt-4o-transcribe")
        + &other("painter", "openai/gpt-image-1")
        + &other("plain-painter", "aiml/dall-e-3")
        + &other("guard", "openai/omni-moderation-latest")
        + &other("claude", "anthropic/claude-sonnet-4-5");
    let gateway = Gateway::start(&list);
    (upstream, gateway)
}

fn answers(content_type: &str, body: impl Into<Vec<u8>>) -> Script {
    Script::replay(200, &[("content-type".to_owned(), content_type.to_owned())], body.into())
}

fn answers_json(body: Value) -> Script {
    answers("application/json", body.to_string())
}

fn cost(response: &Response) -> &str {
    assert_eq!(response.status, 200, "{}", response.text());
    response.header("x-litellm-response-cost")
}

fn booked(client: &Client, calls: usize) -> Vec<Value> {
    let logs = || {
        let told = client.get("/spend/logs/v2?page_size=50").json();
        let rows = told["data"].as_array().cloned().unwrap_or_default();
        (rows.len() == calls).then_some(rows)
    };
    gatewright_tests::gateway::poll(std::time::Duration::from_secs(30), logs)
        .expect("every attempt is booked")
}

#[test]
fn speech_flows_to_the_client_as_it_comes_and_costs_its_characters() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    let sound: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    upstream.push(answers("audio/mpeg", sound.clone()));
    let asked = json!({"model": "voice", "input": "h\u{e9}llo", "voice": "alloy"});
    let response = client.post("/v1/audio/speech", &asked);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("content-type"), "audio/mpeg");
    assert!(response.whole && response.body == sound);
    assert_eq!(upstream.last().path, "/v1/audio/speech");
    assert_eq!(upstream.last().json(), json!({"model": "tts-1", "input": "h\u{e9}llo", "voice": "alloy"}));
    // Five characters at $15 a million.
    let row = booked(&client, 1).remove(0);
    assert_eq!(row["spend"], json!(7.5e-5), "{row}");
}

#[test]
fn speech_that_breaks_off_is_seen_to_break_off() {
    let (upstream, gateway) = start();
    let sound = vec![7; 100_000];
    upstream.push(answers("audio/mpeg", sound).stopping(0, Ends::CutInside(50_000)));
    let asked = json!({"model": "voice", "input": "hello", "voice": "alloy", "num_retries": 0});
    let mut answer = Client::of(&gateway).start("/v1/audio/speech", &asked);
    let mut came = Vec::new();
    let broke = loop {
        match answer.piece() {
            Ok(Some(piece)) => came.extend(piece),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broke, "the end looks whole after {} bytes", came.len());
    assert!(came.iter().all(|byte| *byte == 7), "no words of ours are in the sound");
}

#[test]
fn transcriptions_are_uploaded_whole_and_billed_by_time_or_tokens() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    let sound = vec![1; 50_000];
    let path = "/v1/audio/transcriptions";
    upstream.push(answers_json(json!({"text": "hi", "usage": {"type": "duration", "seconds": 9}})));
    let fields = [("model", "ear"), ("language", "en"), ("metadata", "{\"tags\":[\"t\"]}"), ("user", "u")];
    let response = client.upload(path, ("file", &sound), &fields);
    // Nine seconds at $0.0001.
    assert_eq!(cost(&response), "0.0009");
    assert_eq!(response.json()["text"], "hi");
    let seen = upstream.last();
    let body = String::from_utf8_lossy(&seen.body).into_owned();
    assert!(
        body.contains("name=\"model\"\r\n\r\nwhisper-1\r\n") && body.contains("name=\"language\""),
        "{body}"
    );
    assert!(!body.contains("metadata"), "what is asked of the gateway stays here");
    assert!(seen.body.windows(sound.len()).any(|window| window == sound));

    upstream.push(answers("text/plain; charset=utf-8", "hello there\n"));
    let response = client.upload(path, ("file", &sound), &[("model", "ear"), ("response_format", "text")]);
    assert_eq!(
        (response.text().as_str(), response.header("content-type")),
        ("hello there\n", "text/plain; charset=utf-8")
    );

    let usage = json!({
        "type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
        "output_tokens": 5, "total_tokens": 19,
    });
    upstream.push(answers_json(json!({"text": "hi", "usage": usage})));
    let response = client.upload("/audio/transcriptions", ("file", &sound), &[("model", "scribe")]);
    // 14 tokens at $2.50 and 5 at $10 a million.
    assert_eq!(cost(&response), "0.000085");

    // What told no time is booked all the same, by the size of the file: 12.5 s.
    let rows = booked(&client, 3);
    let mut spent: Vec<f64> = rows.iter().map(|row| row["spend"].as_f64().unwrap()).collect();
    spent.sort_by(f64::total_cmp);
    assert_eq!(spent, [0.000085, 0.0009, 0.00125], "{rows:?}");
}

#[test]
fn transcriptions_stream_where_the_client_asks() {
    let (upstream, gateway) = start();
    let events = concat!(
        "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hi\"}\n\n",
        "data: {\"type\":\"transcript.text.done\",\"text\":\"hi\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,",
        "\"input_token_details\":{\"audio_tokens\":10},\"output_tokens\":5}}\n\n",
    );
    upstream.push(answers("text/event-stream", events));
    let client = Client::of(&gateway);
    let fields = [("model", "scribe"), ("stream", "true")];
    let response = client.upload("/v1/audio/transcriptions", ("file", &[1; 10]), &fields);
    assert_eq!(response.text(), events);
    assert_eq!(booked(&client, 1)[0]["spend"], json!(0.000085));
}

#[test]
fn pictures_cost_their_tokens_or_their_number_and_size() {
    let (upstream, gateway) = start();
    let client = Client::of(&gateway);
    let usage = json!({
        "input_tokens": 50, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        "output_tokens": 100, "total_tokens": 150,
    });
    upstream.push(answers_json(json!({"created": 1, "data": [{"b64_json": "aGk="}], "usage": usage})));
    let asked =
        json!({"model": "painter", "prompt": "a cat", "n": 1, "size": "1024x1024", "quality": "high"});
    let response = client.post("/v1/images/generations", &asked);
    // 10 at $5, 40 at $10 and 100 at $40 a million.
    assert_eq!(cost(&response), "0.00445");

    let two = json!({"created": 1, "data": [{"url": "https://a"}, {"url": "https://b"}]});
    upstream.push(answers_json(two.clone()));
    let asked = json!({"model": "plain-painter", "prompt": "a cat", "n": 2});
    assert_eq!(cost(&client.post("/v1/images/generations", &asked)), "0.104");
    upstream.push(answers_json(two));
    let response = client.upload(
        "/v1/images/edits",
        ("image[]", &[9; 100]),
        &[("model", "painter"), ("prompt", "a hat"), ("size", "1024x1024"), ("quality", "high")],
    );
    // No tokens are told: two of this size and quality at $0.167.
    assert_eq!(cost(&response), "0.334");
    assert_eq!(upstream.last().path, "/v1/images/edits");
}

#[test]
fn moderation_is_passed_on_and_free() {
    let (upstream, gateway) = start();
    let result =
        json!({"id": "modr-1", "model": "omni-moderation-2024-09-26", "results": [{"flagged": true}]});
    upstream.push(answers_json(result));
    let client = Client::of(&gateway);
    let response = client.post("/v1/moderations", &json!({"model": "guard", "input": "x"}));
    assert_eq!(response.json(), json!({"id": "modr-1", "model": "guard", "results": [{"flagged": true}]}));
    assert_eq!(cost(&response), "0.0");
}

#[test]
fn what_cannot_be_done_is_told() {
    let (_upstream, gateway) = start();
    let client = Client::of(&gateway);
    let form = |fields: &[(&str, &str)]| client.upload("/v1/audio/transcriptions", ("file", &[1]), fields);
    for (response, words) in [
        (form(&[("model", "claude")]), "no transcriptions"),
        (form(&[]), "model"),
        (client.upload("/v1/audio/transcriptions", ("sound", &[1]), &[("model", "ear")]), "'file'"),
        (client.post("/v1/audio/transcriptions", &json!({"model": "ear"})), "multipart form"),
        (client.post("/v1/audio/speech", &json!({"model": "claude", "input": "a"})), "no speech"),
        (client.post("/v1/images/generations", &json!({"model": "painter"})), "'prompt'"),
        (
            client.clone().header("content-type", "multipart/form-data; boundary=xx").post_bytes(
                "/v1/images/edits",
                b"--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\ncut",
            ),
            "cannot be read",
        ),
    ] {
        assert_eq!(response.status, 400, "{words}: {}", response.text());
        assert!(response.text().contains(words), "{words}: {}", response.text());
    }
}
