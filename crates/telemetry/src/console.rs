//! Spans as lines of JSON on standard output, for whoever looks at a gateway without a receiver.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanId, Status};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Map, json};

/// Writes a batch, a span a line.
pub(crate) fn write(batch: &[SpanData]) -> OTelSdkResult {
    let mut out = io::stdout().lock();
    batch
        .iter()
        .try_for_each(|span| writeln!(out, "{}", line(span)))
        .map_err(|err| OTelSdkError::InternalFailure(err.to_string()))
}

fn line(span: &SpanData) -> serde_json::Value {
    let parent = (span.parent_span_id != SpanId::INVALID).then(|| span.parent_span_id.to_string());
    let events: Vec<_> = span
        .events
        .iter()
        .map(|event| json!({"name": event.name, "at": seconds(event.timestamp), "attributes": object(&event.attributes)}))
        .collect();
    json!({
        "name": span.name,
        "trace_id": span.span_context.trace_id().to_string(),
        "span_id": span.span_context.span_id().to_string(),
        "parent_span_id": parent,
        "start": seconds(span.start_time),
        "end": seconds(span.end_time),
        "failed": matches!(span.status, Status::Error { .. }),
        "attributes": object(&span.attributes),
        "events": events,
    })
}

fn object(attributes: &[KeyValue]) -> Map<String, serde_json::Value> {
    attributes.iter().map(|pair| (pair.key.to_string(), plain(&pair.value))).collect()
}

fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::F64(value) => json!(value),
        Value::Array(Array::String(values)) => values.iter().map(|value| value.as_str()).collect(),
        other => json!(other.as_str()),
    }
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Span, Tracer, TracerProvider};
    use opentelemetry_sdk::trace::{SdkTracerProvider, SimpleSpanProcessor, SpanExporter};

    use super::*;

    /// Looks at each line instead of writing it.
    #[derive(Debug)]
    struct Looks;

    impl SpanExporter for Looks {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            let line = line(&batch[0]);
            assert_eq!(line["name"], "chat m");
            assert_eq!(line["attributes"], json!({"a": "text", "n": 2, "list": ["x"]}));
            assert_eq!((&line["parent_span_id"], &line["failed"]), (&json!(null), &json!(true)));
            assert_eq!(line["events"][0]["attributes"], json!({"yes": true}));
            Ok(())
        }
    }

    #[test]
    fn a_span_is_one_object() {
        let processor = SimpleSpanProcessor::new(Looks);
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        let mut span = provider.tracer("test").start("chat m");
        let list = Value::Array(Array::String(vec!["x".into()]));
        span.set_attributes([KeyValue::new("a", "text"), KeyValue::new("n", 2), KeyValue::new("list", list)]);
        span.add_event("e", vec![KeyValue::new("yes", true)]);
        span.set_status(Status::error(""));
        span.end();
    }
}
