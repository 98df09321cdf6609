//! The gateway without a configuration, and the limits that it holds in its own process.

use gatewright_tests::answer::openai;
use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, Setup, deployment};
use gatewright_tests::upstream::{Gate, Pause, Script, Upstream};
use serde_json::json;

#[test]
fn without_configuration_and_key_a_demo_model_answers() {
    let gateway = Setup::bare().start();
    let client = Client::new(gateway.addr());
    let models = client.get("/v1/models").json();
    let name = models["data"][0]["id"].as_str().unwrap().to_owned();
    let whole = client.chat(&name, "hi");
    assert_eq!(whole.status, 200, "{}", whole.text());
    let whole = openai::whole(&whole.json());
    assert!(whole.faults.is_empty() && !whole.text.is_empty(), "{whole:?}");
    let streamed = client.post("/v1/chat/completions", &chat(&name, "hi", json!({"stream": true})));
    let streamed = openai::stream(&streamed.body);
    assert!(streamed.faults.is_empty(), "{streamed:?}");
    assert_eq!(streamed.text, whole.text);
    assert!(gateway.log().contains("curl"), "{}", gateway.log());
}

#[test]
fn one_model_is_served_from_the_command_line() {
    let upstream = Upstream::start();
    let base = format!("{}/v1", upstream.base());
    let gateway = Setup::bare()
        .arg("--model")
        .arg("openai/gpt-4o")
        .arg("--api-base")
        .arg(&base)
        .env("OPENAI_API_KEY", "sk-from-the-environment")
        .start();
    let client = Client::new(gateway.addr());
    let models = client.get("/v1/models").json();
    let name = models["data"][0]["id"].as_str().unwrap();
    assert_eq!(client.chat(name, "hi").status, 200);
    assert_eq!(upstream.last().header("authorization"), "Bearer sk-from-the-environment");
    assert_eq!(upstream.last().json()["model"], "gpt-4o");
}

#[test]
fn calls_beyond_a_parallel_limit_are_refused_until_one_ends() {
    for stream in [false, true] {
        let upstream = Upstream::start();
        let gateway = Setup::new(format!(
            "general_settings: {{global_max_parallel_requests: 1}}\nmodel_list:\n{}",
            deployment("m", "openai/gpt-4o", &upstream, "")
        ))
        .start();
        let client = Client::new(gateway.addr());
        let gate = Gate::default();
        upstream.push(Script {
            between: Pause::Gate(gate.clone()),
            before_head: if stream { Pause::None } else { Pause::Gate(gate.clone()) },
            ..Script::default()
        });
        let body = chat("m", "hi", json!({"stream": stream})).to_string();
        let first = client.send("POST", "/v1/chat/completions", body.as_bytes()).unwrap();
        upstream.wait_for_requests(1);
        let refused = client.chat("m", "hi");
        assert_eq!(refused.status, 429, "{}", refused.text());
        assert_eq!(refused.json()["error"]["type"], "throttling_error", "{}", refused.text());
        assert_eq!(upstream.seen().len(), 1);
        gate.open();
        let live = gatewright_tests::client::Live::read(first).unwrap();
        assert_eq!(live.finish().status, 200);
        assert_eq!(client.chat("m", "hi").status, 200, "stream {stream}");
    }
}

#[test]
fn a_client_that_leaves_gives_its_place_back() {
    let upstream = Upstream::start();
    let gateway: Gateway = Setup::new(format!(
        "general_settings: {{global_max_parallel_requests: 1}}\nmodel_list:\n{}",
        deployment("m", "openai/gpt-4o", &upstream, "")
    ))
    .start();
    let client = Client::new(gateway.addr());
    upstream.push(Script { before_head: Pause::Forever, ..Script::default() });
    let first = client
        .send("POST", "/v1/chat/completions", chat("m", "hi", json!({})).to_string().as_bytes())
        .unwrap();
    upstream.wait_for_requests(1);
    drop(first);
    upstream.wait_until_idle();
    let patience = std::time::Duration::from_secs(5);
    let served =
        gatewright_tests::gateway::poll(patience, || (client.chat("m", "hi").status == 200).then_some(()));
    assert!(served.is_some(), "the place is still taken");
}
