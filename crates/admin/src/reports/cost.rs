//! `/spend/calculate`: what a call would cost, or has cost.

use gatewright_core::Usage;
use http::StatusCode;
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::objects::dollars;

/// `POST /spend/calculate`: with `messages` what they cost to read, with `completion_response` what the call cost.
pub(crate) async fn calculate(ask: &mut Ask) -> Result<Value> {
    let answer = ask.body.get("completion_response").filter(|answer| answer.is_object());
    let model = ask.body.get("model").or_else(|| answer?.get("model")).and_then(Value::as_str);
    let wrong = |words: &str| Failure::new(StatusCode::BAD_REQUEST, "bad_request_error", None, words);
    let model = model.ok_or_else(|| wrong("model must be passed in"))?;
    let usage = match (answer, ask.body.get("messages")) {
        (Some(answer), _) => used(answer),
        (None, Some(messages)) => {
            let body = json!({"messages": messages}).to_string();
            Usage { input: gatewright_tokens::estimate_bytes(body.as_bytes()), ..Usage::default() }
        }
        (None, None) => return Err(wrong("Either messages or completion_response must be passed in")),
    };
    match ask.admin.prices.cost(model, &usage) {
        Some(cost) => Ok(json!({"cost": dollars(cost)})),
        None => Err(wrong(&format!("no price is known for model={model}"))),
    }
}

fn used(answer: &Value) -> Usage {
    let count = |name: &str| answer["usage"][name].as_u64().unwrap_or_default();
    let cached = answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or_default();
    Usage {
        input: count("prompt_tokens"),
        output: count("completion_tokens"),
        cache_read: cached,
        cache_in_input: true,
        ..Usage::default()
    }
}
