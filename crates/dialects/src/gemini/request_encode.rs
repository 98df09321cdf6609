//! A canonical conversation into a request for an upstream.

use std::collections::BTreeMap;

use bytes::Bytes;
use gatewright_core::chat::{Chat, Output, Tool};
use gatewright_core::{Losses, ModelFacts};
use serde::Serialize;
use serde_json::Value;

use super::part_out::PartOut;
use super::schema;
use super::thinking::{self, Thinking};
use super::tools::{self, Calling, ToolOut};
use super::turns::{Content, Dialogue, Ways};
use super::words;
use crate::json::json;

/// Fields of other dialects' leftovers that the API itself knows, and that go on as they came; with the names that they
/// go by in LiteLLM.
const OWN_FIELDS: [(&str, &str); 5] = [
    ("safetySettings", "safetySettings"),
    ("safety_settings", "safetySettings"),
    ("cachedContent", "cachedContent"),
    ("cached_content", "cachedContent"),
    ("labels", "labels"),
];

/// Fields that were used on the way or ask for what every answer has.
const USED_FIELDS: [&str; 9] = [
    "generationConfig",
    "toolConfig",
    "modalities",
    "audio",
    "web_search_options",
    "top_k",
    "stream_options",
    "thinking",
    "output_config",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    generation_config: Config<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    function_calling_config: Option<Calling>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    response_modalities: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speech_config: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Thinking>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Value>,
}

/// Writes the request.
pub(super) fn request(chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Bytes {
    let checks_calls = thinking::has_levels(model);
    let mut dialogue = Dialogue::new(chat, Ways { thinks: thinking::thinks(model), checks_calls }, losses);
    let mut config = Config::new(chat, model, losses);
    if config.response_mime_type.is_some() && refuses_json(chat, model) {
        dialogue.system.push(PartOut::text(config.take_output_in_words()));
        losses.add("response_format.json_schema");
    }
    let system = std::mem::take(&mut dialogue.system);
    let request = Request {
        system_instruction: (!system.is_empty()).then_some(Content { role: "", parts: system }),
        contents: dialogue.contents,
        tools: tools::tools(chat, losses),
        tool_config: ToolConfig::new(chat),
        generation_config: config,
        service_tier: service_tier(chat, losses),
        extra: own_fields(chat, losses),
    };
    losses.add_if(chat.parallel_tool_calls == Some(false) && !chat.tools.is_empty(), "parallel_tool_calls");
    losses.add_if(chat.user.as_deref().is_some_and(|user| !user.is_empty()), "user");
    let biases = chat.sampling.logit_bias.as_ref().and_then(Value::as_object);
    losses.add_if(biases.is_some_and(|biases| !biases.is_empty()), "logit_bias");
    json(&request)
}

// === impl ToolConfig ===

impl<'a> ToolConfig<'a> {
    fn new(chat: &'a Chat) -> Option<Self> {
        let function_calling_config = Calling::new(chat);
        let extra = fields_of(chat, "toolConfig");
        (function_calling_config.is_some() || !extra.is_empty())
            .then_some(Self { function_calling_config, extra })
    }
}

// === impl Config ===

impl<'a> Config<'a> {
    fn new(chat: &'a Chat, model: &ModelFacts, losses: &mut Losses) -> Self {
        let sampling = &chat.sampling;
        let (response_mime_type, response_json_schema) = match &chat.output {
            Output::Text => (None, None),
            Output::JsonObject => (Some("application/json"), None),
            Output::JsonSchema { schema, .. } => (Some("application/json"), Some(schema::restricted(schema))),
        };
        let top_k = sampling.top_k.or_else(|| chat.extra.get("top_k").and_then(whole));
        Self {
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k,
            candidate_count: chat.n.filter(|n| *n > 1),
            max_output_tokens: chat.max_output,
            stop_sequences: &chat.stop,
            presence_penalty: sampling.presence_penalty,
            frequency_penalty: sampling.frequency_penalty,
            seed: sampling.seed,
            response_logprobs: sampling.logprobs,
            logprobs: sampling.top_logprobs.filter(|_| sampling.logprobs == Some(true)),
            response_mime_type,
            response_json_schema,
            response_modalities: modalities(chat),
            speech_config: voice(chat),
            thinking_config: Thinking::new(chat, model, losses),
            extra: fields_of(chat, "generationConfig"),
        }
    }

    /// The form of the answer as an instruction, in place of the fields.
    fn take_output_in_words(&mut self) -> String {
        self.response_mime_type = None;
        match self.response_json_schema.take() {
            Some(schema) => format!(
                "Give your final answer as JSON that follows this JSON schema and nothing else, without a code fence. \
                 The schema: {schema}"
            ),
            None => {
                "Give your final answer as one JSON object and nothing else, without a code fence.".to_owned()
            }
        }
    }
}

/// Models before version 3 refuse JSON beside functions: "Function calling with a response mime type:
/// 'application/json' is unsupported".
fn refuses_json(chat: &Chat, model: &ModelFacts) -> bool {
    let older = thinking::version(&model.name).is_some_and(|version| version < 3);
    older && chat.tools.iter().any(|tool| matches!(tool, Tool::Function { .. }))
}

/// OpenAI's `modalities`; text alone is what every answer has.
fn modalities(chat: &Chat) -> Vec<String> {
    let list = chat.extra.get("modalities").and_then(Value::as_array);
    let words: Vec<String> =
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_ascii_uppercase).collect();
    if words.iter().all(|word| word == "TEXT") { Vec::new() } else { words }
}

/// OpenAI's `audio.voice`.
fn voice(chat: &Chat) -> Option<Value> {
    let voice = chat.extra.get("audio")?.get("voice")?.as_str()?;
    Some(serde_json::json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}))
}

fn service_tier(chat: &Chat, losses: &mut Losses) -> Option<&'static str> {
    let tier = words::tier_out(chat.service_tier.as_deref()?);
    losses.add_if(tier.is_none(), "service_tier");
    tier.filter(|tier| !tier.is_empty())
}

/// What a client of this dialect said in an object of which the canonical conversation knows only some fields.
fn fields_of<'a>(chat: &'a Chat, key: &str) -> BTreeMap<&'a str, &'a Value> {
    let fields = chat.extra.get(key).and_then(Value::as_object);
    fields.into_iter().flatten().map(|(key, value)| (key.as_str(), value)).collect()
}

fn own_fields<'a>(chat: &'a Chat, losses: &mut Losses) -> BTreeMap<&'a str, &'a Value> {
    let mut own = BTreeMap::new();
    for (key, value) in &chat.extra {
        if let Some((_, name)) = OWN_FIELDS.iter().find(|(theirs, _)| theirs == key) {
            own.insert(*name, value);
            continue;
        }
        let says_nothing = value.is_null() || *value == Value::Bool(false);
        if !says_nothing && !USED_FIELDS.contains(&key.as_str()) {
            losses.add(key.clone());
        }
    }
    own
}

fn whole(value: &Value) -> Option<u64> {
    let number = value.as_f64()?;
    (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
}
