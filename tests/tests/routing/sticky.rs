//! Calls that belong together go to the same deployment.

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

/// A group of four, with these checks.
fn group(checks: &str) -> (Vec<Upstream>, Gateway) {
    let upstreams: Vec<Upstream> = (0..4).map(|_| Upstream::start()).collect();
    let one = |(nth, upstream): (usize, &Upstream)| {
        let id = format!("    model_info: {{id: d{nth}}}\n");
        deployment("m", "openai/gpt-4o", upstream, "weight: 1") + &id
    };
    let models: String = upstreams.iter().enumerate().map(one).collect();
    let gateway = Gateway::start(&format!(
        "router_settings: {{optional_pre_call_checks: {checks}, deployment_affinity_ttl_seconds: 60}}\nmodel_list:\n{models}"
    ));
    (upstreams, gateway)
}

/// Which upstream gets a call.
fn home(upstreams: &[Upstream], client: &Client, body: &Value) -> usize {
    let before: Vec<usize> = upstreams.iter().map(Upstream::count).collect();
    assert_eq!(client.post("/v1/chat/completions", body).status, 200);
    upstreams.iter().zip(before).position(|(upstream, before)| upstream.count() > before).unwrap()
}

/// What all of twelve calls of each go to, and that not all of them go to the same.
fn stay(upstreams: &[Upstream], clients: &[Client], bodies: &[Value]) {
    let mut homes = Vec::new();
    for (client, body) in clients.iter().flat_map(|client| bodies.iter().map(move |body| (client, body))) {
        let own = home(upstreams, client, body);
        assert!((0..11).all(|_| home(upstreams, client, body) == own), "{body}");
        homes.push(own);
    }
    assert!(homes.iter().any(|home| *home != homes[0]), "{homes:?}");
}

#[test]
fn a_session_stays_where_it_is_also_after_a_restart() {
    let (upstreams, mut gateway) = group("[session_affinity]");
    let client = |nth: usize| Client::of(&gateway).header("x-litellm-session-id", &format!("session-{nth}"));
    let (hi, clients) = (chat("m", "hi", json!({})), (0..8).map(client).collect::<Vec<_>>());
    stay(&upstreams, &clients, std::slice::from_ref(&hi));
    let homes = || clients.iter().map(|client| home(&upstreams, client, &hi)).collect::<Vec<_>>();
    let before = homes();
    gateway.kill();
    gateway.restart();
    assert_eq!(homes(), before);
    // By the body's word too.
    let body = chat("m", "hi", json!({"litellm_session_id": "session-3"}));
    assert_eq!(home(&upstreams, &Client::of(&gateway), &body), before[3]);
}

#[test]
fn a_key_stays_where_it_is() {
    let (upstreams, gateway) = group("[deployment_affinity]");
    let admin = Client::of(&gateway);
    let key = |nth: usize| {
        let key = admin.made("/key/generate", json!({"key": format!("sk-of-nobody-in-particular-{nth}")}));
        Client::with_key(&gateway, key["key"].as_str().unwrap())
    };
    stay(&upstreams, &(0..8).map(key).collect::<Vec<_>>(), &[chat("m", "hi", json!({}))]);
}

#[test]
fn a_conversation_stays_where_its_beginning_may_be_cached() {
    let (upstreams, gateway) = group("[prompt_caching]");
    let client = Client::of(&gateway);
    let opening = |nth: usize| {
        json!([
            {"role": "system", "content": "word ".repeat(2_000)},
            {"role": "user", "content": format!("question {nth}")},
        ])
    };
    let body = |messages: Value| json!({"model": "m", "messages": messages});
    let bodies: Vec<Value> = (0..6).map(|nth| body(opening(nth))).collect();
    stay(&upstreams, std::slice::from_ref(&client), &bodies);
    let mut messages = opening(2);
    let own = home(&upstreams, &client, &bodies[2]);
    for _ in 0..8 {
        let more =
            [json!({"role": "assistant", "content": "so"}), json!({"role": "user", "content": "and?"})];
        messages.as_array_mut().unwrap().extend(more);
        assert_eq!(home(&upstreams, &client, &body(messages.clone())), own);
    }
    // What is too short for a cache is nobody's.
    let homes: Vec<usize> = (0..40).map(|_| home(&upstreams, &client, &chat("m", "hi", json!({})))).collect();
    assert!(homes.iter().any(|home| *home != homes[0]), "{homes:?}");
}
