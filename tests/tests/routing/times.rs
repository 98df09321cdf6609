//! Every limit of time, wherever it is said: what comes too late is given up.

use gatewright_tests::answer::openai;
use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::{Ends, Pause, Said, Script, Upstream};
use serde_json::{Value, json};

/// Where a provider comes to a stop.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stop {
    /// It says nothing.
    Mute,
    /// It says something and then no more.
    Midway,
    /// It goes on for ever.
    Never,
}

/// A gateway with a group `m` at a provider that comes to a stop.
fn gateway(stop: Stop, of: &str, settings: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    upstream.choose(move |_| {
        Some(match stop {
            Stop::Mute => Script { before_head: Pause::Forever, ..Script::default() },
            Stop::Midway => Script::default().stopping(3, Ends::Stall),
            Stop::Never => Script { between: Pause::millis(50), ..Script::says(Said::words(300)) },
        })
    });
    let models = deployment("m", "openai/gpt-4o", &upstream, of);
    (upstream, Gateway::start(&format!("{settings}\nmodel_list:\n{models}")))
}

fn ask(client: &Client, stream: bool, mut more: Value) -> Response {
    more["stream"] = stream.into();
    client.post("/v1/chat/completions", &chat("m", "hi", more))
}

/// It was given up: with a status before its content, with an error in the stream behind it.
fn given_up(stop: Stop, response: &Response, what: &str) {
    match stop {
        Stop::Mute => assert_eq!(response.status, 408, "{what}: {}", response.text()),
        Stop::Midway | Stop::Never => {
            let got = openai::stream(&response.body);
            assert!(got.error.is_some() && !got.text.is_empty(), "{what}: {}", response.text());
        }
    }
}

#[test]
fn a_deployment_has_its_own_times() {
    for (stop, stream, of) in [
        (Stop::Mute, false, "timeout: 0.2"),
        (Stop::Mute, true, "timeout: 0.2"),
        (Stop::Mute, true, "stream_timeout: 0.2, timeout: 300"),
        (Stop::Mute, true, "ttft_timeout: 0.2"),
        (Stop::Mute, true, "first_content_timeout: 0.2"),
        (Stop::Midway, true, "stream_idle_timeout: 0.2"),
    ] {
        let (_upstream, gateway) = gateway(stop, of, "router_settings: {num_retries: 0}");
        given_up(stop, &ask(&Client::of(&gateway), stream, json!({})), of);
    }
}

#[test]
fn the_router_has_times_for_all() {
    for (stop, stream, settings) in [
        (Stop::Mute, false, "router_settings: {num_retries: 0, timeout: 0.2}"),
        (Stop::Mute, false, "litellm_settings: {request_timeout: 0.2}\nrouter_settings: {num_retries: 0}"),
        (Stop::Mute, true, "router_settings: {num_retries: 0, stream_timeout: 0.2, timeout: 300}"),
        (Stop::Mute, true, "router_settings: {num_retries: 0, first_content_timeout: 0.2}"),
        (Stop::Mute, true, "router_settings: {num_retries: 0, ttft_timeout: 0.2}"),
        (Stop::Midway, true, "router_settings: {num_retries: 0, stream_idle_timeout: 0.2}"),
        (Stop::Never, true, "router_settings: {num_retries: 0, total_timeout: 5}"),
    ] {
        let (_upstream, gateway) = gateway(stop, "", settings);
        given_up(stop, &ask(&Client::of(&gateway), stream, json!({})), settings);
    }
}

#[test]
fn a_client_may_say_how_long_it_waits() {
    let (_upstream, gateway) = gateway(Stop::Mute, "timeout: 300", "router_settings: {num_retries: 0}");
    let client = || Client::of(&gateway);
    for (stream, client, more) in [
        (false, client(), json!({"timeout": 0.2})),
        (true, client(), json!({"timeout": 0.2})),
        (true, client(), json!({"stream_timeout": 0.2, "timeout": 300})),
        (false, client().header("x-litellm-timeout", "0.2"), json!({})),
        (true, client().header("x-litellm-stream-timeout", "0.2"), json!({})),
    ] {
        given_up(Stop::Mute, &ask(&client, stream, more.clone()), &format!("{more}, stream: {stream}"));
    }
}
