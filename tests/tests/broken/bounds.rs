//! What is taken of an upstream is bounded by settings, and no large event stands in the way of others for long.

use gatewright_tests::client::{Client, Live, chat};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup};
use gatewright_tests::upstream::{Ends, Pause, Said, Script, Seen, Upstream};
use serde_json::json;

use crate::client::{ask, read};
use crate::wire::Wire;

/// More than an event has that is taken without room for it.
const LARGE: usize = 400 << 10;

fn gateway(upstream: &Upstream, general: &str) -> Gateway {
    let list = Wire::OpenAi.deployment("m", upstream, &[]);
    let router = "router_settings: {num_retries: 0, disable_cooldowns: true}";
    let general = format!("general_settings: {{master_key: {MASTER_KEY}, {general}}}");
    Setup::new(format!("model_list:\n{list}{router}\n{general}\n")).start()
}

fn says(seen: &Seen, text: &str) -> bool {
    String::from_utf8_lossy(&seen.body).contains(text)
}

#[test]
fn what_is_larger_than_a_bound_is_refused_and_what_is_not_is_answered() {
    let upstream = Upstream::start();
    upstream.choose(|seen| {
        let length = if says(seen, "long") { 4_000 } else { 400 };
        Some(Script::says(Said::text(["x".repeat(length)])))
    });
    for (key, refused_whole, refused_stream) in
        [("max_response_size_mb", true, false), ("max_upstream_event_mb", false, true)]
    {
        let gateway = gateway(&upstream, &format!("{key}: 0.002"));
        let client = Client::of(&gateway);
        for (stream, refuses) in [(false, refused_whole), (true, refused_stream)] {
            let asked = |text| ask(&client, Wire::OpenAi, "m", text, stream).unwrap().status;
            assert_eq!(asked("short"), 200, "{key}, stream {stream}");
            assert_eq!(asked("long"), if refuses { 502 } else { 200 }, "{key}, stream {stream}");
        }
    }
}

#[test]
fn an_error_is_read_as_far_as_it_may_be() {
    let upstream = Upstream::start();
    upstream.choose(|_| Some(Script::fails(400, &format!("{}the end", "x".repeat(4_000)))));
    for (general, whole) in [("max_upstream_error_mb: 1", true), ("max_upstream_error_mb: 0.002", false)] {
        let told = Client::of(&gateway(&upstream, general)).chat("m", "hi");
        assert_eq!((told.status, told.text().contains("the end")), (400, whole), "{general}");
    }
}

#[test]
fn a_large_event_that_gets_nothing_more_makes_room_for_others() {
    let upstream = Upstream::start();
    upstream.choose(|seen| {
        let (event, script) = (Wire::OpenAi.huge(LARGE), Script::says(Said::words(5)));
        Some(match says(seen, "stalls") {
            true => Script { between: Pause::Forever, ..script }
                .stopping(1, Ends::Insert(event.slice(..event.len() - 100))),
            false => script.stopping(1, Ends::Insert(event)),
        })
    });
    let gateway = gateway(&upstream, "max_large_upstream_events: 1, large_upstream_event_timeout: 1");
    let client = Client::of(&gateway);
    let body = chat("m", "stalls", json!({"stream": true})).to_string();
    let stalls = || client.send("POST", "/v1/chat/completions", body.as_bytes()).unwrap();
    let stalled = [stalls(), stalls()];
    upstream.wait_for_requests(2);
    let whole = ask(&client, Wire::OpenAi, "m", "goes on", true).unwrap();
    assert_eq!((whole.status, read(Wire::OpenAi, &whole.body).errors), (200, 0));
    assert!(whole.body.len() > LARGE);
    for socket in stalled {
        // Before any content: the answer can still be another one.
        let told = Live::read(socket).unwrap().finish();
        assert_eq!(told.status, 408, "{}", told.text());
        assert!(told.text().contains("the rest of a large event"), "{}", told.text());
    }
    upstream.wait_until_idle();
}

#[test]
fn a_bound_that_lets_nothing_through_is_no_bound() {
    let general = "max_upstream_event_mb: 0, max_response_size_mb: -1, max_large_upstream_events: 0";
    let (good, told) = Setup::new(format!("general_settings: {{{general}}}\n"))
        .arg("--config")
        .arg("config.yaml")
        .arg("--check")
        .run();
    assert!(!good);
    for wrong in [
        "max_upstream_event_mb: expected a positive number of megabytes",
        "max_response_size_mb: expected a positive number of megabytes",
        "max_large_upstream_events: expected at least 1",
    ] {
        assert!(told.contains(wrong), "{wrong}: {told}");
    }
}
