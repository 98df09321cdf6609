//! What is held for a call follows its attempts: retries after attempts that were billed, dearer fallbacks, and streams
//! that are longer than they may be.

use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::{End, Pause, Said, Script, Upstream, Used};
use serde_json::{Value, json};

fn used(input: u64, output: u64) -> Script {
    Script::says(Said { used: Used { input, output, ..Used::default() }, ..Said::words(3) })
}

/// Cut off after the provider has seen it: billed by estimate.
fn cut() -> Script {
    Script { cut_before_head: true, ..used(0, 0) }
}

fn refusal(answer: &Response) -> (u16, Value) {
    (answer.status, answer.json()["error"]["type"].clone())
}

fn nanos(gateway: &Gateway) -> i64 {
    let entries =
        gateway.journal_when("all ended", |all| all.iter().all(|entry| entry.ending() != "running"));
    entries.iter().map(|entry| (entry.0["cost"].as_f64().unwrap() * 1e9).round() as i64).sum()
}

/// `cheap` is gpt-4o-mini ($0.15 and $0.60 a million), and falls back to gpt-4o ($2.5 and $10).
fn with_fallback(dollars: &str) -> (Upstream, Upstream, Gateway) {
    let (cheap, dear) = (Upstream::start(), Upstream::start());
    let models = [
        deployment("cheap", "openai/gpt-4o-mini", &cheap, "num_retries: 0"),
        deployment("dear", "openai/gpt-4o", &dear, ""),
    ];
    let gateway = Gateway::start(&format!(
        "litellm_settings: {{max_budget: {dollars}, fallbacks: [{{cheap: [dear]}}]}}\nmodel_list:\n{}",
        models.concat()
    ));
    (cheap, dear, gateway)
}

#[test]
fn a_dearer_fallback_is_refused_where_the_budget_does_not_cover_it() {
    let (cheap, dear, gateway) = with_fallback("0.01");
    cheap.choose(|_| Some(cut()));
    dear.choose(|_| Some(used(10, 2_000)));
    let ask = |cap: u64| {
        Client::of(&gateway).post("/v1/chat/completions", &chat("cheap", "hi", json!({"max_tokens": cap})))
    };
    // 2,000 tokens are a fifth of a cent here, and two cents there.
    assert_eq!(refusal(&ask(2_000)), (422, json!("budget_exceeded")));
    assert_eq!((cheap.seen().len(), dear.seen().len()), (1, 0));
    assert_eq!(ask(900).status, 200, "what it covers is not refused");
}

#[test]
fn a_dearer_fallback_gets_the_cap_that_the_budget_covers() {
    let (cheap, dear, gateway) = with_fallback("0.02");
    cheap.choose(|_| Some(cut()));
    let answer = Client::of(&gateway).chat("cheap", "hi");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let cap: u64 = answer.header("x-gatewright-output-cap").parse().unwrap();
    assert!((1_500..2_000).contains(&cap), "{cap}: a little less than two cents are left");
    assert_eq!(dear.last().json()["max_tokens"], cap);
    assert_eq!(cheap.last().json().get("max_tokens"), None, "the cheap one may write all that it can");
}

#[test]
fn a_retry_after_a_billed_attempt_is_held_for_too() {
    let upstream = Upstream::start();
    upstream.choose(|_| Some(cut()));
    // 120 kB are some 40,000 tokens, or ten cents.
    let text = "some words ".repeat(11_000);
    let body = chat("m", &text, json!({"max_tokens": 10}));
    for (dollars, status, attempts) in [("0.15", 422, 1), ("10", 500, 3)] {
        let before = upstream.seen().len();
        let model = deployment("m", "openai/gpt-4o", &upstream, "num_retries: 2");
        let gateway =
            Gateway::start(&format!("litellm_settings: {{max_budget: {dollars}}}\nmodel_list:\n{model}"));
        assert_eq!(Client::of(&gateway).post("/v1/chat/completions", &body).status, status, "{dollars}");
        assert_eq!(upstream.seen().len() - before, attempts, "{dollars}");
        assert!(nanos(&gateway) as f64 <= dollars.parse::<f64>().unwrap() * 1e9);
    }
}

#[test]
fn a_stream_that_is_longer_than_it_may_be_is_ended_with_an_error_and_settled() {
    for (model, path, done) in [
        ("openai/gpt-4o", "/v1/chat/completions", "budget_exceeded"),
        ("anthropic/claude-sonnet-4-5", "/v1/chat/completions", "budget_exceeded"),
        ("openai/gpt-4o", "/v1/messages", "event: error"),
    ] {
        let upstream = Upstream::start();
        // It ignores the cap: 20,000 bytes where 100 tokens were asked for.
        let long = || Said::text((0..400).map(|n| format!("w{n:03} {:45}", "and on and on")));
        upstream.choose(move |seen| {
            let between = if seen.number == 0 { Pause::millis(1) } else { Pause::None };
            Some(Script { between, ..Script::says(long()) })
        });
        let model = deployment("m", model, &upstream, "");
        let gateway = Gateway::start(&format!("litellm_settings: {{max_budget: 1}}\nmodel_list:\n{model}"));
        let client = Client::of(&gateway);
        let ask = |more: Value| client.start(path, &chat("m", "hi", more)).finish();
        let ended = ask(json!({"max_tokens": 100, "stream": true}));
        let text = ended.text();
        assert_eq!(ended.status, 200, "{text}");
        assert!(text.contains("The answer was ended") && text.contains(done), "{path}: {text}");
        assert!(text.contains("w000") && !text.contains("w399"), "{path}: {text}");
        upstream.wait("the cancel", |bills| bills[0].end == End::Left);
        let journal = gateway.journal_when("it ended", |all| all.iter().all(|e| e.ending() != "running"));
        assert_eq!((journal.len(), journal[0].ending()), (1, "failed"), "{journal:?}");
        assert!(journal[0].output() >= 200, "what was seen is booked: {journal:?}");
        // Where nothing is held against, an answer may be as long as its provider wants.
        let whole = ask(json!({"max_tokens": 6_000, "stream": true})).text();
        assert!(whole.contains("w399") && !whole.contains("The answer was ended"));
    }
}

#[test]
fn what_was_spent_counts_on_when_the_process_was_killed() {
    let upstream = Upstream::start();
    upstream.choose(|_| Some(used(10, 500)));
    let model = |more: &str| deployment("m", "openai/gpt-4o", &upstream, more);
    let ask = |client: &Client| {
        client.post("/v1/chat/completions", &chat("m", "hi", json!({"max_tokens": 500}))).status
    };
    for (settings, more, refusal) in [
        ("litellm_settings: {max_budget: 0.0101, budget_duration: 1d}\n", "", 422),
        ("litellm_settings: {max_budget: 0.0101}\n", "", 422),
        (
            "router_settings: {provider_budget_config: {openai: {budget_limit: 0.0101, time_period: 1d}}}\n",
            "",
            429,
        ),
        ("", "max_budget: 0.0101, budget_duration: 30d", 429),
    ] {
        let mut gateway = Gateway::start(&format!("{settings}model_list:\n{}", model(more)));
        assert_eq!([0, 1].map(|_| ask(&Client::of(&gateway))), [200, 200]);
        // At once: the database has nothing yet of what is in the journal.
        gateway.kill();
        gateway.restart();
        assert_eq!(ask(&Client::of(&gateway)), refusal, "{settings}{more}");
    }
    let mut gateway = Gateway::start(&format!("model_list:\n{}", model("")));
    let made = Client::of(&gateway).post("/key/generate", &json!({"max_budget": 0.0101})).json();
    let key = format!("Bearer {}", made["key"].as_str().unwrap());
    let client = |gateway: &Gateway| Client::new(gateway.addr()).header("authorization", &key);
    assert_eq!([0, 1].map(|_| ask(&client(&gateway))), [200, 200]);
    gateway.kill();
    gateway.restart();
    assert_eq!(ask(&client(&gateway)), 422, "a key's budget");
}

#[test]
fn limits_of_a_single_model_count_for_whatever_group_answers() {
    for limits in [
        json!({"model_max_budget": {"dear": {"budget_limit": 0.0051, "time_period": "1d"}}}),
        json!({"model_rpm_limit": {"dear": 1}}),
    ] {
        let (cheap, dear, gateway) = with_fallback("1");
        cheap.choose(|_| Some(cut()));
        dear.choose(|_| Some(used(10, 500)));
        let made = Client::of(&gateway).post("/key/generate", &limits).json();
        let key = format!("Bearer {}", made["key"].as_str().unwrap());
        let client = Client::new(gateway.addr()).header("authorization", &key);
        let ask = |model: &str| {
            client.post("/v1/chat/completions", &chat(model, "hi", json!({"max_tokens": 500}))).status
        };
        assert_eq!(ask("cheap"), 200, "{limits}: the fallback answers");
        assert_eq!(ask("cheap"), 500, "{limits}: and may not again");
        assert!([422, 429].contains(&ask("dear")), "{limits}");
        assert_eq!((cheap.seen().len(), dear.seen().len()), (2, 1), "{limits}");
    }
}
