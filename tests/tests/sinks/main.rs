//! Where the records of calls go, through the whole gateway: what they hold, who gets them, and that nothing is lost.

mod away;
mod told;
mod whole;

use std::collections::BTreeSet;
use std::time::Duration;

use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment, poll};
use gatewright_tests::upstream::{Script, Seen, Upstream};
use serde_json::Value;

/// The longest that a record may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A target of records that answers with this status.
fn target(status: u16) -> Upstream {
    let target = Upstream::start();
    answer(&target, status);
    target
}

fn answer(target: &Upstream, status: u16) {
    target.choose(move |_: &Seen| Some(Script::replay(status, &[], "{}")));
}

/// A gateway in front of `upstream` whose records go to `webhook`; `more` is further keys of `litellm_settings`.
fn gateway(upstream: &Upstream, webhook: &Upstream, more: &str) -> Setup {
    Setup::new(format!(
        "router_settings: {{num_retries: 0, disable_cooldowns: true}}\n\
         model_list:\n{}general_settings: {{master_key: {MASTER_KEY}, callback_timeout: 2}}\n\
         litellm_settings: {{callbacks: [mine], {more}}}\n\
         callback_settings: {{mine: {{callback_type: generic_api, endpoint: '{}/logs', flush_interval: 0.05, \
         headers: {{authorization: Bearer target}}}}}}\n",
        deployment("m", "openai/gpt-4o", upstream, ""),
        webhook.base(),
    ))
}

/// All records that were taken, in the order that they came.
fn records(target: &Upstream) -> Vec<Value> {
    let bills = target.bills();
    let taken = target
        .seen()
        .into_iter()
        .filter(|seen| bills.iter().any(|bill| bill.number == seen.number && bill.status == 200));
    taken.flat_map(|seen| seen.json().as_array().cloned().unwrap_or_default()).collect()
}

/// The records once there are so many.
fn wait_for(gateway: &Gateway, target: &Upstream, count: usize) -> Vec<Value> {
    let found = poll(PATIENCE, || Some(records(target)).filter(|records| records.len() >= count));
    found.unwrap_or_else(|| panic!("waited in vain for {count} records: {}", gateway.log()))
}

/// The calls that they are of.
fn calls(records: &[Value]) -> BTreeSet<String> {
    records.iter().map(|record| record["litellm_call_id"].as_str().unwrap().to_owned()).collect()
}
