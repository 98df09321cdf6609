//! What a call's span says of the call from its beginning: what is asked for, by whom, and how.

use std::sync::Arc;

use gatewright_core::{Body, Cached, Call, Json, Money};

use crate::attributes::Attributes;
use crate::{Detail, baggage, open_inference, semconv};

/// A nested object of parameters is no longer than that; a longer one is not looked into.
const PARAMETERS: usize = 4096;

/// All that is known of the call before anything was done.
pub(crate) fn call(call: &Call, detail: &Detail, told: &mut Attributes) {
    told.put(semconv::OPERATION_NAME, semconv::operation_name(call.operation, call.codec.dialect()));
    told.put(semconv::REQUEST_MODEL, &call.model);
    told.put(semconv::REQUEST_STREAM, call.stream);
    told.put(semconv::CALL_ID, call.id.text(&mut [0; 36]));
    if let Some(name) = &call.controls.trace_id {
        for key in [semconv::CLIENT_TRACE, semconv::CONVERSATION, semconv::SESSION_ID] {
            told.put(key, name);
        }
    }
    if detail.identities {
        caller(call, told);
    }
    let mut tags = call.caller.tags.iter().chain(&call.controls.tags).peekable();
    if tags.peek().is_some() {
        told.put_texts(semconv::TAGS, tags);
    }
    if let Body::Json(json) = &call.body {
        parameters(json, detail.latest, told);
    }
    baggage::told(&call.headers, &detail.baggage, told);
    if detail.open_inference {
        open_inference::tell_call(call, told);
    }
}

/// What the cache says of an answer.
pub(crate) fn cached(cached: &Cached, told: &mut Attributes) {
    told.put(semconv::CACHE_HIT, cached.hit);
    told.put(semconv::CACHE_KEY, &cached.key);
    if let Some(alike) = cached.similarity {
        told.put(semconv::CACHE_SIMILARITY, f64::from(alike));
    }
    if let Some(saved) = cached.saved {
        told.put(semconv::CACHE_SAVED, dollars(saved));
    }
}

fn caller(call: &Call, told: &mut Attributes) {
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
    for (name, value) in known {
        if let Some(value) = value {
            told.put(name, value);
        }
    }
}

/// Those that are numbers, by the names of all dialects. Texts among them are what an application wrote.
fn parameters(json: &Json, latest: bool, told: &mut Attributes) {
    for field in json.fields() {
        match &*field.key {
            "generationConfig" | "inferenceConfig" | "options" if field.raw.len() <= PARAMETERS => {
                let nested: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_slice(field.raw).unwrap_or_default();
                nested.iter().for_each(|(name, value)| parameter(name, value.to_string().as_bytes(), told));
            }
            "reasoning_effort" if latest => {
                let level = field.get::<String>().ok().flatten().filter(|level| level.len() <= 16);
                if let Some(level) = &level {
                    told.put(semconv::REQUEST_REASONING, level);
                }
            }
            name => parameter(name, field.raw, told),
        }
    }
}

fn parameter(name: &str, raw: &[u8], told: &mut Attributes) {
    let (key, is_real) = match name {
        "temperature" => (semconv::REQUEST_TEMPERATURE, true),
        "top_p" | "topP" => (semconv::REQUEST_TOP_P, true),
        "top_k" | "topK" => (semconv::REQUEST_TOP_K, true),
        "frequency_penalty" | "frequencyPenalty" => (semconv::REQUEST_FREQUENCY_PENALTY, true),
        "presence_penalty" | "presencePenalty" => (semconv::REQUEST_PRESENCE_PENALTY, true),
        "max_tokens"
        | "max_completion_tokens"
        | "max_output_tokens"
        | "maxOutputTokens"
        | "maxTokens"
        | "num_predict" => (semconv::REQUEST_MAX_TOKENS, false),
        "seed" => (semconv::REQUEST_SEED, false),
        "n" | "candidateCount" if raw != b"1" => (semconv::REQUEST_CHOICES, false),
        _ => return,
    };
    let text = std::str::from_utf8(raw).unwrap_or_default();
    match is_real {
        true => text.parse::<f64>().iter().for_each(|number| told.put(key, *number)),
        false => text.parse::<i64>().iter().for_each(|number| told.put(key, *number)),
    }
}

/// Attributes have no decimals: what must be exact is in the ledger.
#[expect(clippy::cast_precision_loss, reason = "a span's cost is for charts")]
pub(crate) fn dollars(amount: Money) -> f64 {
    amount.0 as f64 / 1e9
}
