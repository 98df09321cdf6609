//! The context window is checked before a call is sent anywhere.

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

const CHECKED: &str = "enable_pre_call_checks: true";

/// A group of two, the smaller one with a window of so many tokens by the operator's word.
fn pair(settings: &str, window: u32) -> (Upstream, Upstream, Gateway) {
    let (small, large) = (Upstream::start(), Upstream::start());
    let models = [
        deployment("m", "openai/own", &small, "order: 1"),
        format!("    model_info: {{max_input_tokens: {window}}}\n"),
        deployment("m", "openai/own", &large, "order: 2"),
    ];
    let config = format!("router_settings: {{{settings}}}\nmodel_list:\n{}", models.concat());
    let gateway = Gateway::start(&config);
    (small, large, gateway)
}

fn words(count: usize) -> String {
    "word ".repeat(count)
}

#[test]
fn a_conversation_goes_where_it_fits() {
    let (small, large, gateway) = pair(CHECKED, 100);
    let client = Client::of(&gateway);
    assert_eq!(client.chat("m", "hi").status, 200);
    assert_eq!((small.count(), large.count()), (1, 0));
    assert_eq!(client.chat("m", &words(200)).status, 200);
    assert_eq!((small.count(), large.count()), (1, 1));
}

#[test]
fn nothing_is_checked_unasked() {
    let (small, large, gateway) = pair("num_retries: 0", 100);
    assert_eq!(Client::of(&gateway).chat("m", &words(200)).status, 200);
    assert_eq!((small.count(), large.count()), (1, 0));
}

#[test]
fn what_looks_too_long_is_counted_before_it_is_left_out() {
    // Estimated at nearly twice what they are: o200k has words of their own for these.
    let russian = "Погода сегодня хорошая, и мы пойдём гулять. ".repeat(20);
    let (small, large, gateway) = pair(CHECKED, 400);
    assert_eq!(Client::of(&gateway).chat("m", &russian).status, 200);
    assert_eq!((small.count(), large.count()), (1, 0));
}

#[test]
fn a_conversation_that_fits_nowhere_is_refused_or_falls_back() {
    let (small, spare) = (Upstream::start(), Upstream::start());
    let models = [
        // 8,192 tokens by the table.
        deployment("small", "openai/gpt-4", &small, ""),
        deployment("other", "openai/gpt-4", &small, ""),
        deployment("large", "openai/gpt-4o", &spare, ""),
    ];
    let gateway = Gateway::start(&format!(
        "router_settings: {{{CHECKED}, context_window_fallbacks: [{{small: [large]}}]}}\nmodel_list:\n{}",
        models.concat()
    ));
    let client = Client::of(&gateway);
    let answer = client.chat("small", &words(9_000));
    assert_eq!((answer.status, answer.header("x-litellm-attempted-fallbacks")), (200, "1"));
    let refused = client.chat("other", &words(9_000));
    let error = &refused.json()["error"];
    assert_eq!((refused.status, error["type"].as_str()), (400, Some("invalid_request_error")));
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("ContextWindowExceededError"), "{message}");
    assert!(message.contains("maximum context length is 8192 tokens"), "{message}");
    assert_eq!((small.count(), spare.count()), (0, 1), "nothing was sent where it does not fit");
    // A client has rules of its own, within what its key may use.
    let asked = |rules: Value, client: &Client| {
        let body = chat("other", &words(9_000), json!({"context_window_fallbacks": rules}));
        client.post("/v1/chat/completions", &body).status
    };
    let narrow =
        client.made("/key/generate", json!({"models": ["other"]}))["key"].as_str().unwrap().to_owned();
    let narrow = Client::with_key(&gateway, &narrow);
    assert_eq!(asked(json!([{"other": ["large"]}]), &client), 200);
    assert_eq!(spare.last().json().get("context_window_fallbacks"), None, "it is nobody else's business");
    assert_eq!(asked(json!([{"small": ["large"]}]), &client), 400, "of another model");
    assert_eq!(asked(json!([{"other": ["large"]}]), &narrow), 400);
    assert_eq!(asked(json!("large"), &client), 400);
    assert_eq!((small.count(), spare.count()), (0, 2));
}
