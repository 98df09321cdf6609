//! Events of a stream as an upstream sends them.

use std::borrow::Cow;

use gatewright_core::Result;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::reply_decode;
use super::usage::UsageIn;

#[derive(Deserialize)]
pub(super) struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(super) struct MessageStart {
    pub(super) message: Message,
}

#[derive(Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) model: String,
    pub(super) usage: Option<UsageIn>,
}

#[derive(Deserialize)]
pub(super) struct BlockStart<'a> {
    #[serde(default)]
    pub(super) index: u32,
    #[serde(borrow)]
    pub(super) content_block: &'a RawValue,
}

#[derive(Deserialize)]
pub(super) struct Block<'a> {
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) thinking: String,
    #[serde(default)]
    pub(super) signature: String,
    #[serde(default)]
    pub(super) data: String,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    pub(super) citations: Option<Vec<Value>>,
}

#[derive(Deserialize)]
pub(super) struct BlockDelta<'a> {
    #[serde(default)]
    pub(super) index: u32,
    #[serde(borrow)]
    pub(super) delta: WireDelta<'a>,
}

#[derive(Deserialize)]
pub(super) struct WireDelta<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) partial_json: String,
    #[serde(default)]
    pub(super) thinking: String,
    #[serde(default)]
    pub(super) signature: String,
    pub(super) citation: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct BlockStop {
    #[serde(default)]
    pub(super) index: u32,
}

#[derive(Deserialize)]
pub(super) struct MessageDelta {
    pub(super) delta: Option<Stop>,
    pub(super) usage: Option<UsageIn>,
}

#[derive(Deserialize)]
pub(super) struct Stop {
    pub(super) stop_reason: Option<String>,
    pub(super) stop_sequence: Option<String>,
    pub(super) stop_details: Option<Value>,
}

/// Reads an event's data.
pub(super) fn read<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T> {
    serde_json::from_slice(data).map_err(|err| reply_decode::malformed(&err))
}
