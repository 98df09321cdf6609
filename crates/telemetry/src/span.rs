//! One span: written while it happens in the form that it leaves in, and handed over when it ends.

use std::sync::Arc;
use std::time::Instant;

use gatewright_core::TraceContext;

use crate::attributes::Attributes;
use crate::queue::{Lane, Queue};
use crate::{semconv, spare, times, wire};

/// The fields of OTLP's `Span`.
pub(crate) mod field {
    pub(crate) const TRACE: u64 = 1;
    pub(crate) const SPAN: u64 = 2;
    pub(crate) const STATE: u64 = 3;
    pub(crate) const PARENT: u64 = 4;
    pub(crate) const NAME: u64 = 5;
    pub(crate) const KIND: u64 = 6;
    pub(crate) const START: u64 = 7;
    pub(crate) const END: u64 = 8;
    pub(crate) const ATTRIBUTES: u64 = 9;
    pub(crate) const DROPPED_ATTRIBUTES: u64 = 10;
    pub(crate) const EVENTS: u64 = 11;
    pub(crate) const DROPPED_EVENTS: u64 = 12;
    pub(crate) const STATUS: u64 = 15;
    pub(crate) const FLAGS: u64 = 16;
}

/// The fields of OTLP's `Span.Event`.
pub(crate) mod event {
    pub(crate) const TIME: u64 = 1;
    pub(crate) const NAME: u64 = 2;
    pub(crate) const ATTRIBUTES: u64 = 3;
}

/// The field of OTLP's `Status` that says how it went, and what it says of a failure.
pub(crate) const STATUS_CODE: u64 = 3;
pub(crate) const FAILED: u64 = 2;

/// W3C's flag, and OTLP's: whether it is known that the parent is another process's, and whether it is.
const SAMPLED: u32 = 1;
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// One span. It ends when it is dropped.
pub(crate) struct Span {
    /// What it says.
    pub(crate) told: Attributes,
    lane: Arc<Lane>,
    events: Room,
    failed: bool,
    ended: Option<Instant>,
}

/// Whose side of an exchange a span is on, by OTLP's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// What is known of a span when it begins.
pub(crate) struct Beginning<'a> {
    /// Its own place.
    pub(crate) place: &'a TraceContext,
    /// The span above.
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) kind: Kind,
    /// The words of its name.
    pub(crate) name: &'a [&'a str],
    pub(crate) at: Instant,
}

/// How many of something there may be in one span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanLimits {
    /// Attributes.
    pub attributes: u32,
    /// Events.
    pub events: u32,
}

struct Room {
    left: u32,
    dropped: u32,
}

// === impl Span ===

impl Span {
    pub(crate) fn begin(queue: &Queue, limits: SpanLimits, beginning: &Beginning<'_>) -> Self {
        let mut out = spare::take();
        write_head(&mut out, beginning);
        Self {
            told: Attributes { message: out, field: field::ATTRIBUTES, room: limits.attributes, dropped: 0 },
            lane: queue.lane().clone(),
            events: Room { left: limits.events, dropped: 0 },
            failed: false,
            ended: None,
        }
    }

    /// Tells of something that happened at a moment, where there is room.
    pub(crate) fn event(&mut self, name: &str, at: Instant, tell: impl FnOnce(&mut Attributes)) {
        if self.events.left == 0 {
            self.events.dropped += 1;
            return;
        }
        self.events.left -= 1;
        wire::nested(&mut self.told.message, field::EVENTS, |out| {
            wire::fixed_64(out, event::TIME, times::unix_nanos(at));
            wire::bytes(out, event::NAME, name.as_bytes());
            // They are written where the event stands: the message is theirs meanwhile.
            let mut told = Attributes { message: std::mem::take(out), ..Attributes::of_event() };
            tell(&mut told);
            *out = told.message;
        });
    }

    /// Marks it as failed. The error's words stay out: providers like to quote the prompt in them.
    pub(crate) fn fail(&mut self, reason: &str) {
        self.told.put(semconv::ERROR_TYPE, reason);
        self.failed = true;
    }

    /// Ends it at a moment that is over.
    pub(crate) fn end_at(mut self, at: Instant) {
        self.ended = Some(at);
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let (mut out, ended) = (std::mem::take(&mut self.told.message), self.ended);
        wire::fixed_64(&mut out, field::END, times::unix_nanos(ended.unwrap_or_else(Instant::now)));
        let dropped =
            [(field::DROPPED_ATTRIBUTES, self.told.dropped), (field::DROPPED_EVENTS, self.events.dropped)];
        for (field, count) in dropped.into_iter().filter(|(_, count)| *count > 0) {
            wire::number(&mut out, field, u64::from(count));
        }
        match self.failed {
            true => wire::nested(&mut out, field::STATUS, |out| wire::number(out, STATUS_CODE, FAILED)),
            false => out.extend_from_slice(&[wire::tag(field::STATUS), 0]),
        }
        self.lane.push(&out);
        spare::give(out);
    }
}

fn write_head(out: &mut Vec<u8>, Beginning { place, parent, kind, name, at }: &Beginning<'_>) {
    out.extend_from_slice(&[wire::tag(field::TRACE), 16]);
    out.extend_from_slice(&place.trace);
    out.extend_from_slice(&[wire::tag(field::SPAN), 8]);
    out.extend_from_slice(&place.span);
    if let Some(state) = &place.state {
        wire::bytes(out, field::STATE, state.as_bytes());
    }
    if let Some(parent) = parent {
        out.extend_from_slice(&[wire::tag(field::PARENT), 8]);
        out.extend_from_slice(parent);
    }
    wire::begin(out, field::NAME, name.iter().map(|word| word.len()).sum());
    name.iter().for_each(|word| out.extend_from_slice(word.as_bytes()));
    wire::number(out, field::KIND, *kind as u64);
    wire::fixed_64(out, field::START, times::unix_nanos(*at));
    // Only a server's span has its parent in another process.
    let remote = if *kind == Kind::Server && parent.is_some() { IS_REMOTE } else { 0 };
    wire::fixed_32(out, field::FLAGS, SAMPLED | KNOWS_REMOTE | remote);
}

// === impl SpanLimits ===

impl Default for SpanLimits {
    /// The specification's.
    fn default() -> Self {
        Self { attributes: 128, events: 128 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    };
    use opentelemetry_proto::tonic::common::v1::{
        AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value,
    };
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::span::Event;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Schema, Status};
    use prost::Message;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::{Batch, Otlp, Settings, envelope, json};

    /// The resource, a span of everything that a span can have, and when it began.
    fn written() -> (Vec<u8>, Vec<u8>, u64) {
        let pairs = [("service.version", "mine"), ("zone", "a"), ("zone", "b")];
        let resource = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let otlp = Otlp { resource, ..Otlp::new(http::Uri::default()) };
        let resource = envelope::resource(&Settings::default(), &otlp);
        let queue = Queue::new(Batch::default());
        let place = TraceContext::new([1; 16], [2; 8], true, Some(Arc::from("a=1")));
        let (at, parent, kind) = (Instant::now(), Some([3; 8]), Kind::Server);
        let beginning = Beginning { place: &place, parent, kind, name: &["chat", " ", "m"], at };
        let mut span = Span::begin(&queue, SpanLimits { attributes: 5, events: 1 }, &beginning);
        span.told.put("text", "t");
        span.told.put("flag", true);
        span.told.put("whole", 300_u64);
        span.told.put_texts("texts", ["a", ""]);
        for _ in 0..2 {
            span.event("happened", at + Duration::from_nanos(1), |told| told.put("real", 0.5));
        }
        span.fail("timeout");
        span.told.put("too", "much");
        span.end_at(at + Duration::from_nanos(2));
        let spans = queue.take(true).unwrap();
        (resource, spans.whole(), times::unix_nanos(at))
    }

    fn pair(key: &str, value: Value) -> KeyValue {
        KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    fn texts(texts: &[&str]) -> Value {
        let any = |text: &&str| AnyValue { value: Some(Value::StringValue((*text).into())) };
        Value::ArrayValue(ArrayValue { values: texts.iter().map(any).collect() })
    }

    #[test]
    fn a_request_is_what_the_schema_says() {
        let (resource, spans, at) = written();
        let text = |text: &str| Value::StringValue(text.into());
        let span = Schema {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            trace_state: "a=1".into(),
            parent_span_id: vec![3; 8],
            flags: 0x301,
            name: "chat m".into(),
            kind: 2,
            start_time_unix_nano: at,
            end_time_unix_nano: at + 2,
            attributes: vec![
                pair("text", text("t")),
                pair("flag", Value::BoolValue(true)),
                pair("whole", Value::IntValue(300)),
                pair("texts", texts(&["a", ""])),
                pair("error.type", text("timeout")),
            ],
            dropped_attributes_count: 1,
            events: vec![Event {
                time_unix_nano: at + 1,
                name: "happened".into(),
                attributes: vec![pair("real", Value::DoubleValue(0.5))],
                dropped_attributes_count: 0,
            }],
            dropped_events_count: 1,
            status: Some(Status { code: 2, message: String::new() }),
            ..Schema::default()
        };
        let told = [("service.version", "mine"), ("zone", "b"), ("service.name", "gatewright")];
        let scope = InstrumentationScope { name: "gatewright".into(), ..InstrumentationScope::default() };
        let expected = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: told.map(|(key, value)| pair(key, text(value))).to_vec(),
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope),
                    spans: vec![span],
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            }],
        };
        let request = [envelope::front(&resource, spans.len()), spans].concat();
        assert_eq!(ExportTraceServiceRequest::decode(&*request).unwrap(), expected);
        assert_eq!(request.len(), expected.encoded_len(), "nothing stands in it that is not in the schema");
    }

    #[test]
    fn the_same_request_in_json() {
        let (resource, spans, at) = written();
        let text = |key: &str, text: &str| json!({"key": key, "value": {"stringValue": text}});
        let span = json!({
            "traceId": "01".repeat(16),
            "spanId": "02".repeat(8),
            "traceState": "a=1",
            "parentSpanId": "03".repeat(8),
            "flags": 0x301,
            "name": "chat m",
            "kind": 2,
            "startTimeUnixNano": at.to_string(),
            "endTimeUnixNano": (at + 2).to_string(),
            "attributes": [
                text("text", "t"),
                {"key": "flag", "value": {"boolValue": true}},
                {"key": "whole", "value": {"intValue": "300"}},
                {"key": "texts", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": ""}]}}},
                text("error.type", "timeout"),
            ],
            "events": [{
                "timeUnixNano": (at + 1).to_string(),
                "name": "happened",
                "attributes": [{"key": "real", "value": {"doubleValue": 0.5}}],
            }],
            "droppedAttributesCount": 1,
            "droppedEventsCount": 1,
            "status": {"code": 2},
        });
        let told = [("service.version", "mine"), ("zone", "b"), ("service.name", "gatewright")];
        let expected = json!({"resourceSpans": [{
            "resource": {"attributes": told.map(|(key, value)| text(key, value))},
            "scopeSpans": [{"scope": {"name": "gatewright"}, "spans": [span]}],
        }]});
        let request: Json = serde_json::from_slice(&json::request(&resource, &spans)).unwrap();
        assert_eq!(request, expected);
    }

    #[test]
    fn what_a_receiver_did_not_take_is_read_from_its_answer() {
        for rejected in [0, 3] {
            let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: "why".into() };
            let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
            assert_eq!(envelope::rejected(&answer.encode_to_vec()), rejected.cast_unsigned());
        }
        for (answer, rejected) in [
            (r#"{"partialSuccess":{"rejectedSpans":"3"}}"#, 3),
            (r#"{"partialSuccess":{"rejectedSpans":3}}"#, 3),
            (r#"{"partialSuccess":{}}"#, 0),
            ("", 0),
        ] {
            assert_eq!(json::rejected(answer.as_bytes()), rejected, "{answer}");
        }
        assert_eq!(envelope::rejected(b""), 0);
    }
}
