//! A canonical conversation into a request for an upstream.

use std::collections::BTreeMap;

use bytes::Bytes;
use gatewright_core::chat::Chat;
use gatewright_core::{Losses, ModelFacts};
use serde::Serialize;
use serde_json::{Map, Value};

use super::content_encode::{Block, Writer};
use super::model_fields::{self, Maker};
use super::output::{self, Format};
use super::tools::Config;
use super::turns::{Dialogue, Message};
use crate::anthropic::sampling::{self, temperature, top_p};
use crate::json::json;

/// Fields that the API itself knows, and that go on as they came: an operator's or a client's of this dialect.
pub(super) const OWN_FIELDS: [&str; 6] = [
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "performanceConfig",
    "projectIdentifier",
    "promptVariables",
    "requestMetadata",
];

/// Where Claude's own answer counts what it thought: Converse's counts leave that out. A path that leads nowhere is passed
/// over.
const THOUGHT_TOKENS: &str = "/usage/output_tokens_details";

/// Fields that were used on the way or ask for what every answer has.
const USED_FIELDS: [&str; 6] =
    ["additionalModelRequestFields", "outputConfig", "stream_options", "thinking", "top_k", "output_config"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "InferenceConfig::is_empty")]
    inference_config: InferenceConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<Config<'a>>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    additional_model_request_fields: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_response_field_paths: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<ServiceTier<'a>>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InferenceConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
}

#[derive(Serialize)]
struct ServiceTier<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

/// Writes the request.
pub(super) fn request(chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Bytes {
    let maker = Maker::of(model);
    let mut dialogue = Dialogue::new(chat, &mut Writer::new(maker.caches(), losses));
    let fields = model_fields::Plan::new(chat, model, maker, losses);
    let output = output::Plan::new(chat, model, fields.thinks, losses);
    output.instruct(&mut dialogue.system);
    let mut tools = Config::new(chat, model, maker.caches(), losses);
    output.force(&mut tools, chat);
    let strict = fields.thinks && maker == Maker::Claude;
    let request = Request {
        inference_config: InferenceConfig {
            max_tokens: chat.max_output,
            temperature: temperature(chat, strict, losses),
            top_p: top_p(chat, strict, losses),
            stop_sequences: chat.stop.iter().map(String::as_str).filter(|text| !text.is_empty()).collect(),
        },
        output_config: OutputConfig::new(chat, fields.effort, output),
        additional_model_request_fields: fields.fields,
        additional_model_response_field_paths: (strict && !asks_for_fields(chat)).then_some([THOUGHT_TOKENS]),
        tool_config: (!tools.tools.is_empty()).then_some(tools),
        service_tier: service_tier(chat, losses),
        extra: own_fields(chat, losses),
        system: std::mem::take(&mut dialogue.system),
        messages: dialogue.messages,
    };
    losses.add_if(chat.user.as_ref().is_some_and(|user| !user.is_empty()), "user");
    sampling::report(chat, losses);
    json(&request)
}

// === impl InferenceConfig ===

impl InferenceConfig<'_> {
    fn is_empty(&self) -> bool {
        let Self { max_tokens, temperature, top_p, stop_sequences } = self;
        max_tokens.is_none() && temperature.is_none() && top_p.is_none() && stop_sequences.is_empty()
    }
}

// === impl OutputConfig ===

impl<'a> OutputConfig<'a> {
    fn new(chat: &'a Chat, effort: Option<&'a str>, output: output::Plan<'a>) -> Self {
        let own = chat.extra.get("outputConfig").and_then(|config| config.get("effort")?.as_str());
        let text_format = match output {
            output::Plan::Native(format) => Some(format),
            output::Plan::Text | output::Plan::Tool { .. } | output::Plan::Words(_) => None,
        };
        Self { text_format, effort: effort.or(own) }
    }

    fn is_empty(&self) -> bool {
        self.text_format.is_none() && self.effort.is_none()
    }
}

fn service_tier<'a>(chat: &'a Chat, losses: &mut Losses) -> Option<ServiceTier<'a>> {
    match chat.service_tier.as_deref()? {
        "auto" => None,
        kind @ ("default" | "flex" | "priority" | "reserved") => Some(ServiceTier { kind }),
        _ => {
            losses.add("service_tier");
            None
        }
    }
}

/// Whether the client says itself what it wants of the model's own answer.
fn asks_for_fields(chat: &Chat) -> bool {
    chat.extra.contains_key("additionalModelResponseFieldPaths")
}

fn own_fields<'a>(chat: &'a Chat, losses: &mut Losses) -> BTreeMap<&'a str, &'a Value> {
    let mut own = BTreeMap::new();
    for (key, value) in &chat.extra {
        if OWN_FIELDS.contains(&key.as_str()) {
            own.insert(key.as_str(), value);
            continue;
        }
        let text_alone = key == "modalities"
            && value.as_array().is_some_and(|list| list.iter().all(|kind| kind == "text"));
        let says_nothing = value.is_null() || *value == Value::Bool(false) || text_alone;
        if !says_nothing && !USED_FIELDS.contains(&key.as_str()) {
            losses.add(key.clone());
        }
    }
    own
}
