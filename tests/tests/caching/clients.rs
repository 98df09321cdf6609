//! Clients of each kind are answered from what was kept as they were answered first.

use std::thread;

use gatewright_tests::client::{Client, chat, message};
use gatewright_tests::upstream::{Ends, Gate, Said, Script};
use serde_json::{Value, json};

use crate::{LOCAL, is_hit, start};

#[test]
fn a_repeated_call_costs_nothing_and_goes_nowhere() {
    let (upstream, gateway) = start(LOCAL);
    let client = Client::of(&gateway);
    let first = client.chat("fast", "hi");
    assert!(!is_hit(&first) && first.header("x-litellm-response-cost").parse() != Ok(0.0));
    let again = client.chat("fast", "hi");
    assert!(is_hit(&again));
    assert_eq!((again.json(), upstream.count()), (first.json(), 1));
    for name in ["x-litellm-cache-key", "x-litellm-model-id", "x-litellm-model-group", "content-type"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_ne!(again.header("x-litellm-call-id"), first.header("x-litellm-call-id"));
    assert!(!is_hit(&client.chat("fast", "something else")));
    let entries = gateway.journal_when("two attempts and a hit", |entries| entries.len() == 3);
    let hits = entries.iter().filter(|entry| entry.cache() == Some("hit"));
    assert_eq!(hits.count(), 1, "a hit is no attempt");
    let told = client.get("/cache/ping").json();
    let figure = |name: &str| told["figures"][name].as_u64();
    assert_eq!((figure("hits"), figure("misses"), figure("kept")), (Some(1), Some(2), Some(2)), "{told}");
    assert!(figure("saved_nano_dollars") > Some(0), "{told}");
}

#[test]
fn streams_are_told_again_byte_for_byte_in_the_clients_dialect() {
    let (upstream, gateway) = start(LOCAL);
    let client = Client::of(&gateway);
    let stream = || json!({"stream": true});
    let mut calls = 0;
    for (path, body) in [
        ("/v1/chat/completions", chat("fast", "hi", stream())),
        (
            "/v1/chat/completions",
            chat("fast", "hi", json!({"stream": true, "stream_options": {"include_usage": true}})),
        ),
        ("/v1/chat/completions", chat("claude", "hi", stream())),
        ("/v1/messages", message("claude", "hi", stream())),
        ("/v1/messages", message("fast", "hi", stream())),
        ("/v1/responses", json!({"model": "fast", "input": "hi", "stream": true, "store": false})),
        (
            "/v1beta/models/fast:streamGenerateContent?alt=sse",
            json!({"contents": [{"parts": [{"text": "hi"}]}]}),
        ),
        ("/v1beta/models/fast:streamGenerateContent", json!({"contents": [{"parts": [{"text": "hi"}]}]})),
        ("/api/chat", json!({"model": "fast", "messages": [{"role": "user", "content": "hi"}]})),
        ("/v1/completions", json!({"model": "fast", "prompt": "hi", "stream": true})),
    ] {
        let first = client.post(path, &body);
        // Google's two ways of asking are one question, told in two ways.
        calls = upstream.count().max(calls);
        let again = client.post(path, &body);
        assert!(is_hit(&again), "{path} {body}");
        assert_eq!(again.text(), first.text(), "{path} {body}");
        assert_eq!(again.header("content-type"), first.header("content-type"), "{path}");
        assert_eq!(upstream.count(), calls, "{path} {body}");
    }
}

#[test]
fn a_stampede_of_streams_is_one_call() {
    let (upstream, gateway) = start(LOCAL);
    let gate = Gate::default();
    upstream.push(Script::says(Said::words(6)).stopping(3, Ends::Hold(gate.clone())));
    let body = chat("fast", "hi", json!({"stream": true}));
    let mut first = Client::of(&gateway).start("/v1/chat/completions", &body);
    let begun = first.event().unwrap().unwrap();
    let crowd: Vec<_> = (0..30)
        .map(|_| {
            let (client, body) = (Client::of(&gateway), body.clone());
            let mut late = client.start("/v1/chat/completions", &body);
            assert_eq!(late.event().unwrap().unwrap(), begun, "all of it, from the first event on");
            thread::spawn(move || late.finish())
        })
        .collect();
    // The one that asked leaves; the others get all of it.
    drop(first);
    gate.open();
    for reader in crowd {
        let got = reader.join().unwrap();
        assert!(got.text().contains("[DONE]"), "{}", got.text());
    }
    assert_eq!(upstream.count(), 1);
    let entries = gateway.journal_when("one attempt and thirty hits", |entries| entries.len() == 31);
    assert_eq!(
        entries.iter().filter(|entry| entry.0["cost"].as_f64() > Some(0.0)).count(),
        1,
        "it is billed once"
    );
    assert_eq!(entries.iter().filter(|entry| entry.cache() == Some("hit")).count(), 30);
}

#[test]
fn of_a_list_of_texts_only_the_new_ones_go_upstream() {
    let (upstream, gateway) = start(LOCAL);
    let client = Client::of(&gateway);
    let ask = |input: Value| client.post("/v1/embeddings", &json!({"model": "small", "input": input}));
    ask(json!(["a", "bcd"]));
    let mixed = ask(json!(["bcd", "efghi", "a"]));
    assert!(!is_hit(&mixed));
    assert_eq!(upstream.last().json()["input"], json!(["efghi"]));
    let told = mixed.json();
    let numbers: Vec<_> =
        told["data"].as_array().unwrap().iter().map(|item| item["embedding"][0].as_f64()).collect();
    assert_eq!(numbers, [Some(3.0), Some(5.0), Some(1.0)]);
    assert_eq!(told["usage"], json!({"prompt_tokens": 6, "total_tokens": 6}), "two a text");
    assert_eq!(mixed.header("x-litellm-response-cost"), "0.00000004", "of the new text alone");
    let all = ask(json!(["efghi", "a"]));
    assert!(is_hit(&all));
    assert_eq!(
        (all.json()["usage"]["prompt_tokens"].as_u64(), upstream.count()),
        (Some(3), 2),
        "a text has its part by its length"
    );
}

#[test]
fn answers_that_can_be_gone_on_from_are_each_callers_own() {
    let (upstream, gateway) = start(LOCAL);
    let client = Client::of(&gateway);
    let ask =
        |store: bool| client.post("/v1/responses", &json!({"model": "fast", "input": "hi", "store": store}));
    for count in 1..=2 {
        assert!(!is_hit(&ask(true)));
        assert_eq!(upstream.count(), count);
    }
    ask(false);
    assert!(is_hit(&ask(false)));
}
