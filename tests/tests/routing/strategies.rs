//! Each strategy through the whole gateway.

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, deployment, poll};
use gatewright_tests::upstream::{Gate, MOMENT, Pause, Script, Upstream};
use serde_json::json;

/// How many of ten calls each of two deployments gets.
fn shares(settings: &str, (one, two): (&str, &str)) -> (usize, usize) {
    let (first, second) = (Upstream::start(), Upstream::start());
    let models = deployment("m", one, &first, "weight: 1") + &deployment("m", two, &second, "weight: 1");
    let gateway = Gateway::start(&format!("router_settings: {{{settings}}}\nmodel_list:\n{models}"));
    let client = Client::of(&gateway);
    for _ in 0..10 {
        assert_eq!(client.chat("m", "hi").status, 200);
    }
    (first.count(), second.count())
}

const DEAR_AND_CHEAP: (&str, &str) = ("openai/gpt-4o", "openai/gpt-4o-mini");

#[test]
fn the_cheapest_is_chosen() {
    assert_eq!(shares("routing_strategy: cost-based-routing", DEAR_AND_CHEAP), (0, 10));
}

#[test]
fn each_has_its_turn() {
    assert_eq!(shares("routing_strategy: round-robin", DEAR_AND_CHEAP), (5, 5));
}

#[test]
fn the_least_used_is_chosen() {
    assert_eq!(shares("routing_strategy: usage-based-routing-v2", DEAR_AND_CHEAP), (5, 5));
}

#[test]
fn chance_goes_by_weight() {
    let (never, always) = (Upstream::start(), Upstream::start());
    let models = deployment("m", "openai/gpt-4o", &never, "weight: 0")
        + &deployment("m", "openai/gpt-4o", &always, "weight: 1");
    let gateway = Gateway::start(&format!("model_list:\n{models}"));
    let client = Client::of(&gateway);
    assert!((0..10).all(|_| client.chat("m", "hi").status == 200));
    assert_eq!((never.count(), always.count()), (0, 10));
}

/// A group of two with equal weights, so that by chance twenty calls in a row go to one of them once in a million times.
fn two_alike(strategy: &str) -> ([Upstream; 2], Gateway) {
    let upstreams = [Upstream::start(), Upstream::start()];
    let models = upstreams.each_ref().map(|one| deployment("m", "openai/gpt-4o", one, "")).concat();
    let router = format!("router_settings: {{routing_strategy: {strategy}}}");
    (upstreams, Gateway::start(&format!("{router}\nmodel_list:\n{models}")))
}

#[test]
fn the_one_with_the_fewest_calls_on_their_way_is_chosen() {
    for strategy in ["least-busy", "two-choices"] {
        let (upstreams, gateway) = two_alike(strategy);
        let client = Client::of(&gateway);
        let gate = Gate::default();
        for upstream in &upstreams {
            let held = gate.clone();
            upstream.choose(move |seen| {
                let holds = String::from_utf8_lossy(&seen.body).contains("hold");
                let before_head = if holds { Pause::Gate(held.clone()) } else { Pause::None };
                Some(Script { before_head, ..Script::default() })
            });
        }
        let body = chat("m", "hold", json!({})).to_string();
        let running = client.send("POST", "/v1/chat/completions", body.as_bytes()).unwrap();
        let busy = || upstreams.iter().position(|upstream| upstream.count() > 0);
        let busy = poll(MOMENT, busy).expect("the call goes nowhere");
        assert!((0..20).all(|_| client.chat("m", "hi").status == 200));
        assert_eq!((upstreams[busy].count(), upstreams[1 - busy].count()), (1, 20), "{strategy}");
        gate.open();
        drop(running);
    }
}

#[test]
fn the_one_that_answers_faster_is_chosen_once_both_are_known() {
    for strategy in ["latency-based-routing", "two-choices"] {
        let (upstreams, gateway) = two_alike(strategy);
        // A busy machine is not as slow for twenty calls in a row.
        upstreams[0].choose(|_| Some(Script { before_head: Pause::millis(1_500), ..Script::default() }));
        let client = Client::of(&gateway);
        assert!((0..21).all(|_| client.chat("m", "hi").status == 200));
        assert_eq!((upstreams[0].count(), upstreams[1].count()), (1, 20), "{strategy}");
    }
}

#[test]
fn a_group_may_have_a_strategy_of_its_own() {
    let groups = "routing_groups: [{group_name: g, models: [m], routing_strategy: cost-based-routing}]";
    assert_eq!(shares(groups, DEAR_AND_CHEAP), (0, 10));
}

#[test]
fn the_cheapest_must_be_able_to_do_it() {
    let (first, second) = (Upstream::start(), Upstream::start());
    // gpt-3.5-turbo sees no pictures.
    let models =
        deployment("m", "openai/gpt-4o", &first, "") + &deployment("m", "openai/gpt-3.5-turbo", &second, "");
    let gateway = Gateway::start(&format!(
        "router_settings: {{routing_strategy: cost-based-routing}}\nmodel_list:\n{models}"
    ));
    let client = Client::of(&gateway);
    assert_eq!(client.chat("m", "hi").status, 200);
    assert_eq!((first.count(), second.count()), (0, 1));
    let picture = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "what is this"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]}]});
    assert_eq!(client.post("/v1/chat/completions", &picture).status, 200);
    assert_eq!((first.count(), second.count()), (1, 1));
}
