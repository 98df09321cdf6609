//! Every limit of time, wherever it is said: what comes too late is given up.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use gatewright_tests::answer::openai;
use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment};
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

/// An address that takes no more connections: whoever asks for one hears nothing.
struct Mute {
    listener: TcpListener,
    _held: Vec<TcpStream>,
}

impl Mute {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // The kernel takes one for a queue of none, and drops what asks for more.
        rustix::net::listen(&listener, 0).unwrap();
        let addr = listener.local_addr().unwrap();
        let (mut held, mut refused) = (Vec::new(), 0);
        while refused < 2 {
            match TcpStream::connect_timeout(&addr, Duration::from_millis(200)) {
                Ok(stream) => held.push(stream),
                Err(_) => refused += 1,
            }
        }
        Self { listener, _held: held }
    }

    fn addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

#[test]
fn an_address_that_never_answers_is_given_up_and_nobody_pays_for_it() {
    let (mute, good) = (Mute::start(), Upstream::start());
    let models = [
        deployment("m", "openai/gpt-4o", &good, "").replace(&good.base(), &format!("http://{}", mute.addr())),
        deployment("f", "openai/gpt-4o", &good, ""),
    ];
    let gateway = Setup::new(format!(
        "general_settings: {{master_key: {MASTER_KEY}, connect_timeout: 0.25}}\n\
         router_settings: {{num_retries: 0, fallbacks: [{{m: [f]}}]}}\nmodel_list:\n{}",
        models.concat()
    ))
    .start();
    let client = Client::of(&gateway);
    let alone = ask(&client, false, json!({"disable_fallbacks": true}));
    assert_eq!(alone.status, 500, "{}", alone.text());
    assert!(alone.text().contains("Connection timed out"), "{}", alone.text());
    assert!(
        gateway.log().contains(&format!("no connection to {} after 250ms", mute.addr())),
        "{}",
        gateway.log()
    );
    let [entry] = &gateway.journal_when("it ended", |all| all.len() == 1 && all[0].ending() == "failed")[..]
    else {
        panic!("one")
    };
    assert_eq!(
        (entry.is_exact(), entry.0["cost"].as_f64()),
        (true, Some(0.0)),
        "nothing was sent: {entry:?}"
    );
    assert_eq!(ask(&client, false, json!({})).status, 200, "another one answers");
}
