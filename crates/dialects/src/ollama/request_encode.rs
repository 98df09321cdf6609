//! A canonical conversation into a request for an upstream.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use gatewright_core::chat::{Chat, Effort, Output, Tool, ToolChoice};
use gatewright_core::{Losses, ModelFacts, ReasoningControl};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::message::{Message, Messages};
use super::options;
use crate::json::tells;
use crate::lost;

/// Fields of other dialects' leftovers that the API itself knows, and that go on as they came.
const OWN_FIELDS: [&str; 3] = ["keep_alive", "shift", "truncate"];

/// Fields that were used on the way or ask for what every answer has.
const USED_FIELDS: [&str; 3] = ["stream_options", "think", "thinking"];

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolOut<'a>>,
    /// Always said: the server streams where nothing is said.
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Cow<'a, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Think>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    logprobs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    options: Map<String, Value>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Value>,
}

#[derive(Serialize)]
struct ToolOut<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionOut<'a>,
}

#[derive(Serialize)]
struct FunctionOut<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Cow<'a, Value>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Think {
    Whether(bool),
    How(&'static str),
}

/// Writes the request.
pub(super) fn request(chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Bytes {
    let thinks = model.reasoning != ReasoningControl::None;
    let request = Request {
        model: &model.name,
        messages: Messages::new(thinks, losses).write(&chat.turns),
        tools: tools(chat, losses),
        stream: chat.stream,
        format: format(&chat.output),
        think: think(chat, model, losses),
        logprobs: chat.sampling.logprobs == Some(true),
        top_logprobs: chat.sampling.top_logprobs.filter(|n| *n > 0),
        options: options::written(chat),
        extra: own_fields(chat, losses),
    };
    report(chat, losses);
    crate::json::json(&request)
}

/// The tools that may be chosen. The server knows no choice: what must not be called is not offered, and nothing can be
/// forced.
fn tools<'a>(chat: &'a Chat, losses: &mut Losses) -> Vec<ToolOut<'a>> {
    let forced = matches!(
        chat.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Function(_) | ToolChoice::Allowed { required: true, .. })
    );
    losses.add_if(forced, "tool_choice");
    losses.add_if(chat.parallel_tool_calls == Some(false) && !chat.tools.is_empty(), "parallel_tool_calls");
    let offered = |tool: &str| match &chat.tool_choice {
        Some(ToolChoice::None) => false,
        Some(ToolChoice::Function(only)) => tool == only,
        Some(ToolChoice::Allowed { names, .. }) => names.iter().any(|allowed| allowed == tool),
        None | Some(ToolChoice::Auto | ToolChoice::Required) => true,
    };
    let mut out = Vec::with_capacity(chat.tools.len());
    for tool in &chat.tools {
        match tool {
            Tool::Function { name, description, parameters, strict, extra, .. } if offered(name) => {
                losses.add_if(*strict == Some(true), "tools.strict");
                extra.keys().for_each(|key| losses.add(format!("tools.{key}")));
                let parameters = match parameters {
                    Some(schema @ Value::Object(_)) => Cow::Borrowed(schema),
                    _ => Cow::Owned(json!({"type": "object", "properties": {}})),
                };
                let function = FunctionOut { name, description: description.as_deref(), parameters };
                out.push(ToolOut { kind: "function", function });
            }
            Tool::Function { .. } => {}
            Tool::Hosted(value) => {
                let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
                losses.add(format!("tools.{kind}"));
            }
        }
    }
    out
}

fn format(output: &Output) -> Option<Cow<'_, Value>> {
    match output {
        Output::Text => None,
        Output::JsonObject => Some(Cow::Owned("json".into())),
        Output::JsonSchema { schema, .. } => Some(Cow::Borrowed(schema)),
    }
}

/// Only OpenAI's open models must be told how much in words; others are told whether.
fn think(chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Option<Think> {
    let wish = chat.reasoning.as_ref()?;
    let off = wish.off || wish.effort == Some(Effort::None);
    if model.reasoning == ReasoningControl::None {
        losses.add_if(!off, if wish.effort.is_some() { "reasoning_effort" } else { "thinking" });
        return None;
    }
    let by_level = model.name.rsplit('/').next().is_some_and(|name| name.starts_with("gpt-oss"));
    match (wish.effort, by_level) {
        _ if off => Some(Think::Whether(false)),
        (Some(Effort::None | Effort::Minimal | Effort::Low), true) => Some(Think::How("low")),
        (Some(Effort::Medium), true) => Some(Think::How("medium")),
        (Some(Effort::High | Effort::XHigh | Effort::Max), true) => Some(Think::How("high")),
        (_, _) => Some(Think::Whether(true)),
    }
}

fn own_fields<'a>(chat: &'a Chat, losses: &mut Losses) -> BTreeMap<&'a str, &'a Value> {
    let mut own = BTreeMap::new();
    for (key, value) in &chat.extra {
        match key.as_str() {
            known if OWN_FIELDS.contains(&known) => drop(own.insert(known, value)),
            used if USED_FIELDS.contains(&used) || options::is_own(used) => {}
            other if tells(value) && !lost::is_text_alone(other, value) => losses.add(other.to_owned()),
            _ => {}
        }
    }
    own
}

/// What the API has no word for. A value that asks for nothing is no loss; nor is a mark for a cache that the server has
/// without being asked.
fn report(chat: &Chat, losses: &mut Losses) {
    losses.add_if(chat.n.is_some_and(|n| n > 1), "n");
    losses.add_if(chat.user.is_some(), "user");
    losses.add_if(chat.sampling.logit_bias.as_ref().is_some_and(tells), "logit_bias");
    losses.add_if(!matches!(chat.service_tier.as_deref(), None | Some("auto" | "default")), "service_tier");
}
