//! Rankings in the form that the request is in: Jina's, or one that a provider has for itself.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Used, openai};

/// The whole answer: the last document first.
pub(super) fn whole(model: &str, asked: &Value, used: &Used) -> Bytes {
    let backwards = |documents: &str, result: fn(usize) -> Value| -> Value {
        let count = asked[documents].as_array().map_or(0, Vec::len);
        (0..count).rev().map(result).collect()
    };
    let answer = match asked {
        _ if asked.get("sources").is_some() => {
            json!({"results": backwards("sources", |place| json!({"index": place, "relevanceScore": 0.5}))})
        }
        _ if asked.get("texts").is_some() => {
            backwards("texts", |place| json!({"index": place, "score": 0.5}))
        }
        _ if asked.get("passages").is_some() => {
            json!({"rankings": backwards("passages", |place| json!({"index": place, "logit": 0.5}))})
        }
        _ if asked.get("records").is_some() => {
            json!({"records": backwards("records", |place| json!({"id": place.to_string(), "score": 0.5}))})
        }
        _ => return openai::ranking(model, asked, used),
    };
    answer.to_string().into()
}
