//! The harness itself: the fake provider's answers are well formed, and it does what its scripts say.

use gatewright_tests::answer::{Got, anthropic, openai};
use gatewright_tests::client::{Client, chat, message};
use gatewright_tests::upstream::{Chunks, End, Ends, Gate, Pause, Said, Script, Upstream, UsageForm};
use serde_json::json;

fn everything() -> Said {
    let mut said = Said::text(["Grüße ", "aus 東京"])
        .tool("call_1", "weather", &[r#"{"ci"#, r#"ty":"#, r#""Paris"}"#])
        .tool("call_2", "time", &["{}"])
        .thinking(["hm ", "yes"], "c2ln");
    said.used.cached = 4;
    said
}

fn ask(upstream: &Upstream, path: &str, stream: bool, script: Script) -> Got {
    upstream.push(script);
    let client = Client::new(upstream.addr());
    let more = json!({"stream": stream, "stream_options": {"include_usage": true}});
    match (path, stream) {
        ("/v1/messages", true) => anthropic::stream(&client.post(path, &message("m", "hi", more)).body),
        ("/v1/messages", false) => anthropic::whole(&client.post(path, &message("m", "hi", more)).json()),
        (_, true) => openai::stream(&client.post(path, &chat("m", "hi", more)).body),
        (_, false) => openai::whole(&client.post(path, &chat("m", "hi", more)).json()),
    }
}

#[test]
fn both_dialects_say_the_same_in_every_form() {
    let upstream = Upstream::start();
    for path in ["/v1/chat/completions", "/v1/messages"] {
        for stream in [false, true] {
            for chunks in [Chunks::Events, Chunks::Whole, Chunks::Bytes(1), Chunks::Bytes(7)] {
                let got = ask(&upstream, path, stream, Script { chunks, ..Script::says(everything()) });
                assert_eq!(got.faults, Vec::<String>::new(), "{path} {stream} {chunks:?}");
                assert_eq!(got.text, "Grüße aus 東京", "{path} {stream} {chunks:?}");
                assert_eq!(got.reasoning, "hm yes");
                assert_eq!(got.tools.len(), 2);
                assert_eq!(got.tools[0].arguments.replace(' ', ""), r#"{"city":"Paris"}"#);
                let usage = got.usage.unwrap();
                assert_eq!((usage.input, usage.output, usage.cached), (10, 5, 4), "{path} {stream}");
            }
        }
    }
    let ended = upstream.bills().iter().all(|bill| bill.end == End::Sent && bill.output == 5);
    assert!(ended, "{:?}", upstream.bills());
}

#[test]
fn usage_comes_in_every_form_that_providers_have() {
    let upstream = Upstream::start();
    for (usage, told) in [
        (UsageForm::Asked, true),
        (UsageForm::Always, true),
        (UsageForm::WithFinish, true),
        (UsageForm::Everywhere, true),
        (UsageForm::Never, false),
    ] {
        let got = ask(&upstream, "/v1/chat/completions", true, Script { usage, ..Script::default() });
        assert_eq!(got.usage.map(|usage| usage.output), told.then_some(5), "{usage:?}");
    }
}

#[test]
fn an_answer_can_end_early_in_every_way() {
    let upstream = Upstream::start();
    let client = Client::new(upstream.addr());
    let events = [
        (Ends::Cut, false, End::Cut),
        (Ends::CutInside(9), false, End::Cut),
        (Ends::Close, true, End::Sent),
        (Ends::Error("overloaded".into()), true, End::Sent),
        (Ends::Bytes("data: {oops\n\n".into()), true, End::Sent),
    ];
    for (how, whole, end) in events {
        upstream.push(Script::default().stopping(2, how.clone()));
        let response = client.post("/v1/chat/completions", &chat("m", "hi", json!({"stream": true})));
        assert_eq!(response.whole, whole, "{how:?}");
        assert!(
            response.text().contains("w0") && !response.text().contains("w1"),
            "{how:?} {}",
            response.text()
        );
        assert_eq!(upstream.bills().last().unwrap().end, end, "{how:?}");
    }
    upstream.push(Script { cut_before_head: true, ..Script::default() });
    assert!(client.open("POST", "/v1/messages", b"{}").is_err());
}

#[test]
fn whoever_leaves_is_on_the_bill() {
    let upstream = Upstream::start();
    let client = Client::new(upstream.addr());
    upstream.push(Script::default().stopping(2, Ends::Stall));
    let mut live = client.start("/v1/chat/completions", &chat("m", "hi", json!({"stream": true})));
    live.event_with("w0");
    drop(live);
    upstream.push(Script { before_head: Pause::Forever, ..Script::default() });
    let waiting = client.send("POST", "/v1/chat/completions", b"{}").unwrap();
    upstream.wait_for_requests(2);
    drop(waiting);
    upstream.wait_until_idle();
    let ends: Vec<End> = upstream.bills().iter().map(|bill| bill.end).collect();
    assert_eq!(ends, [End::Left, End::Left]);
}

#[test]
fn a_gate_holds_an_answer_until_it_opens() {
    let upstream = Upstream::start();
    let gate = Gate::default();
    upstream.push(Script::default().stopping(3, Ends::Hold(gate.clone())));
    let client = Client::new(upstream.addr());
    let mut live = client.start("/v1/chat/completions", &chat("m", "hi", json!({"stream": true})));
    live.event_with("w1");
    assert_eq!(upstream.bills()[0].end, End::Running);
    gate.open();
    live.event_with("[DONE]");
    upstream.wait_until_idle();
}
