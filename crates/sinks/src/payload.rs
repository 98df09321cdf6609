//! A record as LiteLLM's standard logging payload, and what is left out of it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use gatewright_core::{Dialect, Money, Notes, Operation, ServedBy, Usage};
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use crate::record::Record;
use crate::{Parcel, content, failure, metadata};

/// What is left out of records.
#[derive(Clone, Debug, Default)]
pub struct Privacy {
    /// What was asked and answered, of all calls (`turn_off_message_logging`).
    pub redact: bool,
    /// Whatever tells of the key and its holder (`redact_user_api_key_info`).
    pub anonymous: bool,
    /// Fields of the payload (`standard_logging_payload_excluded_fields`).
    pub excluded: Vec<String>,
    /// Whether a client's `no-log` is ignored (`global_disable_no_log_param`).
    pub ignore_no_log: bool,
    /// Whether a client may keep its calls from single sinks (`allow_dynamic_callback_disabling`).
    pub client_disables: bool,
    /// Where clients are (`disable_requester_ip_address_logging`).
    pub no_addresses: bool,
    /// The header that the operator has keys sent in (`litellm_key_header_name`).
    pub key_header: Option<HeaderName>,
}

/// Knows the models that answer.
pub trait Describe: Send + Sync {
    /// What the price list knows of the model of a deployment, in LiteLLM's words; nothing where it does not list it.
    fn model(&self, by: &ServedBy) -> Option<Value>;
}

/// Makes payloads of records.
pub(crate) struct Payloads {
    pub(crate) privacy: Privacy,
    pub(crate) models: Option<Arc<dyn Describe>>,
}

// === impl Payloads ===

impl Payloads {
    /// The payload of a record, with what was asked and answered where the record has it and `content` lets it be.
    pub(crate) fn render(&self, record: &Record, content: bool) -> Parcel {
        let Self { privacy, .. } = self;
        let told = record.content.as_ref().filter(|_| content && !privacy.redact);
        let spoken = content::of(record, told);
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        let id = spoken.id.clone().unwrap_or_else(|| record.id.to_string());
        let usage = record.usage.unwrap_or_default();
        let cost = dollars(record.cost);
        let (began, ended) = (seconds(record.began), seconds(record.ended));
        let status = if record.succeeded() { "success" } else { "failure" };
        let by = record.served_by.as_deref();
        let model =
            by.map_or(&*record.model, |by| by.model.split_once('/').map_or(&*by.model, |(_, name)| name));
        let trace = record.controls.trace_id.as_deref().map_or_else(|| record.id.to_string(), str::to_owned);
        put("id", id.into());
        put("trace_id", trace.clone().into());
        put("session_id", trace.into());
        put("litellm_call_id", record.id.to_string().into());
        put("call_type", call_type(record.operation, record.codec.dialect()).into());
        put("stream", record.stream.into());
        put("response_cost", cost.clone());
        put("cost_breakdown", breakdown(record));
        put("response_cost_failure_debug_info", Value::Null);
        put("status", status.into());
        put("status_fields", json!({"llm_api_status": status, "guardrail_status": "not_run"}));
        put("custom_llm_provider", by.map(|by| &*by.provider).into());
        put("total_tokens", usage.total().into());
        put("prompt_tokens", usage.total_input().into());
        put("completion_tokens", usage.output.into());
        put("startTime", began.into());
        put("endTime", ended.into());
        put("completionStartTime", record.first_content.map_or(ended, seconds).into());
        // Of a stream, what its client waited for: its first content.
        let answered = record.first_content.filter(|_| record.stream).map_or(ended, seconds);
        put("response_time", (answered - began).max(0.0).into());
        put("model_map_information", self.model_map(record));
        put("model", model.into());
        put("model_id", by.map(|by| &*by.deployment).into());
        put("model_group", by.map_or(&*record.model, |by| &*by.group).into());
        put("api_base", by.map_or("", |by| &*by.api_base).into());
        put("metadata", metadata::of(record, privacy));
        let cached = record.cached.as_deref();
        put("cache_hit", cached.map(|cached| cached.hit).into());
        put("cache_key", cached.map(|cached| &*cached.key).into());
        let saved = cached.filter(|cached| cached.hit).and_then(|cached| cached.saved);
        put("saved_cache_cost", saved.map_or(json!(0.0), dollars));
        put("request_tags", tags(record).into());
        put("end_user", record.controls.end_user.as_deref().into());
        put("requester_ip_address", metadata::address(record, privacy));
        put("user_agent", metadata::agent(record));
        put("messages", spoken.messages);
        put("response", spoken.response);
        put("standard_built_in_tools_params", spoken.tools);
        put("model_parameters", spoken.parameters);
        let (words, information) = failure::of(record, told.is_none());
        put("error_str", words);
        put("error_information", information);
        put("hidden_params", hidden(record, &usage));
        put("guardrail_information", Value::Null);
        privacy.excluded.iter().for_each(|name| drop(fields.shift_remove(name)));
        Parcel::new(fields)
    }

    fn model_map(&self, record: &Record) -> Value {
        let by = record.served_by.as_deref();
        let known = by.zip(self.models.as_ref()).and_then(|(by, models)| models.model(by));
        json!({"model_map_key": by.map_or(&*record.model, |by| &*by.model), "model_map_value": known})
    }
}

/// What the cost is made of; nothing where a call failed and cost nothing. Nothing is taken off a price or added to it, so
/// what LiteLLM says of that says so.
fn breakdown(record: &Record) -> Value {
    let (parts, total) = (&record.parts, dollars(record.cost));
    if !record.succeeded() && record.cost == Money::ZERO {
        return Value::Null;
    }
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    put("input_cost", dollars(parts.input));
    put("output_cost", dollars(parts.output));
    put("tool_usage_cost", dollars(parts.tool_usage));
    for (name, part) in [
        ("cache_read_cost", parts.cache_read),
        ("cache_creation_cost", parts.cache_creation),
        ("reasoning_cost", parts.reasoning),
    ] {
        if part != Money::ZERO {
            put(name, dollars(part));
        }
    }
    put("original_cost", total.clone());
    for name in [
        "discount_percent",
        "discount_amount",
        "margin_percent",
        "margin_fixed_amount",
        "margin_total_amount",
    ] {
        put(name, json!(0.0));
    }
    put("total_cost", total);
    Value::Object(fields)
}

fn hidden(record: &Record, usage: &Usage) -> Value {
    let by = record.served_by.as_deref();
    json!({
        "model_id": by.map(|by| &*by.deployment),
        "cache_key": record.cached.as_deref().map(|cached| &*cached.key),
        "api_base": by.map(|by| &*by.api_base),
        "response_cost": dollars(record.cost),
        "litellm_overhead_time_ms": record.overhead.map(|overhead| overhead.as_secs_f64() * 1e3),
        "additional_headers": rate_limits(record),
        "batch_models": null,
        "litellm_model_name": by.map(|by| &*by.model),
        "usage_object": usage_object(usage),
    })
}

/// What the upstream tells of its rate limits: numbers as such, times as they came.
fn rate_limits(record: &Record) -> Value {
    let read = |value: &HeaderValue| {
        let text = value.to_str().ok()?;
        Some(text.parse::<u64>().map_or_else(|_| text.into(), Value::from))
    };
    let told = record.rate_limits.iter().filter_map(|(name, value)| Some(((*name).to_owned(), read(value)?)));
    Value::Object(told.collect())
}

pub(crate) fn usage_object(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.total_input(),
        "completion_tokens": usage.output,
        "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
        "cache_creation_input_tokens": usage.cache_write(),
        "cache_read_input_tokens": usage.cache_read,
    })
}

fn tags(record: &Record) -> Vec<Value> {
    let mut tags: Vec<&str> = Vec::new();
    for tag in record.controls.tags.iter().chain(&record.caller.tags) {
        if !tags.contains(&&**tag) {
            tags.push(tag);
        }
    }
    tags.into_iter().map(Value::from).collect()
}

/// What LiteLLM calls it.
fn call_type(operation: Operation, dialect: Dialect) -> &'static str {
    match (operation, dialect) {
        (Operation::Chat, Dialect::OpenAiResponses) => "aresponses",
        (Operation::Chat, Dialect::OpenAiCompletions) => "atext_completion",
        (Operation::Chat, Dialect::AnthropicMessages) => "anthropic_messages",
        (Operation::Chat, Dialect::Gemini) => "agenerate_content",
        (Operation::Chat, _) => "acompletion",
        (Operation::CountTokens, _) => "acount_tokens",
        (Operation::Embeddings, _) => "aembedding",
        (Operation::Rerank, _) => "arerank",
        (Operation::Moderations, _) => "amoderation",
        (Operation::ImageGenerations, _) => "aimage_generation",
        (Operation::ImageEdits, _) => "aimage_edit",
        (Operation::ImageVariations, _) => "aimage_variation",
        (Operation::Speech, _) => "aspeech",
        (Operation::Transcriptions | Operation::Translations, _) => "atranscription",
    }
}

/// What the upstream calls its answer.
pub(crate) fn noted_id(notes: Option<&Notes>) -> Option<String> {
    notes.and_then(|notes| notes.look(|facts| facts.id.clone()))
}

/// The payload has no decimals: what must be exact is in the ledger.
#[expect(clippy::cast_precision_loss, reason = "LiteLLM's payload holds floats")]
pub(crate) fn dollars(amount: Money) -> Value {
    (amount.0 as f64 / 1e9).into()
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
