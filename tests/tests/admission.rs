//! More calls than the gateway takes: some wait, in turns by tenant, and the others are refused at once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use gatewright_tests::client::{Client, Live, Response, chat, message};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment, poll};
use gatewright_tests::upstream::{Ends, Gate, Pause, Said, Script, Upstream};
use serde_json::{Value, json};

/// Long enough that nobody is refused for having waited.
const PATIENT: &str = "admission_queue_timeout_seconds: 60";

/// A gateway with room for so many calls, and an upstream whose answers are held one by one.
struct Scene {
    upstream: Upstream,
    gateway: Gateway,
    held: Vec<Gate>,
}

/// Calls of one key.
struct Tenant {
    client: Client,
}

// === impl Scene ===

impl Scene {
    fn start(inside: usize, waiting: usize, more: &str) -> Self {
        let upstream = Upstream::start();
        let list = deployment("m", "openai/gpt-4o", &upstream, "");
        let gateway = Setup::new(format!(
            "model_list:\n{list}general_settings: {{master_key: {MASTER_KEY}, {more}, \
             max_in_flight_requests_per_worker: {inside}, max_queued_requests_per_worker: {waiting}}}\n"
        ))
        .start();
        Self { upstream, gateway, held: Vec::new() }
    }

    /// Holds the next so many answers until they are let go, in the order in which they are asked for.
    fn hold(&mut self, count: usize) {
        for _ in 0..count {
            let gate = Gate::default();
            self.upstream
                .push(Script { before_head: Pause::Gate(gate.clone()), ..Script::says(Said::words(2)) });
            self.held.push(gate);
        }
    }

    fn key(&self, grant: Value) -> Tenant {
        let made = Client::of(&self.gateway).made("/key/generate", grant);
        Tenant { client: Client::with_key(&self.gateway, made["key"].as_str().unwrap()) }
    }

    /// A figure of the door's.
    fn figure(&self, name: &str) -> u64 {
        let told = Client::of(&self.gateway).get("/metrics").text();
        let line = told.lines().find_map(|line| line.strip_prefix(&format!("gatewright_door_{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {told}")).parse().unwrap()
    }

    fn until(&self, name: &str, count: u64) {
        let came = poll(Duration::from_secs(20), || (self.figure(name) == count).then_some(()));
        assert!(came.is_some(), "{name} is {}, not {count}", self.figure(name));
    }

    /// Sends a call that waits.
    fn waits(&self, tenant: &Tenant, text: &str) -> TcpStream {
        let before = self.figure("calls_waiting");
        let socket = tenant.send(text);
        self.until("calls_waiting", before + 1);
        socket
    }

    /// What the upstream was asked, in its order.
    fn asked(&self) -> Vec<String> {
        let text = |body: Value| body["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
        self.upstream.seen().iter().map(|seen| text(seen.json())).collect()
    }
}

// === impl Tenant ===

impl Tenant {
    fn send(&self, text: &str) -> TcpStream {
        let body = chat("m", text, json!({})).to_string();
        self.client.send("POST", "/v1/chat/completions", body.as_bytes()).unwrap()
    }
}

fn finish(socket: TcpStream) -> Response {
    Live::read(socket).unwrap().finish()
}

fn is_refusal(answer: &Response) -> bool {
    answer.status == 503 && answer.header("retry-after") == "1" && answer.whole
}

#[test]
fn so_many_go_on_so_many_wait_and_the_rest_is_refused_in_its_dialect() {
    let mut scene = Scene::start(2, 3, PATIENT);
    scene.hold(5);
    let a = scene.key(json!({}));
    let mut calls: Vec<TcpStream> = ["a1", "a2"].map(|text| a.send(text)).into();
    scene.upstream.wait_for_requests(2);
    calls.extend(["a3", "a4", "a5"].map(|text| scene.waits(&a, text)));
    let asks = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}]});
    for (path, body, kind, told) in [
        ("/v1/chat/completions", chat("m", "x", json!({})), "/error/type", json!("internal_server_error")),
        ("/v1/chat/completions", chat("m", "x", json!({"stream": true})), "/error/code", json!("503")),
        ("/v1/messages", message("m", "x", json!({})), "/error/type", json!("overloaded_error")),
        ("/v1/messages", message("m", "x", json!({"stream": true})), "/type", json!("error")),
        ("/v1beta/models/m:generateContent", asks.clone(), "/error/status", json!("UNAVAILABLE")),
        ("/v1beta/models/m:streamGenerateContent", asks, "/error/code", json!(503)),
        ("/v1/responses", json!({"model": "m", "input": "x"}), "/error/code", json!("503")),
        ("/openai/deployments/m/chat/completions", chat("m", "x", json!({})), "/error/code", json!("503")),
        ("/v1/embeddings", json!({"model": "m", "input": "x"}), "/error/code", json!("503")),
    ] {
        let answer = a.client.post(path, &body);
        assert!(is_refusal(&answer), "{path}: {} {:?}", answer.status, answer.headers);
        assert_eq!(answer.json().pointer(kind), Some(&told), "{path}: {}", answer.text());
    }
    let admin = Client::of(&scene.gateway);
    for path in ["/health/liveliness", "/health/readiness", "/health", "/v1/models", "/key/list", "/metrics"]
    {
        assert_eq!(admin.get(path).status, 200, "{path}");
    }
    assert_eq!((scene.figure("calls_inside"), scene.figure("calls_waiting")), (2, 3));
    assert_eq!(scene.asked().len(), 2);
    scene.held.iter().for_each(Gate::open);
    assert!(calls.into_iter().all(|call| finish(call).status == 200));
    let mut asked = scene.asked();
    asked.sort();
    assert_eq!(asked, ["a1", "a2", "a3", "a4", "a5"]);
    let told = [("calls_inside", 0), ("calls_waiting", 0), ("calls_waited_total", 3)];
    told.iter().for_each(|(name, count)| scene.until(name, *count));
    assert_eq!(scene.figure("calls_refused_total{why=\"full\"}"), 9);
    assert_eq!(scene.gateway.journal().len(), 5, "what was refused is no attempt");
}

#[test]
fn tenants_are_served_in_turns_and_a_team_is_one() {
    let mut scene = Scene::start(1, 20, PATIENT);
    scene.hold(9);
    Client::of(&scene.gateway).made("/team/new", json!({"team_id": "t"}));
    let (a, b) = (scene.key(json!({})), scene.key(json!({})));
    let team = [scene.key(json!({"team_id": "t"})), scene.key(json!({"team_id": "t"}))];
    let mut calls = vec![a.send("a0")];
    scene.upstream.wait_for_requests(1);
    for (tenant, text) in [
        (&a, "a1"),
        (&a, "a2"),
        (&a, "a3"),
        (&a, "a4"),
        (&b, "b1"),
        (&team[0], "t1"),
        (&team[1], "t2"),
        (&b, "b2"),
    ] {
        calls.push(scene.waits(tenant, text));
    }
    for (number, gate) in scene.held.iter().enumerate() {
        gate.open();
        scene.upstream.wait_for_requests((number + 2).min(scene.held.len()));
    }
    assert_eq!(scene.asked(), ["a0", "a1", "b1", "t1", "a2", "b2", "t2", "a3", "a4"]);
    assert!(calls.into_iter().all(|call| finish(call).status == 200));
}

#[test]
fn nobody_holds_the_whole_queue() {
    let mut scene = Scene::start(1, 3, PATIENT);
    scene.hold(4);
    let (a, b) = (scene.key(json!({})), scene.key(json!({})));
    let first = a.send("a0");
    scene.upstream.wait_for_requests(1);
    let [a1, a2, a3] = ["a1", "a2", "a3"].map(|text| scene.waits(&a, text));
    let b1 = b.send("b1");
    let refused = finish(a3);
    assert!(is_refusal(&refused), "{} {:?}", refused.status, refused.headers);
    // One against two: another swap would only change who waits.
    assert!(is_refusal(&b.client.chat("m", "b2")) && is_refusal(&a.client.chat("m", "a4")));
    assert_eq!(scene.figure("calls_refused_total{why=\"displaced\"}"), 1);
    scene.held.iter().for_each(Gate::open);
    assert!([first, a1, a2, b1].into_iter().all(|call| finish(call).status == 200));
    assert_eq!(scene.asked(), ["a0", "a1", "b1", "a2"]);
}

#[test]
fn a_client_that_leaves_the_queue_frees_its_place() {
    let mut scene = Scene::start(1, 2, PATIENT);
    scene.hold(2);
    let a = scene.key(json!({}));
    let first = a.send("a0");
    scene.upstream.wait_for_requests(1);
    let small = scene.waits(&a, "a1");
    let large = scene.waits(&a, &"x".repeat(40_000));
    assert!(is_refusal(&a.client.chat("m", "a2")));
    drop(large);
    scene.until("calls_waiting", 1);
    let last = scene.waits(&a, "a3");
    drop(small);
    scene.until("calls_waiting", 1);
    scene.held.iter().for_each(Gate::open);
    assert!([first, last].into_iter().all(|call| finish(call).status == 200));
    assert_eq!(scene.asked(), ["a0", "a3"]);
    assert_eq!(scene.gateway.journal().len(), 2);
}

#[test]
fn whoever_waited_in_vain_is_refused() {
    let mut scene = Scene::start(1, 2, "admission_queue_timeout_seconds: 0.1");
    scene.hold(1);
    let a = scene.key(json!({}));
    let first = a.send("a0");
    scene.upstream.wait_for_requests(1);
    assert!(is_refusal(&a.client.chat("m", "a1")));
    assert_eq!((scene.figure("calls_refused_total{why=\"late\"}"), scene.figure("calls_waiting")), (1, 0));
    scene.held[0].open();
    assert_eq!((finish(first).status, scene.asked().len()), (200, 1));
}

#[test]
fn a_stream_has_its_place_until_its_end() {
    let scene = Scene::start(1, 0, PATIENT);
    let a = scene.key(json!({}));
    let gate = Gate::default();
    let stream = |ends| scene.upstream.push(Script::says(Said::words(20)).stopping(4, ends));
    let body = chat("m", "hi", json!({"stream": true}));
    stream(Ends::Hold(gate.clone()));
    let mut live = a.client.start("/v1/chat/completions", &body);
    live.event_with("w0");
    assert!(is_refusal(&a.client.chat("m", "hi")));
    gate.open();
    live.event_with("[DONE]");
    scene.until("calls_inside", 0);
    stream(Ends::Stall);
    let mut live = a.client.start("/v1/chat/completions", &body);
    live.event_with("w0");
    assert!(is_refusal(&a.client.chat("m", "hi")));
    drop(live);
    scene.until("calls_inside", 0);
    assert_eq!(a.client.chat("m", "hi").status, 200);
}

#[test]
fn a_refused_connection_goes_on_and_a_body_that_was_not_sent_need_not_be() {
    let mut scene = Scene::start(1, 0, PATIENT);
    scene.hold(1);
    let a = scene.key(json!({}));
    let first = a.send("a0");
    scene.upstream.wait_for_requests(1);
    let body = chat("m", &"x".repeat(3_000_000), json!({})).to_string();
    let mut socket = a.client.connect().unwrap();
    for _ in 0..3 {
        let sent = a.client.send_over(socket, "POST", "/v1/chat/completions", body.as_bytes()).unwrap();
        socket = sent.try_clone().unwrap();
        let refused = finish(sent);
        assert!(is_refusal(&refused), "{} {:?}", refused.status, refused.headers);
    }
    let mut polite = a.client.connect().unwrap();
    let head = a.client.head("POST", "/v1/chat/completions");
    write!(polite, "{head}content-length: {}\r\nexpect: 100-continue\r\n\r\n", body.len()).unwrap();
    // Not even "100 Continue": the body stays with its client.
    let mut told = [0; 12];
    polite.read_exact(&mut told).unwrap();
    assert_eq!(String::from_utf8_lossy(&told), "HTTP/1.1 503");
    scene.held[0].open();
    assert_eq!(finish(first).status, 200);
}

#[test]
fn a_bound_that_lets_nobody_in_is_no_bound() {
    let (good, told) = Setup::new("general_settings: {max_in_flight_requests_per_worker: 0}\n")
        .arg("--config")
        .arg("config.yaml")
        .arg("--check")
        .run();
    assert!(!good && told.contains("max_in_flight_requests_per_worker: expected at least 1"), "{told}");
}
