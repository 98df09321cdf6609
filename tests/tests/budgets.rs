//! Budgets of the configuration, through the whole gateway: what is spent, who is refused, and what upstreams are told.

use std::thread;
use std::time::{Duration, Instant};

use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, MASTER, Setup, deployment, poll};
use gatewright_tests::upstream::{End, Gate, Pause, Said, Script, Upstream, Used};
use serde_json::{Value, json};

/// An answer of gpt-4o's that used so many tokens: $2.5 and $10 a million.
fn used(input: u64, output: u64) -> Script {
    Script::says(Said { used: Used { input, output, ..Used::default() }, ..Said::words(3) })
}

/// A gateway whose callers together may spend so much a day.
fn with_budget(dollars: &str, models: &str) -> Gateway {
    Gateway::start(&format!(
        "litellm_settings: {{max_budget: {dollars}, budget_duration: 1d}}\nmodel_list:\n{models}"
    ))
}

fn nanos(gateway: &Gateway) -> i64 {
    let entries =
        gateway.journal_when("all ended", |all| all.iter().all(|entry| entry.ending() != "running"));
    entries.iter().map(|entry| (entry.0["cost"].as_f64().unwrap() * 1e9).round() as i64).sum()
}

fn kind(response: &Response) -> Value {
    response.json()["error"]["type"].clone()
}

#[test]
fn a_budget_is_never_passed_by_calls_at_once_whatever_becomes_of_them() {
    let upstream = Upstream::start();
    // Every eighth fails after it was billed, the others cost what they may.
    upstream.choose(|seen| {
        let slow = Script { before_head: Pause::millis(30), ..used(60, 6_000) };
        Some(if seen.number % 8 == 7 { Script { cut_before_head: true, ..slow } } else { slow })
    });
    let gateway = with_budget("1.0", &deployment("m", "openai/gpt-4o", &upstream, "num_retries: 0"));
    let client = Client::of(&gateway);
    let body = chat("m", "hi", json!({"max_tokens": 6_000}));
    let answers: Vec<Response> = thread::scope(|scope| {
        let calls: Vec<_> = (0..60)
            .map(|n| {
                let (client, body) = (&client, &body);
                scope.spawn(move || match n % 6 {
                    0 => {
                        drop(client.send("POST", "/v1/chat/completions", body.to_string().as_bytes()));
                        None
                    }
                    _ => Some(client.post("/v1/chat/completions", body)),
                })
            })
            .collect();
        calls.into_iter().filter_map(|call| call.join().unwrap()).collect()
    });
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 422).collect();
    assert!(!refused.is_empty(), "a dollar is not enough for all");
    for answer in refused {
        assert_eq!(kind(answer), "budget_exceeded");
        let words = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(words.starts_with("Budget has been exceeded! Current cost: 0.9"), "{words}");
        assert!(words.ends_with("Max budget: 1.0"), "{words}");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() <= 86_400);
    }
    let spent = nanos(&gateway);
    assert!(spent <= 1_000_000_000, "{spent}");
    assert!(spent > 800_000_000, "{spent}: what is there can be spent");
}

#[test]
fn a_budget_counts_what_the_journal_books() {
    let upstream = Upstream::start();
    upstream.push(used(1_000, 100));
    upstream.push(Script { cut_before_head: true, ..used(0, 0) });
    upstream.push(used(2_000, 200));
    let gateway = with_budget("0.0123", &deployment("m", "openai/gpt-4o", &upstream, "num_retries: 1"));
    let client = Client::of(&gateway);
    let ask = |cap: u64| client.post("/v1/chat/completions", &chat("m", "hi", json!({"max_tokens": cap})));
    assert_eq!([ask(100).status, ask(200).status], [200, 200]);
    let spent = nanos(&gateway);
    // The attempt that broke is booked with its input by estimate.
    assert!(spent > 3_500_000 + 7_000_000, "{spent}");
    let refused = ask(100_000);
    let words = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    let told = format!("Current cost: 0.{:09}", spent).trim_end_matches('0').to_owned();
    assert!(refused.status == 422 && words.contains(&told), "{words}, where the journal has {told}");
}

#[test]
fn a_cap_that_a_budget_sets_is_told_to_upstream_and_client() {
    for (model, field, more) in [
        ("openai/gpt-4o", "max_tokens", ""),
        ("openai/gpt-5-mini", "max_completion_tokens", ""),
        ("anthropic/claude-sonnet-4-5", "max_tokens", ""),
        // Nobody knows how much it writes by itself.
        ("openai/own", "max_tokens", "input_cost_per_token: 0.000001, output_cost_per_token: 0.00001"),
    ] {
        let upstream = Upstream::start();
        let gateway = with_budget("0.02", &deployment("m", model, &upstream, more));
        let answer = Client::of(&gateway).post("/v1/chat/completions", &chat("m", "hi", json!({})));
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let cap: u64 = answer.header("x-gatewright-output-cap").parse().unwrap();
        assert_eq!(upstream.last().json()[field], cap, "{model}");
        let stated =
            Client::of(&gateway).post("/v1/chat/completions", &chat("m", "hi", json!({"max_tokens": 50})));
        assert_eq!((stated.status, stated.header("x-gatewright-output-cap")), (200, ""), "{model}");
        assert_eq!(upstream.last().json()[field], 50, "{model}");
    }
}

#[test]
fn without_a_budget_no_cap_is_set() {
    let upstream = Upstream::start();
    let gateway =
        Gateway::start(&format!("model_list:\n{}", deployment("m", "openai/gpt-4o", &upstream, "")));
    let answer = Client::of(&gateway).chat("m", "hi");
    assert_eq!((answer.status, answer.header("x-gatewright-output-cap")), (200, ""));
    assert_eq!(upstream.last().json().get("max_tokens"), None);
}

#[test]
fn a_call_that_waits_for_money_is_let_in_when_others_end_and_may_leave() {
    let upstream = Upstream::start();
    let gate = Gate::default();
    upstream.push(Script { before_head: Pause::Gate(gate.clone()), ..used(10, 5) });
    let gateway = with_budget("0.1", &deployment("m", "openai/gpt-4o", &upstream, ""));
    let client = Client::of(&gateway);
    let body = chat("m", "hi", json!({"max_tokens": 9_000})).to_string();
    thread::scope(|scope| {
        let first = scope.spawn(|| client.post_bytes("/v1/chat/completions", body.as_bytes()));
        upstream.wait_for_requests(1);
        // It waits in vain and leaves; who comes after it does not wait for it.
        drop(client.send("POST", "/v1/chat/completions", body.as_bytes()).unwrap());
        let second = scope.spawn(|| client.post_bytes("/v1/chat/completions", body.as_bytes()));
        assert!(poll(Duration::from_millis(200), || (upstream.seen().len() > 1).then_some(())).is_none());
        gate.open();
        assert_eq!([first.join().unwrap().status, second.join().unwrap().status], [200, 200]);
    });
}

#[test]
fn a_call_that_waits_too_long_is_refused() {
    let upstream = Upstream::start();
    upstream.push(Script { before_head: Pause::Forever, ..used(10, 5) });
    let config = format!(
        "litellm_settings: {{max_budget: 0.1, budget_exceeded_status_code: 429}}\nmodel_list:\n{}{MASTER}",
        deployment("m", "openai/gpt-4o", &upstream, "")
    );
    let gateway = Setup::new(config).env("GATEWRIGHT__GENERAL_SETTINGS__BUDGET_WAIT", "0.3").start();
    let client = Client::of(&gateway);
    let body = chat("m", "hi", json!({"max_tokens": 9_000})).to_string();
    let stuck = client.send("POST", "/v1/chat/completions", body.as_bytes()).unwrap();
    upstream.wait_for_requests(1);
    let began = Instant::now();
    let refused = client.post_bytes("/v1/chat/completions", body.as_bytes());
    assert_eq!((refused.status, kind(&refused)), (429, json!("budget_exceeded")));
    assert!(began.elapsed() >= Duration::from_millis(300), "it waits first");
    drop(stuck);
    upstream.wait("the cancel", |bills| bills[0].end == End::Left);
}

#[test]
fn a_deployment_whose_budget_is_spent_is_passed_over() {
    let (dear, cheap) = (Upstream::start(), Upstream::start());
    dear.choose(|_| Some(used(10, 500)));
    let models = [
        deployment("m", "openai/gpt-4o", &dear, "max_budget: 0.006, budget_duration: 1d, order: 1"),
        deployment("m", "openai/gpt-4o-mini", &cheap, "order: 2"),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", models.concat()));
    let ask =
        || Client::of(&gateway).post("/v1/chat/completions", &chat("m", "hi", json!({"max_tokens": 500})));
    assert_eq!([ask().status, ask().status, ask().status], [200; 3]);
    assert_eq!((dear.seen().len(), cheap.seen().len()), (1, 2));
}

#[test]
fn a_provider_whose_budget_is_spent_takes_no_more() {
    let upstream = Upstream::start();
    upstream.choose(|_| Some(used(10, 500)));
    let models = [
        deployment("a", "openai/gpt-4o", &upstream, ""),
        deployment("b", "openai/gpt-4o-mini", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!(
        "router_settings: {{provider_budget_config: {{openai: {{budget_limit: 0.0051, time_period: 1d}}}}}}\nmodel_list:\n{}",
        models.concat()
    ));
    let ask = |model: &str| {
        Client::of(&gateway).post("/v1/chat/completions", &chat(model, "hi", json!({"max_tokens": 500})))
    };
    assert_eq!(ask("a").status, 200);
    for model in ["a", "b"] {
        let refused = ask(model);
        assert_eq!((refused.status, kind(&refused)), (429, json!("throttling_error")));
        let words = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(words.starts_with("No deployments available - crossed budget: provider openai"), "{words}");
    }
    assert_eq!(upstream.seen().len(), 1);
}
