//! OTLP in JSON, from the same spans: names in camel case, ids in hexadecimal digits, numbers of 64 bits as texts.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use serde_json::{Map, Value as Json, json};

use crate::attributes::{self, Value};
use crate::envelope::{OWN, RESOURCE_ATTRIBUTES};
use crate::span::{FAILED, event, field};
use crate::written::{self, Written, WrittenEvent, hex, text};

/// The request for a batch.
pub(crate) fn request(resource: &[u8], batch: &[u8]) -> Vec<u8> {
    let spans: Vec<Json> = written::spans(batch).map(|span| told(&span)).collect();
    let request = json!({"resourceSpans": [{
        "resource": {"attributes": pairs(resource, RESOURCE_ATTRIBUTES)},
        "scopeSpans": [{"scope": {"name": OWN}, "spans": spans}],
    }]});
    request.to_string().into_bytes()
}

/// How many spans an answer says that were not taken.
pub(crate) fn rejected(answer: &[u8]) -> u64 {
    let answer: Json = serde_json::from_slice(answer).unwrap_or_default();
    let count = &answer["partialSuccess"]["rejectedSpans"];
    count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or(0)
}

fn told(span: &Written<'_>) -> Json {
    let mut told = Map::new();
    let mut put = |name: &str, value: Json| drop(told.insert(name.to_owned(), value));
    put("traceId", hex(span.trace).into());
    put("spanId", hex(span.span).into());
    if !span.state.is_empty() {
        put("traceState", text(span.state).into());
    }
    if !span.parent.is_empty() {
        put("parentSpanId", hex(span.parent).into());
    }
    put("flags", span.flags.into());
    put("name", text(span.name).into());
    put("kind", span.kind.into());
    put("startTimeUnixNano", span.start.to_string().into());
    put("endTimeUnixNano", span.end.to_string().into());
    put("attributes", pairs(span.message, field::ATTRIBUTES));
    put("events", span.events().map(|event| happened(&event)).collect());
    for (name, count) in
        [("droppedAttributesCount", span.dropped_attributes), ("droppedEventsCount", span.dropped_events)]
    {
        if count > 0 {
            put(name, count.into());
        }
    }
    put("status", if span.failed { json!({"code": FAILED}) } else { json!({}) });
    Json::Object(told)
}

fn happened(event: &WrittenEvent<'_>) -> Json {
    json!({
        "timeUnixNano": event.time.to_string(),
        "name": text(event.name),
        "attributes": pairs(event.message, event::ATTRIBUTES),
    })
}

fn pairs(message: &[u8], field: u64) -> Json {
    attributes::read(message, field).map(|(key, value)| json!({"key": key, "value": any(value)})).collect()
}

fn any(value: Value<'_>) -> Json {
    match value {
        Value::Text(text) => json!({"stringValue": text}),
        Value::Flag(flag) => json!({"boolValue": flag}),
        Value::Whole(number) => json!({"intValue": number.to_string()}),
        Value::Real(number) => json!({"doubleValue": number}),
        Value::Texts(_) => {
            let values: Vec<Json> = value.texts().map(|text| any(Value::Text(text))).collect();
            json!({"arrayValue": {"values": values}})
        }
    }
}
