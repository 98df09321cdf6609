//! Policies by why an attempt failed, and what is never done twice.

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::{Ends, Script, Upstream};

fn gateway(upstream: &Upstream, settings: &str) -> Gateway {
    let model = deployment("m", "openai/a", upstream, "") + &deployment("n", "openai/a", upstream, "");
    Gateway::start(&format!("router_settings: {{{settings}}}\nmodel_list:\n{model}"))
}

fn attempts(settings: &str, model: &str, script: Script) -> usize {
    let upstream = Upstream::start();
    upstream.choose(move |_| Some(script.clone()));
    let gateway = gateway(&upstream, settings);
    assert_ne!(Client::of(&gateway).chat(model, "hi").status, 200);
    upstream.count()
}

#[test]
fn retries_go_by_the_class_of_the_error() {
    let limited = || Script::fails(429, "slow down").header("retry-after", "0");
    let policy = "num_retries: 0, retry_policy: {RateLimitErrorRetries: 2, BadRequestErrorRetries: 1}";
    assert_eq!(attempts(policy, "m", limited()), 3);
    assert_eq!(attempts(policy, "m", Script::fails(400, "no")), 2);
    assert_eq!(attempts(policy, "m", Script::fails(500, "broken")), 1);
    let of_group = "num_retries: 0, model_group_retry_policy: {n: {RateLimitErrorRetries: 1}}";
    assert_eq!(attempts(of_group, "n", limited()), 2);
    assert_eq!(attempts(of_group, "m", limited()), 1);
}

#[test]
fn an_answer_that_broke_off_is_billed_and_not_asked_for_again() {
    let cut = || Script::default().stopping(0, Ends::CutInside(20));
    assert_eq!(attempts("num_retries: 2", "m", cut()), 1);
    assert_eq!(attempts("num_retries: 1, retry_billed: true", "m", cut()), 2);
}
