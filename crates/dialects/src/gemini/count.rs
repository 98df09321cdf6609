//! Counts of tokens: how one is asked for, and what is answered.

use bytes::Bytes;
use gatewright_core::{Json, Result};
use serde::{Deserialize, Serialize};

use super::wire::read;
use crate::json::json;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    total_tokens: u64,
}

/// A request for an answer as one for its count: the count knows tools and instructions only inside it.
pub(super) fn ask(body: &mut Json, model: &str) {
    let Ok(mut request) = Json::parse(body.to_bytes(), Default::default()) else { return };
    request.set_string("model", &format!("models/{model}"));
    let names: Vec<String> = body.keys().map(std::borrow::Cow::into_owned).collect();
    names.iter().for_each(|name| drop(body.remove(name)));
    body.set("generateContentRequest", request.to_bytes());
}

/// What an upstream counted.
pub(super) fn decode(body: &[u8]) -> Result<u64> {
    read::<Counted>(body).map(|counted| counted.total_tokens)
}

/// What a client reads.
pub(super) fn encode(tokens: u64) -> Bytes {
    json(&Counted { total_tokens: tokens })
}
