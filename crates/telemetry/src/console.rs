//! Spans as lines of JSON on standard output, for whoever looks at a gateway without a receiver.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::attributes;
use crate::span::{event, field};
use crate::written::{self, Written, hex, text};

/// Writes a batch, a span a line; tells whether that went well.
pub(crate) fn write(batch: &[u8]) -> bool {
    let mut out = io::stdout().lock();
    written::spans(batch).try_for_each(|span| writeln!(out, "{}", line(&span))).is_ok()
}

fn line(span: &Written<'_>) -> Value {
    let parent = (!span.parent.is_empty()).then(|| hex(span.parent));
    let events: Vec<_> = span
        .events()
        .map(|happened| {
            json!({
                "name": text(happened.name),
                "at": seconds(happened.time),
                "attributes": object(happened.message, event::ATTRIBUTES),
            })
        })
        .collect();
    json!({
        "name": text(span.name),
        "trace_id": hex(span.trace),
        "span_id": hex(span.span),
        "parent_span_id": parent,
        "start": seconds(span.start),
        "end": seconds(span.end),
        "failed": span.failed,
        "attributes": object(span.message, field::ATTRIBUTES),
        "events": events,
    })
}

fn object(message: &[u8], field: u64) -> Map<String, Value> {
    attributes::read(message, field).map(|(key, value)| (key.to_owned(), value.json())).collect()
}

/// For people, who need no nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "microseconds are left")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use gatewright_core::TraceContext;

    use super::*;
    use crate::queue::Queue;
    use crate::span::{Beginning, Kind, Span};
    use crate::{Batch, SpanLimits};

    #[test]
    fn a_span_is_one_object() {
        let (queue, place) = (Queue::new(Batch::default()), TraceContext::new([10; 16], [11; 8], true, None));
        let (kind, at) = (Kind::Internal, Instant::now());
        let beginning = Beginning { place: &place, parent: None, kind, name: &["chat m"], at };
        let mut span = Span::begin(&queue, SpanLimits::default(), &beginning);
        span.told.put("a", "text");
        span.told.put("n", 2_u64);
        span.told.put_texts("list", ["x"]);
        span.event("e", at, |told| told.put("yes", true));
        span.fail("timeout");
        span.end_at(at);
        let batch = queue.take(true).unwrap().whole();
        let line = written::spans(&batch).map(|span| line(&span)).next().unwrap();
        let attributes = json!({"a": "text", "n": 2, "list": ["x"], "error.type": "timeout"});
        assert_eq!((&line["name"], &line["attributes"]), (&json!("chat m"), &attributes));
        assert_eq!((&line["parent_span_id"], &line["failed"]), (&json!(null), &json!(true)));
        assert_eq!(line["events"][0]["attributes"], json!({"yes": true}));
        assert_eq!((&line["trace_id"], &line["span_id"]), (&json!("0a".repeat(16)), &json!("0b".repeat(8))));
        assert_eq!(line["start"], line["end"]);
    }
}
