//! Every attempt is settled exactly once in the journal, however it ends.

use bytes::Bytes;
use gatewright_tests::client::{Client, Live, chat, message};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment};
use gatewright_tests::journal::Entry;
use gatewright_tests::upstream::{End, Ends, Pause, Said, Script, Upstream, UsageForm};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;

/// What the client does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Client_ {
    Reads,
    LeavesBeforeTheHead,
    LeavesAfterTheFirstWord,
}

use Client_::{LeavesAfterTheFirstWord, LeavesBeforeTheHead, Reads};

/// How one attempt goes, and the entry that it must leave.
struct Case {
    name: &'static str,
    script: Script,
    stream: bool,
    client: Client_,
    ending: &'static str,
    exact: bool,
}

fn cases() -> Vec<Case> {
    let words = || Script::says(Said::words(20));
    let case =
        |name, script, stream, client, ending, exact| Case { name, script, stream, client, ending, exact };
    vec![
        case("a whole answer", words(), false, Reads, "complete", true),
        case("a whole stream", words(), true, Reads, "complete", true),
        case(
            "a stream without usage",
            Script { usage: UsageForm::Never, ..words() },
            true,
            Reads,
            "complete",
            false,
        ),
        case("a refused request", Script::fails(400, "bad"), false, Reads, "failed", true),
        case("a refused stream", Script::fails(400, "bad"), true, Reads, "failed", true),
        case("a failed request", Script::fails(500, "broken"), false, Reads, "failed", true),
        case("a cut head", Script { cut_before_head: true, ..words() }, false, Reads, "failed", false),
        case("a cut answer", words().stopping(0, Ends::CutInside(20)), false, Reads, "failed", false),
        case("a cut stream", words().stopping(5, Ends::Cut), true, Reads, "failed", false),
        case("a stream that stops short", words().stopping(5, Ends::Close), true, Reads, "failed", false),
        case(
            "a stream that fails",
            words().stopping(5, Ends::Error("overloaded".into())),
            true,
            Reads,
            "failed",
            false,
        ),
        case(
            "a stream that turns to rubbish",
            words().stopping(5, Ends::Bytes("data: {\"a\n\n".into())),
            true,
            Reads,
            "failed",
            false,
        ),
        case(
            "a stalled head",
            Script { before_head: Pause::Forever, ..words() },
            true,
            Reads,
            "failed",
            false,
        ),
        case("a stalled stream", words().stopping(0, Ends::Stall), true, Reads, "failed", false),
        case(
            "a client that leaves before the head",
            Script { before_head: Pause::Forever, ..words() },
            false,
            LeavesBeforeTheHead,
            "abandoned",
            false,
        ),
        case(
            "a client that leaves a stream before its head",
            Script { before_head: Pause::Forever, ..words() },
            true,
            LeavesBeforeTheHead,
            "abandoned",
            false,
        ),
        case(
            "a client that leaves in mid-stream",
            words().stopping(8, Ends::Stall),
            true,
            LeavesAfterTheFirstWord,
            "abandoned",
            false,
        ),
    ]
}

#[test]
fn every_attempt_is_settled_once_however_it_ends() {
    for model in ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"] {
        check(model, "/v1/chat/completions");
        check(model, "/v1/messages");
    }
}

fn check(model: &str, path: &str) {
    let upstream = Upstream::start();
    // Only what stalls may run into the short timeout.
    let list = [
        deployment("patient", model, &upstream, ""),
        deployment("short", model, &upstream, "timeout: 0.4, stream_timeout: 0.4"),
    ];
    let gateway = Gateway::start(&format!(
        "router_settings: {{num_retries: 0, disable_cooldowns: true}}\nmodel_list:\n{}",
        list.concat()
    ));
    let client = Client::of(&gateway);
    let mut before: Vec<Entry> = Vec::new();
    for case in cases() {
        let about = format!("{} ({path} to {model})", case.name);
        // An Anthropic stream always tells its usage.
        if model.starts_with("anthropic") && case.script.usage == UsageForm::Never {
            continue;
        }
        let group = if case.name.contains("stalled") { "short" } else { "patient" };
        let body = match path {
            "/v1/messages" => message(group, "hi", json!({"stream": case.stream})),
            _ => chat(group, "hi", json!({"stream": case.stream})),
        };
        let requests = upstream.seen().len();
        upstream.push(case.script);
        act(case.client, &client, path, &body, || upstream.wait_for_requests(requests + 1));
        upstream.wait_for_requests(requests + 1);
        if case.client != Reads {
            upstream.wait(&format!("the cancel: {about}"), |bills| bills[requests].end == End::Left);
        }
        let settled = |entries: &[Entry]| {
            entries.len() > before.len() && entries.iter().all(|entry| entry.ending() != "running")
        };
        let entries = gateway.journal_when(&about, settled);
        assert_eq!(upstream.seen().len(), requests + 1, "{about}: attempts");
        let fresh: Vec<&Entry> = entries
            .iter()
            .filter(|entry| before.iter().all(|old| old.attempt() != entry.attempt()))
            .collect();
        assert_eq!(fresh.len(), 1, "{about}: {fresh:#?}");
        assert_eq!(fresh[0].ending(), case.ending, "{about}: {:#?}", fresh[0]);
        assert_eq!(fresh[0].is_exact(), case.exact, "{about}: {:#?}", fresh[0]);
        if case.exact && case.ending == "complete" {
            assert_eq!((fresh[0].input(), fresh[0].output()), (10, 5), "{about}: {:#?}", fresh[0]);
        }
        before = entries;
    }
}

fn act(what: Client_, client: &Client, path: &str, body: &serde_json::Value, reached: impl Fn()) {
    match what {
        Reads => drop(client.post(path, body)),
        LeavesBeforeTheHead => {
            let socket = client.send("POST", path, body.to_string().as_bytes()).unwrap();
            reached();
            drop(socket);
        }
        LeavesAfterTheFirstWord => {
            let mut live = client.start(path, body);
            live.event_with("w0");
            drop(live);
        }
    }
}

#[test]
fn what_is_refused_at_the_door_leaves_no_entry() {
    let upstream = Upstream::start();
    let gateway =
        Gateway::start(&format!("model_list:\n{}", deployment("m", "openai/gpt-4o", &upstream, "")));
    assert_eq!(Client::new(gateway.addr()).chat("m", "hi").status, 401);
    assert_eq!(Client::of(&gateway).chat("nobody", "hi").status, 400);
    assert!(gateway.journal().is_empty(), "{:?}", gateway.journal());
    assert!(upstream.seen().is_empty());
}

#[test]
fn each_try_of_a_call_is_an_entry_of_its_own() {
    let upstream = Upstream::start();
    let list = [
        deployment("a", "openai/gpt-4o", &upstream, ""),
        deployment("b", "anthropic/claude-sonnet-4-5", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!(
        "router_settings: {{num_retries: 1, retry_after: 0, fallbacks: [{{a: [b]}}]}}\nmodel_list:\n{}",
        list.concat()
    ));
    upstream.push(Script::fails(500, "broken"));
    upstream.push(Script::fails(500, "broken"));
    assert_eq!(Client::of(&gateway).chat("a", "hi").status, 200);
    let entries = gateway.journal_when("three entries", |entries| entries.len() >= 3);
    let told: Vec<_> = entries.iter().map(|entry| (entry.group(), entry.ending())).collect();
    assert_eq!(told, [("a", "failed"), ("a", "failed"), ("b", "complete")]);
    assert!(entries.iter().all(|entry| entry.call() == entries[0].call()), "{entries:#?}");
}

/// A gateway with little patience, and an upstream whose answer is more than all buffers on the way hold.
fn impatient(upstream: &Upstream) -> Gateway {
    let said = Said { text: vec!["x".repeat(1 << 20); 32], ..Said::words(1) };
    upstream.push(Script::says(said).stopping(32, Ends::Stall));
    let list = format!("model_list:\n{}", deployment("m", "openai/gpt-4o", upstream, ""));
    Setup::new(format!("{list}general_settings: {{master_key: {MASTER_KEY}, write_timeout: 0.2}}\n")).start()
}

/// Waits until the one call is over, and checks that it was given up.
fn given_up(upstream: &Upstream, gateway: &Gateway) {
    upstream.wait("the cancel", |bills| bills.first().is_some_and(|bill| bill.end == End::Left));
    let ended = |entries: &[Entry]| entries.first().is_some_and(|entry| entry.ending() != "running");
    let entries = gateway.journal_when("its end", ended);
    assert_eq!(entries[0].ending(), "abandoned", "{entries:#?}");
}

#[test]
fn a_client_that_does_not_read_its_answer_is_let_go() {
    let upstream = Upstream::start();
    let gateway = impatient(&upstream);
    let body = chat("m", "hi", json!({"stream": true})).to_string();
    let socket = Client::of(&gateway).send("POST", "/v1/chat/completions", body.as_bytes()).unwrap();
    given_up(&upstream, &gateway);
    let live = Live::read(socket).unwrap();
    assert_eq!(live.status, 200);
    assert!(!live.finish().whole);
}

#[test]
fn over_http2_too() {
    let upstream = Upstream::start();
    let gateway = impatient(&upstream);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let body = chat("m", "hi", json!({"stream": true})).to_string();
    let mut response = runtime.block_on(async {
        let socket = TokioIo::new(TcpStream::connect(gateway.addr()).await.unwrap());
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), socket).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post(format!("http://{}/v1/chat/completions", gateway.addr()))
            .header("authorization", format!("Bearer {MASTER_KEY}"))
            .body(Full::<Bytes>::from(body))
            .unwrap();
        sender.send_request(request).await.unwrap()
    });
    assert_eq!(response.status(), 200);
    given_up(&upstream, &gateway);
    // What was on its way is still there; the end is a reset, not the end of an answer.
    let end = runtime.block_on(async {
        while let Some(frame) = response.frame().await {
            frame?;
        }
        Ok::<_, hyper::Error>(())
    });
    assert!(end.is_err());
}
