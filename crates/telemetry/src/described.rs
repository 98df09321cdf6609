//! What a call's span says of the call from its beginning: what is asked for, by whom, and how.

use std::sync::Arc;

use gatewright_core::{Body, Call, Json, Money};
use opentelemetry::{Array, KeyValue, StringValue, Value};

use crate::{Detail, baggage, open_inference, semconv};

/// A nested object of parameters is no longer than that; a longer one is not looked into.
const PARAMETERS: usize = 4096;

/// All that is known of the call before anything was done.
pub(crate) fn call(call: &Call, detail: &Detail) -> Vec<KeyValue> {
    let operation = semconv::operation_name(call.operation, call.codec.dialect());
    let mut told = Vec::with_capacity(24);
    told.extend([
        KeyValue::new(semconv::OPERATION_NAME, operation),
        KeyValue::new(semconv::REQUEST_MODEL, call.model.clone()),
        KeyValue::new(semconv::REQUEST_STREAM, call.stream),
        KeyValue::new(semconv::CALL_ID, call.id.to_string()),
    ]);
    if let Some(name) = &call.controls.trace_id {
        let names = [semconv::CLIENT_TRACE, semconv::CONVERSATION, semconv::SESSION_ID];
        told.extend(names.map(|key| KeyValue::new(key, name.clone())));
    }
    if detail.identities {
        caller(call, &mut told);
    }
    let tags: Vec<StringValue> = call
        .caller
        .tags
        .iter()
        .chain(&call.controls.tags)
        .map(|tag| StringValue::from(tag.clone()))
        .collect();
    if !tags.is_empty() {
        told.push(KeyValue::new(semconv::TAGS, Value::Array(Array::String(tags))));
    }
    if let Body::Json(json) = &call.body {
        parameters(json, detail.latest, &mut told);
    }
    baggage::told(&call.headers, &detail.baggage, &mut told);
    if detail.open_inference {
        open_inference::tell_call(call, &mut told);
    }
    told
}

fn caller(call: &Call, told: &mut Vec<KeyValue>) {
    let (caller, names) = (&*call.caller, &*call.caller.known_as);
    let key = caller.key.as_ref().map(|_| &caller.id);
    let end_user = caller.end_user.as_ref().or(call.controls.end_user.as_ref());
    let known: [(&'static str, Option<&Arc<str>>); 12] = [
        (semconv::CALLER_ID, Some(&caller.id)),
        (semconv::KEY_HASH, key),
        (semconv::KEY_ALIAS, names.key.as_ref()),
        (semconv::TEAM_ID, caller.team.as_ref()),
        (semconv::TEAM_ALIAS, names.team.as_ref()),
        (semconv::ORGANIZATION_ID, caller.organization.as_ref()),
        (semconv::ORGANIZATION_ALIAS, names.organization.as_ref()),
        (semconv::PROJECT_ID, caller.project.as_ref()),
        (semconv::KEY_USER, caller.user.as_ref()),
        (semconv::KEY_USER_EMAIL, names.email.as_ref()),
        (semconv::END_USER, end_user),
        (semconv::USER_ID, end_user.or(caller.user.as_ref())),
    ];
    told.extend(known.into_iter().filter_map(|(name, value)| Some(KeyValue::new(name, value?.clone()))));
}

/// Those that are numbers, by the names of all dialects. Texts among them are what an application wrote.
fn parameters(json: &Json, latest: bool, told: &mut Vec<KeyValue>) {
    for field in json.fields() {
        match &*field.key {
            "generationConfig" | "inferenceConfig" | "options" if field.raw.len() <= PARAMETERS => {
                let nested: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_slice(field.raw).unwrap_or_default();
                told.extend(nested.iter().filter_map(|(name, value)| parameter(name, &value.to_string())));
            }
            "reasoning_effort" if latest => {
                let level = field.get::<String>().ok().flatten().filter(|level| level.len() <= 16);
                told.extend(level.map(|level| KeyValue::new(semconv::REQUEST_REASONING, level)));
            }
            name => {
                let text = std::str::from_utf8(field.raw).unwrap_or_default();
                told.extend(parameter(name, text));
            }
        }
    }
}

fn parameter(name: &str, text: &str) -> Option<KeyValue> {
    let real = |key| Some(KeyValue::new(key, text.parse::<f64>().ok()?));
    let whole = |key| Some(KeyValue::new(key, text.parse::<i64>().ok()?));
    match name {
        "temperature" => real(semconv::REQUEST_TEMPERATURE),
        "top_p" | "topP" => real(semconv::REQUEST_TOP_P),
        "top_k" | "topK" => real(semconv::REQUEST_TOP_K),
        "frequency_penalty" | "frequencyPenalty" => real(semconv::REQUEST_FREQUENCY_PENALTY),
        "presence_penalty" | "presencePenalty" => real(semconv::REQUEST_PRESENCE_PENALTY),
        "max_tokens"
        | "max_completion_tokens"
        | "max_output_tokens"
        | "maxOutputTokens"
        | "maxTokens"
        | "num_predict" => whole(semconv::REQUEST_MAX_TOKENS),
        "seed" => whole(semconv::REQUEST_SEED),
        "n" | "candidateCount" if text != "1" => whole(semconv::REQUEST_CHOICES),
        _ => None,
    }
}

/// Attributes have no decimals: what must be exact is in the ledger.
#[expect(clippy::cast_precision_loss, reason = "a span's cost is for charts")]
pub(crate) fn dollars(amount: Money) -> f64 {
    amount.0 as f64 / 1e9
}
