//! A record as LiteLLM's standard logging payload, and what is left out of it.

use std::time::{SystemTime, UNIX_EPOCH};

use gatewright_core::{Dialect, ErrorKind, Money, Notes, Operation, Usage};
use serde_json::{Map, Value, json};

use crate::Parcel;
use crate::content::{self, REDACTED};
use crate::record::{Ending, Record};

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
}

// === impl Privacy ===

impl Privacy {
    /// The payload of a record, with what was asked and answered where the record has it and `content` lets it be.
    pub fn render(&self, record: &Record, content: bool) -> Parcel {
        let told = record.content.as_ref().filter(|_| content && !self.redact);
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
        put("cost_breakdown", json!({"total_cost": cost}));
        put("status", status.into());
        put("status_fields", json!({"llm_api_status": status, "guardrail_status": "not_run"}));
        put("custom_llm_provider", by.map(|by| &*by.provider).into());
        put("total_tokens", usage.total().into());
        put("prompt_tokens", usage.total_input().into());
        put("completion_tokens", usage.output.into());
        put("startTime", began.into());
        put("endTime", ended.into());
        put("completionStartTime", record.first_content.map_or(ended, seconds).into());
        put("response_time", (ended - began).max(0.0).into());
        put("model", model.into());
        put("model_id", by.map(|by| &*by.deployment).into());
        put("model_group", by.map_or(&*record.model, |by| &*by.group).into());
        put("api_base", by.map(|by| &*by.api_base).into());
        put("metadata", self.metadata(record));
        let cached = record.cached.as_deref();
        put("cache_hit", cached.map(|cached| cached.hit).into());
        put("cache_key", cached.map(|cached| &*cached.key).into());
        let saved = cached.filter(|cached| cached.hit).and_then(|cached| cached.saved);
        put("saved_cache_cost", saved.map_or(json!(0.0), dollars));
        put("request_tags", tags(record).into());
        put("end_user", record.controls.end_user.as_deref().into());
        let agent = record.user_agent.as_ref().and_then(|agent| agent.to_str().ok());
        put("user_agent", agent.into());
        put("messages", spoken.messages);
        put("response", spoken.response);
        put("model_parameters", spoken.parameters);
        let (words, information) = error(record, told.is_none());
        put("error_str", words);
        put("error_information", information);
        put("hidden_params", hidden(record, &usage));
        self.excluded.iter().for_each(|name| drop(fields.shift_remove(name)));
        Parcel::new(fields)
    }

    fn metadata(&self, record: &Record) -> Value {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        let (caller, names) = (&record.caller, &record.caller.known_as);
        if !self.anonymous {
            put("user_api_key_hash", (*caller.id).into());
            put("user_api_key_alias", names.key.as_deref().into());
            let key = caller.key.as_deref();
            put("user_api_key_spend", key.map(|key| dollars(key.spent.total())).into());
            put("user_api_key_max_budget", key.and_then(|key| key.most).map(dollars).into());
            put("user_api_key_team_id", caller.team.as_deref().into());
            put("user_api_key_team_alias", names.team.as_deref().into());
            put("user_api_key_org_id", caller.organization.as_deref().into());
            put("user_api_key_org_alias", names.organization.as_deref().into());
            put("user_api_key_project_id", caller.project.as_deref().into());
            put("user_api_key_project_alias", names.project.as_deref().into());
            put("user_api_key_user_id", caller.user.as_deref().into());
            put("user_api_key_user_email", names.email.as_deref().into());
            put("user_api_key_end_user_id", record.controls.end_user.as_deref().into());
        }
        let noted = record.controls.record.metadata.as_deref();
        put("spend_logs_metadata", noted.and_then(|noted| noted.get("spend_logs_metadata")).cloned().into());
        put("requester_metadata", noted.cloned().unwrap_or_else(|| json!({})));
        put("usage_object", record.usage.map(|usage| usage_object(&usage)).into());
        Value::Object(fields)
    }
}

fn hidden(record: &Record, usage: &Usage) -> Value {
    let by = record.served_by.as_deref();
    json!({
        "model_id": by.map(|by| &*by.deployment),
        "cache_key": record.cached.as_deref().map(|cached| &*cached.key),
        "api_base": by.map(|by| &*by.api_base),
        "response_cost": dollars(record.cost),
        "litellm_model_name": by.map(|by| &*by.model),
        "usage_object": usage_object(usage),
    })
}

/// What went wrong, in words where no prompt can be quoted in them.
fn error(record: &Record, redacted: bool) -> (Value, Value) {
    let (kind, status, words) = match &record.ending {
        Ending::Complete => return (Value::Null, Value::Null),
        Ending::Failed(err) => (err.kind(), err.status().as_u16(), err.message()),
        Ending::Abandoned => {
            let kind = ErrorKind::ClientGone;
            (kind, kind.status().as_u16(), "the client left before the end")
        }
    };
    let words = if redacted && !matches!(record.ending, Ending::Abandoned) { REDACTED } else { words };
    let information = json!({
        "error_code": status.to_string(),
        "error_class": kind.class(),
        "llm_provider": record.served_by.as_deref().map_or("", |by| &*by.provider),
        "traceback": "",
        "error_message": words,
    });
    (words.into(), information)
}

fn usage_object(usage: &Usage) -> Value {
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
    notes.and_then(|notes| notes.facts().id)
}

/// The payload has no decimals: what must be exact is in the ledger.
#[expect(clippy::cast_precision_loss, reason = "LiteLLM's payload holds floats")]
fn dollars(amount: Money) -> Value {
    (amount.0 as f64 / 1e9).into()
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
