//! Lunary, by its ingestion API: <https://docs.lunary.ai/api/runs/ingest-run-events>.

use futures_util::future::BoxFuture;
use gatewright_core::Secret;
use http::Uri;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::langfuse::user;
use super::post::{Line, address, secret};
use super::when::iso;
use crate::{Delivered, Parcel, Sink, Undelivered};

/// Tells of every record that a run began and ended. A run is named by its call, and what comes twice is not taken twice.
pub struct Lunary {
    name: String,
    uri: Uri,
    authorization: (HeaderName, HeaderValue),
    line: Line,
}

// === impl Lunary ===

impl Lunary {
    /// Where Lunary's own service is.
    pub const BASE: &str = "https://api.lunary.ai";

    /// Sends to the project of this key.
    pub fn new(name: impl Into<String>, base: &str, key: &Secret, line: Line) -> Result<Self, String> {
        let authorization = secret(AUTHORIZATION, &format!("Bearer {}", key.reveal()).into())?;
        Ok(Self { name: name.into(), uri: address(base, "/v1/runs/ingest")?, authorization, line })
    }
}

impl Sink for Lunary {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, parcels: &'a [Parcel]) -> BoxFuture<'a, Result<Delivered, Undelivered>> {
        Box::pin(async move {
            let events: Vec<Value> = parcels.iter().flat_map(|parcel| [start(parcel), end(parcel)]).collect();
            let body = json!({"events": events}).to_string();
            let request = self.line.post(&self.uri, std::slice::from_ref(&self.authorization), body);
            let answer = self.line.send(request).await?;
            Ok(Delivered { refused: refused(&answer) })
        })
    }
}

/// A run that is there already came with an earlier delivery: that is as good as taken.
fn refused(answer: &[u8]) -> u64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let results = answer.get("results").and_then(Value::as_array).into_iter().flatten();
    let failed = results.filter(|result| result.get("success") == Some(&Value::Bool(false)));
    let known = |result: &&Value| {
        result.get("error").and_then(Value::as_str).is_some_and(|words| words.contains("already exists"))
    };
    let mut ids: Vec<&str> =
        failed.filter(|result| !known(result)).filter_map(|result| result.get("id")?.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len() as u64
}

fn start(parcel: &Parcel) -> Value {
    let mut event = named(parcel, "start", "startTime");
    let mut put =
        |name: &str, value: Option<Value>| drop(value.map(|value| event.insert(name.to_owned(), value)));
    put("name", parcel.value("model").cloned());
    put("input", parcel.value("messages").cloned());
    put("userId", user(parcel));
    put("tags", parcel.value("request_tags").cloned());
    put("params", parcel.value("model_parameters").cloned());
    put("metadata", parcel.metadata("requester_metadata").cloned());
    put("parentRunId", parcel.noted("parent_run_id").cloned());
    Value::Object(event)
}

fn end(parcel: &Parcel) -> Value {
    if !parcel.succeeded() {
        let mut event = named(parcel, "error", "endTime");
        event.insert("error".into(), json!({"message": parcel.value("error_str")}));
        return Value::Object(event);
    }
    let mut event = named(parcel, "end", "endTime");
    let response = parcel.value("response");
    let choices = response.and_then(|response| response.get("choices")).and_then(Value::as_array);
    let messages =
        choices.map(|choices| choices.iter().filter_map(|choice| choice.get("message")).cloned().collect());
    let output = messages.map(|mut messages: Vec<Value>| match messages.len() {
        1 => messages.swap_remove(0),
        _ => Value::Array(messages),
    });
    event.insert("output".into(), output.or_else(|| response.cloned()).unwrap_or_default());
    let usage =
        json!({"prompt": parcel.value("prompt_tokens"), "completion": parcel.value("completion_tokens")});
    event.insert("tokensUsage".into(), usage);
    Value::Object(event)
}

fn named(parcel: &Parcel, event: &str, time: &str) -> Map<String, Value> {
    let kind = if parcel.text("call_type") == Some("aembedding") { "embed" } else { "llm" };
    let mut fields = Map::new();
    fields.insert("type".into(), kind.into());
    fields.insert("event".into(), event.into());
    fields.insert("runId".into(), parcel.id().into());
    fields.insert("timestamp".into(), iso(parcel.seconds(time)).into());
    fields.insert("runtime".into(), "gatewright".into());
    fields
}
