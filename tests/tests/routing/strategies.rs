//! Each strategy through the whole gateway.

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::Upstream;

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
fn every_other_strategy_serves_both() {
    for strategy in ["simple-shuffle", "least-busy", "latency-based-routing", "two-choices"] {
        let (first, second) = shares(&format!("routing_strategy: {strategy}"), DEAR_AND_CHEAP);
        assert_eq!(first + second, 10, "{strategy}");
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
