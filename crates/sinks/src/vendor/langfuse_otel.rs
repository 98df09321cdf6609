//! Langfuse, by its OpenTelemetry endpoint: <https://langfuse.com/integrations/native/opentelemetry>.
//!
//! Records are written as spans in OTLP's JSON; the gateway's own spans go another way, and need not be switched on.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Uri;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::langfuse::{LangfuseAccess, generation_name, output, simple, trace_name, user};
use super::post::{Line, address};
use super::when::{iso, split};
use crate::{Delivered, Parcel, Sink, Undelivered};

/// Makes a span of every record, which Langfuse shows as a trace with one generation.
pub struct LangfuseOtel {
    name: String,
    uri: Uri,
    headers: [(HeaderName, HeaderValue); 2],
    line: Line,
}

/// Without it Langfuse shows what comes minutes later.
const INGESTION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-langfuse-ingestion-version"), HeaderValue::from_static("4"));

// === impl LangfuseOtel ===

impl LangfuseOtel {
    /// Sends to this project. Says what is wrong with it, without its keys.
    pub fn new(name: impl Into<String>, access: &LangfuseAccess, line: Line) -> Result<Self, String> {
        let uri = address(&access.host, "/api/public/otel/v1/traces")?;
        Ok(Self { name: name.into(), uri, headers: [access.authorization()?, INGESTION], line })
    }
}

impl Sink for LangfuseOtel {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, parcels: &'a [Parcel]) -> BoxFuture<'a, Result<Delivered, Undelivered>> {
        let spans: Vec<Value> = parcels.iter().map(span).collect();
        let body = json!({"resourceSpans": [{
            "resource": {"attributes": [text("service.name", "gatewright")]},
            "scopeSpans": [{"scope": {"name": "gatewright"}, "spans": spans}],
        }]});
        let request = self.line.post(&self.uri, &self.headers, body.to_string());
        self.line.send(request).map(|answer| answer.map(|_| Delivered::default())).boxed()
    }
}

/// Its ids are made of the call's, so that one that comes twice is one.
fn span(parcel: &Parcel) -> Value {
    let id: String = parcel.id().chars().filter(char::is_ascii_hexdigit).collect();
    let nanos = |field: &str| {
        let (seconds, micros) = split(parcel.seconds(field));
        format!("{seconds}{micros:06}000")
    };
    let name = generation_name(parcel);
    json!({
        "traceId": format!("{id:0<32.32}"),
        "spanId": format!("{:0<16.16}", id.chars().rev().collect::<String>()),
        "name": name.as_str().unwrap_or("llm"),
        "kind": 3,
        "startTimeUnixNano": nanos("startTime"),
        "endTimeUnixNano": nanos("endTime"),
        "attributes": attributes(parcel),
        "status": {"code": if parcel.succeeded() { 1 } else { 2 }},
    })
}

fn attributes(parcel: &Parcel) -> Vec<Value> {
    let mut all = vec![text("langfuse.observation.type", "generation")];
    let mut put = |name: &str, value: Option<Value>| all.extend(value.map(|value| attribute(name, &value)));
    put("langfuse.trace.name", Some(trace_name(parcel)));
    put("user.id", user(parcel));
    put("session.id", parcel.noted("session_id").cloned());
    put("langfuse.trace.tags", parcel.value("request_tags").cloned());
    put("langfuse.trace.input", parcel.value("messages").map(written));
    put("langfuse.trace.output", output(parcel).as_ref().map(written));
    put("langfuse.observation.input", parcel.value("messages").map(written));
    put("langfuse.observation.output", output(parcel).as_ref().map(written));
    put("langfuse.observation.model.name", parcel.value("model").cloned());
    put("langfuse.observation.model.parameters", Some(written(&simple(parcel.value("model_parameters")))));
    put(
        "langfuse.observation.usage_details",
        Some(written(&json!({
            "input": parcel.value("prompt_tokens"),
            "output": parcel.value("completion_tokens"),
            "total": parcel.value("total_tokens"),
        }))),
    );
    put("langfuse.observation.cost_details", Some(written(&json!({"total": parcel.value("response_cost")}))));
    put(
        "langfuse.observation.completion_start_time",
        Some(iso(parcel.seconds("completionStartTime")).into()),
    );
    put("langfuse.observation.metadata", parcel.value("metadata").map(written));
    put("langfuse.observation.level", Some(if parcel.succeeded() { "DEFAULT" } else { "ERROR" }.into()));
    put("langfuse.observation.status_message", parcel.value("error_str").cloned());
    all
}

/// What is no text or list of texts, as JSON in a text.
fn attribute(name: &str, value: &Value) -> Value {
    match value {
        Value::Array(list) => {
            let values: Vec<Value> = list.iter().map(|item| json!({"stringValue": plain(item)})).collect();
            json!({"key": name, "value": {"arrayValue": {"values": values}}})
        }
        other => text(name, &plain(other)),
    }
}

fn text(name: &str, value: &str) -> Value {
    json!({"key": name, "value": {"stringValue": value}})
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn written(value: &Value) -> Value {
    plain(value).into()
}
