//! The cache of answers, through the whole gateway.

mod clients;
mod failover;
mod ledger;
mod outage;
mod settings;
mod wishes;

use std::time::Duration;

use gatewright_tests::client::Response;
use gatewright_tests::gateway::{Gateway, MASTER, Setup, deployment};
use gatewright_tests::upstream::Upstream;

const PATIENCE: Duration = Duration::from_secs(20);

const LOCAL: &str = "{type: local}";

/// Models of each kind behind a cache with these parameters.
fn config(upstream: &Upstream, params: &str) -> String {
    let models = [
        ("fast", "openai/gpt-4o-mini"),
        ("claude", "anthropic/claude-sonnet-4-5"),
        ("small", "openai/text-embedding-3-small"),
    ];
    let models: String = models.iter().map(|(name, model)| deployment(name, model, upstream, "")).collect();
    format!("litellm_settings: {{cache: true, cache_params: {params}}}\nmodel_list:\n{models}{MASTER}")
}

fn start(params: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let gateway = Setup::new(config(&upstream, params)).start();
    (upstream, gateway)
}

/// Whether an answer was kept; it says so in more than one way.
fn is_hit(response: &Response) -> bool {
    assert_eq!(response.status, 200, "{}", response.text());
    let hit = response.header("x-gatewright-cache") == "hit";
    assert!(!hit || response.header("x-litellm-response-cost").parse() == Ok(0.0), "a hit costs nothing");
    assert_eq!(
        response.header("x-litellm-cache-key").is_empty(),
        response.header("x-gatewright-cache").is_empty()
    );
    hit
}
