//! Langfuse, by its ingestion API: <https://api.reference.langfuse.com/#tag/ingestion/post/api/public/ingestion>.
//!
//! Langfuse's cloud takes nothing but scores there since 16 November 2026; for it there is [`super::LangfuseOtel`]. What
//! one runs oneself takes everything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use gatewright_core::Secret;
use http::Uri;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::post::{Line, address, secret};
use super::when::iso;
use crate::{Delivered, Parcel, Sink, Undelivered};

/// Makes a trace of every record, with one generation in it.
pub struct Langfuse {
    name: String,
    uri: Uri,
    authorization: (HeaderName, HeaderValue),
    line: Line,
}

/// What a project of Langfuse is entered with.
#[derive(Clone)]
pub struct LangfuseAccess {
    /// `https://cloud.langfuse.com`.
    pub host: String,
    /// `pk-lf-…`.
    pub public_key: Secret,
    /// `sk-lf-…`.
    pub secret_key: Secret,
}

// === impl LangfuseAccess ===

impl LangfuseAccess {
    /// The header that opens the project.
    pub(super) fn authorization(&self) -> Result<(HeaderName, HeaderValue), String> {
        let pair = format!("{}:{}", self.public_key.reveal(), self.secret_key.reveal());
        secret(AUTHORIZATION, &format!("Basic {}", STANDARD.encode(pair)).into())
    }
}

// === impl Langfuse ===

impl Langfuse {
    /// Sends to this project. Says what is wrong with it, without its keys.
    pub fn new(name: impl Into<String>, access: &LangfuseAccess, line: Line) -> Result<Self, String> {
        let uri = address(&access.host, "/api/public/ingestion")?;
        Ok(Self { name: name.into(), uri, authorization: access.authorization()?, line })
    }
}

impl Sink for Langfuse {
    fn name(&self) -> &str {
        &self.name
    }

    /// The API takes 3.5 MB. What was asked and answered is in the trace and in its generation.
    fn most_bytes(&self) -> usize {
        1 << 20
    }

    fn deliver<'a>(&'a self, parcels: &'a [Parcel]) -> BoxFuture<'a, Result<Delivered, Undelivered>> {
        Box::pin(async move {
            let batch: Vec<Value> =
                parcels.iter().flat_map(|parcel| [trace(parcel), generation(parcel)]).collect();
            let body = json!({"batch": batch}).to_string();
            let request = self.line.post(&self.uri, std::slice::from_ref(&self.authorization), body);
            let answer = self.line.send(request).await?;
            Ok(Delivered { refused: refused(&answer, parcels) })
        })
    }
}

/// The answer is 207 with a list of the events that were not taken; a record is not there where either of its two is not.
fn refused(answer: &[u8], parcels: &[Parcel]) -> u64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let errors = answer.get("errors").and_then(Value::as_array).into_iter().flatten();
    let ids: Vec<&str> = errors.filter_map(|error| error.get("id")?.as_str()).collect();
    parcels.iter().filter(|parcel| ids.iter().any(|id| id.starts_with(parcel.id()))).count() as u64
}

/// The event's id is made of the call's, so that one that comes twice is one.
fn trace(parcel: &Parcel) -> Value {
    let mut body = Map::new();
    let mut put =
        |name: &str, value: Option<Value>| drop(value.map(|value| body.insert(name.to_owned(), value)));
    put("id", Some(trace_id(parcel).into()));
    put("timestamp", Some(iso(parcel.seconds("startTime")).into()));
    put("name", Some(trace_name(parcel)));
    put("userId", user(parcel));
    put("sessionId", parcel.noted("session_id").cloned());
    put("input", parcel.value("messages").cloned());
    put("output", output(parcel));
    put("tags", parcel.value("request_tags").cloned());
    put("metadata", parcel.value("metadata").cloned());
    put("version", parcel.noted("trace_version").cloned());
    put("release", parcel.noted("trace_release").cloned());
    event(parcel, "trace-create", Value::Object(body))
}

fn generation(parcel: &Parcel) -> Value {
    let mut body = Map::new();
    let mut put =
        |name: &str, value: Option<Value>| drop(value.map(|value| body.insert(name.to_owned(), value)));
    put("id", Some(generation_id(parcel)));
    put("traceId", Some(trace_id(parcel).into()));
    put("name", Some(generation_name(parcel)));
    put("startTime", Some(iso(parcel.seconds("startTime")).into()));
    put("completionStartTime", Some(iso(parcel.seconds("completionStartTime")).into()));
    put("endTime", Some(iso(parcel.seconds("endTime")).into()));
    put("model", parcel.value("model").cloned());
    put("modelParameters", Some(simple(parcel.value("model_parameters"))));
    put("input", parcel.value("messages").cloned());
    put("output", output(parcel));
    put("usage", Some(usage(parcel)));
    put("metadata", parcel.value("metadata").cloned());
    put("parentObservationId", parcel.noted("parent_observation_id").cloned());
    put("version", parcel.noted("version").cloned());
    put("level", Some(if parcel.succeeded() { "DEFAULT" } else { "ERROR" }.into()));
    put("statusMessage", parcel.value("error_str").cloned());
    event(parcel, "generation-create", Value::Object(body))
}

fn event(parcel: &Parcel, kind: &str, body: Value) -> Value {
    json!({
        "id": format!("{}-{kind}", parcel.id()),
        "timestamp": iso(parcel.seconds("endTime")),
        "type": kind,
        "body": body,
    })
}

/// The client's own name for the trace, else the call's.
fn trace_id(parcel: &Parcel) -> &str {
    parcel.text("trace_id").unwrap_or(parcel.id())
}

pub(super) fn trace_name(parcel: &Parcel) -> Value {
    let call = || format!("litellm-{}", parcel.text("call_type").unwrap_or_default()).into();
    parcel.noted("trace_name").cloned().unwrap_or_else(call)
}

pub(super) fn generation_name(parcel: &Parcel) -> Value {
    let call = || format!("litellm-{}", parcel.text("call_type").unwrap_or_default()).into();
    parcel.noted("generation_name").cloned().unwrap_or_else(call)
}

fn generation_id(parcel: &Parcel) -> Value {
    parcel.noted("generation_id").cloned().unwrap_or_else(|| parcel.id().into())
}

pub(super) fn user(parcel: &Parcel) -> Option<Value> {
    let known = || parcel.value("end_user").or_else(|| parcel.metadata("user_api_key_user_id"));
    parcel.noted("trace_user_id").or_else(known).cloned()
}

/// The model's message, where it is a chat's; else the answer as it is, or why there is none.
pub(super) fn output(parcel: &Parcel) -> Option<Value> {
    if !parcel.succeeded() {
        return parcel.value("error_str").cloned();
    }
    let response = parcel.value("response")?;
    let message = response.pointer("/choices/0/message");
    Some(message.unwrap_or(response).clone())
}

/// Parameters as the API takes them: numbers, texts, switches and lists of texts.
pub(super) fn simple(parameters: Option<&Value>) -> Value {
    let fields = parameters.and_then(Value::as_object).into_iter().flatten();
    let told = |value: &Value| match value {
        Value::Object(_) | Value::Array(_) => value.to_string().into(),
        other => other.clone(),
    };
    Value::Object(
        fields
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), told(value)))
            .collect(),
    )
}

fn usage(parcel: &Parcel) -> Value {
    json!({
        "input": parcel.value("prompt_tokens"),
        "output": parcel.value("completion_tokens"),
        "total": parcel.value("total_tokens"),
        "unit": "TOKENS",
        "totalCost": parcel.value("response_cost"),
    })
}
