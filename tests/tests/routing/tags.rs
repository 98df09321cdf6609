//! Tags and regions decide who serves a call.

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, deployment};
use gatewright_tests::upstream::Upstream;
use serde_json::json;

/// A group of three: for tag `paid`, for everything else, and for Claude Code.
fn tagged(default: &str) -> (Vec<Upstream>, Gateway) {
    let upstreams: Vec<Upstream> = (0..3).map(|_| Upstream::start()).collect();
    let models = [
        deployment("m", "openai/a", &upstreams[0], "tags: [paid]"),
        deployment("m", "openai/b", &upstreams[1], &format!("tags: [{default}]")),
        deployment("m", "openai/c", &upstreams[2], "tag_regex: ['^User-Agent: claude-code/']"),
    ];
    let gateway = Gateway::start(&format!(
        "router_settings: {{enable_tag_filtering: true}}\ngeneral_settings: {{master_key: {MASTER_KEY}}}\nmodel_list:\n{}",
        models.concat()
    ));
    (upstreams, gateway)
}

fn counts(upstreams: &[Upstream]) -> Vec<usize> {
    upstreams.iter().map(Upstream::count).collect()
}

#[test]
fn calls_go_where_their_tags_are_served() {
    let (upstreams, gateway) = tagged("default");
    let client = Client::of(&gateway);
    let tagged = |tags| client.post("/v1/chat/completions", &chat("m", "hi", json!({"tags": tags}))).status;
    assert_eq!(tagged(json!(["paid"])), 200);
    assert_eq!(counts(&upstreams), [1, 0, 0]);
    assert_eq!(client.chat("m", "hi").status, 200, "without a tag");
    assert_eq!(tagged(json!(["other"])), 200, "with one that nobody has");
    assert_eq!(tagged(json!(["!default"])), 200, "anywhere but there");
    assert_eq!(upstreams[1].count(), 2);
    let claude_code = Client::of(&gateway).header("user-agent", "claude-code/2.1");
    assert_eq!(claude_code.chat("m", "hi").status, 200);
    assert_eq!(upstreams[2].count() + upstreams[0].count(), 3);
    assert!(upstreams[2].count() >= 1);
    // A tag of a key's team or of the key itself is one of its calls.
    let key = client.made("/key/generate", json!({"metadata": {"tags": ["paid"]}}));
    let before = upstreams[0].count();
    let holder = Client::with_key(&gateway, key["key"].as_str().unwrap());
    assert_eq!(holder.chat("m", "hi").status, 200);
    assert_eq!(upstreams[0].count(), before + 1);
}

#[test]
fn a_tag_that_nobody_serves_is_refused() {
    let (upstreams, gateway) = tagged("free");
    let client = Client::of(&gateway);
    let refused = client.post("/v1/chat/completions", &chat("m", "hi", json!({"tags": ["other"]})));
    let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(refused.status, 401);
    assert!(message.contains("Not allowed to access model due to tags configuration"), "{message}");
    assert_eq!(counts(&upstreams), [0, 0, 0]);
}

#[test]
fn an_end_user_is_served_in_the_region_that_it_is_bound_to() {
    let (eu, us) = (Upstream::start(), Upstream::start());
    let models = [
        deployment("m", "openai/a", &eu, "region_name: eu"),
        deployment("m", "openai/b", &us, "region_name: us"),
        deployment("nowhere", "openai/c", &us, ""),
    ];
    let gateway = Gateway::start(&format!(
        "router_settings: {{enable_pre_call_checks: true}}\ngeneral_settings: {{master_key: {MASTER_KEY}}}\nmodel_list:\n{}",
        models.concat()
    ));
    let client = Client::of(&gateway);
    client.made("/customer/new", json!({"user_id": "c", "allowed_model_region": "eu"}));
    let ask = |model| client.post("/v1/chat/completions", &chat(model, "hi", json!({"user": "c"}))).status;
    assert_eq!([ask("m"), ask("m"), ask("m"), ask("m")], [200; 4]);
    assert_eq!((eu.count(), us.count()), (4, 0));
    assert_eq!(ask("nowhere"), 400);
}
