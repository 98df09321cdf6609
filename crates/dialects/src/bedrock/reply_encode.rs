//! The canonical answer into a client's.

use bytes::Bytes;
use gatewright_core::chat::{Answer, Finish};
use serde::Serialize;
use serde_json::Value;

use super::content_encode::Block;
use super::usage::UsageOut;
use super::words;
use crate::json::json;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    output: Output<'a>,
    stop_reason: &'static str,
    usage: UsageOut,
    metrics: Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<Tier<'a>>,
}

#[derive(Serialize)]
struct Output<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// The API's clients expect it; what another provider took for its answer nobody told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metrics {
    pub(super) latency_ms: u64,
}

#[derive(Serialize)]
struct Tier<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

/// Writes the answer. The dialect has one choice only; its clients cannot ask for more.
pub(super) fn reply(answer: &Answer) -> Bytes {
    let choice = answer.choices.first();
    let parts = choice.map_or(&[][..], |choice| &choice.parts);
    let content = parts.iter().filter_map(Block::of_reply).collect();
    json(&Reply {
        output: Output { message: Message { role: "assistant", content } },
        stop_reason: words::stop_reason(choice.map_or(Finish::Stop, |choice| choice.finish)),
        usage: UsageOut::new(&answer.usage.unwrap_or_default()),
        metrics: Metrics { latency_ms: 0 },
        trace: answer.extra.get("trace"),
        service_tier: answer.service_tier.as_deref().map(|kind| Tier { kind }),
    })
}
