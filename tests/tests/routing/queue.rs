//! Calls wait for a group whose deployments are all full: in turn, and for no longer than they may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, deployment, poll};
use gatewright_tests::upstream::{Gate, Pause, Script, Upstream};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);
const PATH: &str = "/v1/chat/completions";

/// A group of one deployment that takes one call at a time, and the gates of its answers.
struct Stage {
    upstream: Upstream,
    gateway: Gateway,
    gates: Arc<Vec<Gate>>,
}

impl Stage {
    fn set(settings: &str) -> Self {
        let upstream = Upstream::start();
        let gates: Arc<Vec<Gate>> = Arc::new((0..9).map(|_| Gate::default()).collect());
        let list = deployment("m", "openai/gpt-4o", &upstream, "max_parallel_requests: 1");
        let gateway = Gateway::start(&format!("router_settings: {{{settings}}}\nmodel_list:\n{list}"));
        let held = gates.clone();
        upstream.choose(move |seen| {
            Some(Script { before_head: Pause::Gate(held[seen.number].clone()), ..Script::default() })
        });
        Self { upstream, gateway, gates }
    }

    fn client(&self) -> Client {
        Client::of(&self.gateway)
    }

    /// Sends the call that takes the only slot.
    fn first(&self, client: &Client) -> thread::JoinHandle<Response> {
        let client = client.clone();
        let call = thread::spawn(move || client.post(PATH, &ask("first", json!({}))));
        self.upstream.wait_for_requests(1);
        call
    }

    /// Sends a call that will wait, and returns when it does.
    fn waits(&self, client: &Client, path: &str, body: &Value) -> thread::JoinHandle<Response> {
        let before = self.waiting();
        let (client, path, body) = (client.clone(), path.to_owned(), body.clone());
        let call = thread::spawn(move || client.post(&path, &body));
        self.wait_for(before + 1);
        call
    }

    fn wait_for(&self, count: usize) {
        let found = poll(PATIENCE, || (self.waiting() == count).then_some(()));
        assert!(found.is_some(), "{} wait, not {count}", self.waiting());
    }

    fn waiting(&self) -> usize {
        let text = self.client().get("/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix("gatewright_routing_waiting_calls "));
        line.and_then(|number| number.parse().ok()).unwrap()
    }

    /// What the upstream was asked, in this order.
    fn asked(&self) -> Vec<String> {
        let text = |body: Value| body["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
        self.upstream.seen().iter().map(|seen| text(seen.json())).collect()
    }
}

fn ask(text: &str, more: Value) -> Value {
    chat("m", text, more)
}

#[test]
fn five_calls_go_one_after_the_other() {
    let upstream = Upstream::start();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let list = deployment("m", "openai/gpt-4o", &upstream, "max_parallel_requests: 1");
    let gateway = Gateway::start(&format!("model_list:\n{list}"));
    let at_once = (running.clone(), most.clone());
    upstream.choose(move |_| {
        let (running, most) = &at_once;
        most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
        Some(Script { before_head: Pause::millis(50), ..Script::default() })
    });
    let begun = Instant::now();
    thread::scope(|scope| {
        for nth in 0..5 {
            let (client, running) = (Client::of(&gateway), running.clone());
            scope.spawn(move || {
                let answer = client.post(PATH, &ask("hi", json!({"stream": nth % 2 == 0})));
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert_eq!(answer.header("x-litellm-attempted-retries"), "0");
                running.fetch_sub(1, SeqCst);
            });
        }
    });
    assert_eq!(upstream.count(), 5);
    // Whoever has its answer has given its slot back: the next one is woken, and does not look each second.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(most.load(SeqCst) <= 2, "an answer's last byte may be on its way still: {most:?}");
    assert_eq!(gateway.journal_when("all five", |all| all.len() == 5).len(), 5, "an entry each, and no more");
}

#[test]
fn lower_priorities_are_served_first() {
    let stage = Stage::set("default_priority: 5");
    let client = stage.client();
    let first = stage.first(&client);
    let high = client.clone().header("x-litellm-priority", "2");
    let calls = [
        stage.waits(&client, PATH, &ask("default", json!({}))),
        stage.waits(&client, "/queue/chat/completions", &ask("low", json!({"priority": 9}))),
        stage.waits(&high, PATH, &ask("high", json!({}))),
        stage.waits(&client, PATH, &ask("higher", json!({"priority": 1}))),
    ];
    stage.gates.iter().for_each(Gate::open);
    for call in calls.into_iter().chain([first]) {
        assert_eq!(call.join().unwrap().status, 200);
    }
    assert_eq!(stage.asked(), ["first", "higher", "high", "default", "low"]);
    let told = stage.upstream.seen().iter().any(|seen| !seen.json()["priority"].is_null());
    assert!(!told, "the provider is not told of it");
}

#[test]
fn a_full_line_and_a_long_wait_are_refused_at_once() {
    let stage = Stage::set("queue_length: 1");
    let client = stage.client();
    let first = stage.first(&client);
    let second = stage.waits(&client, PATH, &ask("second", json!({})));
    let refused = client.chat("m", "third");
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"), "{}", refused.text());
    assert_eq!(refused.header("rate_limit_type"), "max_parallel_requests");
    stage.gates.iter().for_each(Gate::open);
    assert_eq!([first, second].map(|call| call.join().unwrap().status), [200, 200]);
    assert_eq!(stage.asked(), ["first", "second"]);
    assert_eq!(stage.waiting(), 0);
}

#[test]
fn a_rate_that_comes_back_too_late_is_refused_at_once() {
    let upstream = Upstream::start();
    let list = deployment("m", "openai/gpt-4o", &upstream, "rpm: 1");
    // A minute may be about to end: then the second call is let in after a moment, and the third one is refused.
    let gateway = Gateway::start(&format!(
        "router_settings: {{optional_pre_call_checks: [enforce_model_rate_limits], queue_timeout: 2}}\nmodel_list:\n{list}"
    ));
    let client = Client::of(&gateway);
    let answers: Vec<Response> = (0..3).map(|_| client.chat("m", "hi")).collect();
    let refused = answers.iter().find(|answer| answer.status == 429).expect("one a minute");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((3..=60).contains(&wait), "{wait}");
    assert_eq!(refused.header("rate_limit_type"), "requests");
}

#[test]
fn who_leaves_while_it_waits_holds_nobody_up() {
    let stage = Stage::set("");
    let client = stage.client();
    let first = stage.first(&client);
    let body = ask("leaves", json!({})).to_string();
    let leaves = client.send("POST", PATH, body.as_bytes()).unwrap();
    stage.wait_for(1);
    let last = stage.waits(&client, PATH, &ask("last", json!({})));
    drop(leaves);
    stage.wait_for(1);
    stage.gates.iter().for_each(Gate::open);
    assert_eq!([first, last].map(|call| call.join().unwrap().status), [200, 200]);
    assert_eq!(stage.asked(), ["first", "last"]);
}

#[test]
fn nobody_waits_where_waiting_is_off() {
    let stage = Stage::set("queue_timeout: 0");
    let first = stage.first(&stage.client());
    let refused = stage.client().chat("m", "second");
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    stage.gates.iter().for_each(Gate::open);
    assert_eq!(first.join().unwrap().status, 200);
}
