//! An upstream's whole answer into the canonical one.

use std::borrow::Cow;

use gatewright_core::Result;
use gatewright_core::chat::{Answer, Choice, Extra};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::usage::{Further, UsageIn};
use super::{content_decode, words};
use crate::anthropic::reply_decode::{malformed, unwrap_json_tool};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    #[serde(borrow)]
    stop_reason: Cow<'a, str>,
    usage: Option<UsageIn>,
    #[serde(default)]
    additional_model_response_fields: Further,
    service_tier: Option<Tier>,
    trace: Option<Value>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Vec<&'a RawValue>,
}

/// The tier that served an answer.
#[derive(Deserialize)]
pub(super) struct Tier {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// Reads the answer.
pub(super) fn reply(body: &[u8]) -> Result<Answer> {
    let reply: Reply<'_> = serde_json::from_slice(body).map_err(|err| malformed(&err))?;
    let mut parts = content_decode::parts(reply.output.message.content).map_err(|err| malformed(&err))?;
    let mut finish = words::finish(&reply.stop_reason);
    unwrap_json_tool(&mut parts, &mut finish);
    let further = reply.additional_model_response_fields;
    Ok(Answer {
        service_tier: reply.service_tier.map(|tier| tier.kind),
        usage: reply.usage.as_ref().map(|usage| usage.usage(further)),
        choices: vec![Choice {
            index: 0,
            parts,
            finish,
            stop_sequence: None,
            logprobs: None,
            extra: Extra::new(),
        }],
        extra: reply.trace.map(|trace| ("trace".to_owned(), trace)).into_iter().collect(),
        ..Answer::default()
    })
}
