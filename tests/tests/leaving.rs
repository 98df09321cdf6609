//! Clients that leave, and a gateway that reads on without them.

use gatewright_tests::client::{Client, chat, message};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment};
use gatewright_tests::journal::Entry;
use gatewright_tests::upstream::{End, Ends, Gate, Pause, Said, Script, Upstream};
use serde_json::{Value, json};

/// A gateway that drains; `more` is further keys of its `general_settings`.
fn draining(upstream: &Upstream, model: &str, more: &str) -> Gateway {
    let list = deployment("m", model, upstream, "");
    Setup::new(format!(
        "router_settings: {{num_retries: 2, retry_after: 0, disable_cooldowns: true}}\nmodel_list:\n{list}\
         general_settings: {{master_key: {MASTER_KEY}, on_client_leave: drain{more}}}\n"
    ))
    .start()
}

fn settled(gateway: &Gateway, count: usize) -> Vec<Entry> {
    let ended = |all: &[Entry]| all.len() >= count && all.iter().all(|entry| entry.ending() != "running");
    gateway.journal_when("all ended", ended)
}

fn words() -> Script {
    Script::says(Said::words(20))
}

fn body(path: &str, stream: bool) -> Value {
    match path {
        "/v1/messages" => message("m", "hi", json!({"stream": stream})),
        _ => chat("m", "hi", json!({"stream": stream})),
    }
}

/// Sends a call and leaves when the upstream has it.
fn leave_early(gateway: &Gateway, upstream: &Upstream, path: &str, stream: bool) {
    let requests = upstream.seen().len();
    let socket = Client::of(gateway).send("POST", path, body(path, stream).to_string().as_bytes()).unwrap();
    upstream.wait_for_requests(requests + 1);
    drop(socket);
}

#[test]
fn an_answer_is_read_to_its_end_without_its_client() {
    for model in ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"] {
        let upstream = Upstream::start();
        let gateway = draining(&upstream, model, "");
        for (count, (path, stream)) in [
            ("/v1/chat/completions", false),
            ("/v1/chat/completions", true),
            ("/v1/messages", false),
            ("/v1/messages", true),
        ]
        .into_iter()
        .enumerate()
        {
            let gate = Gate::default();
            upstream.push(Script { before_head: Pause::Gate(gate.clone()), ..words() });
            leave_early(&gateway, &upstream, path, stream);
            gate.open();
            let entries = settled(&gateway, count + 1);
            let entry = &entries[count];
            assert!(entry.is_exact() && entry.ending() == "complete", "{path} to {model}: {entry:?}");
            assert_eq!((entry.input(), entry.output()), (10, 5), "{path} to {model}: {entry:?}");
        }
        assert!(upstream.bills().iter().all(|bill| bill.end == End::Sent), "{:?}", upstream.bills());
    }
}

#[test]
fn a_stream_is_read_to_its_end_without_its_client() {
    for path in ["/v1/chat/completions", "/v1/messages"] {
        let upstream = Upstream::start();
        let gateway = draining(&upstream, "openai/gpt-4o", "");
        let gate = Gate::default();
        upstream.push(words().stopping(8, Ends::Hold(gate.clone())));
        let mut live = Client::of(&gateway).start(path, &body(path, true));
        live.event_with("w0");
        drop(live);
        gate.open();
        let entries = settled(&gateway, 1);
        assert!(entries[0].is_exact() && entries[0].output() == 5, "{path}: {entries:?}");
        assert_eq!(upstream.bills()[0].end, End::Sent);
    }
}

#[test]
fn a_drained_answer_has_a_time_and_then_it_is_cancelled() {
    let upstream = Upstream::start();
    let gateway = draining(&upstream, "openai/gpt-4o", ", drain_timeout: 0.1");
    upstream.push(words().stopping(8, Ends::Stall));
    let mut live = Client::of(&gateway).start("/v1/chat/completions", &body("", true));
    live.event_with("w0");
    drop(live);
    upstream.wait("the cancel", |bills| bills[0].end == End::Left);
    let entries = settled(&gateway, 1);
    assert!(!entries[0].is_exact() && entries[0].ending() == "abandoned", "{entries:?}");
    assert!(entries[0].0["bound"].as_f64() > entries[0].0["cost"].as_f64(), "{entries:?}");
}

#[test]
fn so_many_are_drained_at_a_time_and_the_others_are_cancelled() {
    let upstream = Upstream::start();
    let gateway = draining(&upstream, "openai/gpt-4o", ", drain_limit: 1");
    let gate = Gate::default();
    for _ in 0..3 {
        upstream.push(Script { before_head: Pause::Gate(gate.clone()), ..words() });
    }
    for _ in 0..3 {
        leave_early(&gateway, &upstream, "/v1/chat/completions", false);
        let left = upstream.seen().len() - 1;
        if left > 0 {
            upstream.wait("the cancel", |bills| bills[left].end == End::Left);
        }
    }
    gate.open();
    let entries = settled(&gateway, 3);
    let endings: Vec<&str> = entries.iter().map(Entry::ending).collect();
    assert_eq!(endings, ["complete", "abandoned", "abandoned"]);
}

#[test]
fn nothing_new_is_begun_for_a_client_that_left() {
    let upstream = Upstream::start();
    let mut gateway = draining(&upstream, "openai/gpt-4o", "");
    let gate = Gate::default();
    upstream.push(Script { before_head: Pause::Gate(gate.clone()), ..Script::fails(500, "broken") });
    leave_early(&gateway, &upstream, "/v1/chat/completions", false);
    gate.open();
    // It would be tried again within a second, and the gateway does not end before it has.
    gateway.terminate();
    assert!(gateway.wait_for_exit().success());
    assert_eq!((upstream.seen().len(), gateway.journal().len()), (1, 1));
}

#[test]
fn a_gateway_that_is_stopped_ends_what_it_drains_first() {
    let upstream = Upstream::start();
    let mut gateway = draining(&upstream, "openai/gpt-4o", "");
    upstream.push(Script { between: Pause::millis(20), ..words() });
    let mut live = Client::of(&gateway).start("/v1/chat/completions", &body("", true));
    live.event_with("w0");
    drop(live);
    gateway.terminate();
    assert!(gateway.wait_for_exit().success());
    let entries = gateway.journal();
    assert!(entries.len() == 1 && entries[0].is_exact(), "{entries:?}");
}
