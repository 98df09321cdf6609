//! A canonical conversation into a request for an upstream.

use std::collections::BTreeMap;

use bytes::Bytes;
use gatewright_core::chat::Chat;
use gatewright_core::{Losses, ModelFacts};
use serde::Serialize;
use serde_json::Value;

use super::content_encode::Content;
use super::output;
use super::sampling::{self, temperature, top_k, top_p};
use super::thinking::{self, Thinking};
use super::tools::{self, Choice, ToolOut};
use super::turns::{Dialogue, Message};
use crate::json::json;

/// Fields of other dialects' leftovers that the API itself knows, and that go on as they came.
const OWN_FIELDS: [&str; 9] = [
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "fallback_credit_token",
    "inference_geo",
    "mcp_servers",
    "speed",
    "user_profile_id",
];

/// Fields that were used on the way or ask for what every answer has.
const USED_FIELDS: [&str; 5] = ["thinking", "output_config", "web_search_options", "top_k", "stream_options"];

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Content::is_empty")]
    system: Content<'a>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking<'a>>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<output::Format<'a>>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

type Fields<'a> = BTreeMap<&'a str, &'a Value>;

#[derive(Serialize)]
struct Metadata<'a> {
    user_id: &'a str,
}

/// Writes the request.
pub(super) fn request(chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Bytes {
    let mut dialogue = Dialogue::new(chat, losses);
    let thinking = thinking::Plan::new(chat, model, losses);
    let output = output::Plan::new(chat, model, thinking.is_on(), losses);
    output.instruct(&mut dialogue.system);
    let mut tools = tools::tools(chat, model, losses);
    let choice = Choice::new(chat, !tools.is_empty(), losses);
    let choice = tools::recall(chat, &mut tools, choice);
    output.add_tool(&mut tools);
    let request = Request {
        model: &model.name,
        max_tokens: thinking.max_tokens,
        tool_choice: output.force(choice, chat),
        temperature: temperature(chat, thinking.is_on(), losses),
        top_p: top_p(chat, thinking.is_on(), losses),
        top_k: top_k(chat, thinking.is_on(), losses),
        output_config: OutputConfig::new(chat, thinking.effort, output),
        thinking: thinking.thinking,
        system: Content::new(std::mem::take(&mut dialogue.system)),
        messages: dialogue.into_messages(),
        tools,
        // The API refuses stop texts of white space alone, but newlines in others are fine.
        stop_sequences: chat.stop.iter().map(String::as_str).filter(|text| !text.is_empty()).collect(),
        stream: chat.stream,
        metadata: metadata(chat, losses),
        service_tier: service_tier(chat, losses),
        extra: own_fields(chat, losses),
    };
    sampling::report(chat, losses);
    json(&request)
}

// === impl OutputConfig ===

impl<'a> OutputConfig<'a> {
    fn new(chat: &'a Chat, effort: Option<&'a str>, output: output::Plan<'a>) -> Self {
        let own = chat.extra.get("output_config").and_then(Value::as_object);
        let mut extra: Fields<'a> =
            own.map(|own| own.iter().map(|(key, value)| (key.as_str(), value)).collect()).unwrap_or_default();
        let format = match output {
            output::Plan::Native(format) => Some(format),
            output::Plan::Text | output::Plan::Tool { .. } | output::Plan::Words(_) => None,
        };
        // What the request says in its own fields wins over the same said in an extra.
        if effort.is_some() {
            extra.remove("effort");
        }
        if format.is_some() {
            extra.remove("format");
        }
        Self { effort, format, extra }
    }

    fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none() && self.extra.is_empty()
    }
}

/// The API forbids names, e-mail addresses and telephone numbers here.
fn metadata<'a>(chat: &'a Chat, losses: &mut Losses) -> Option<Metadata<'a>> {
    let user_id = chat.user.as_deref().filter(|user| !user.is_empty())?;
    let personal = is_address(user_id) || is_telephone(user_id);
    losses.add_if(personal, "metadata.user_id");
    (!personal).then_some(Metadata { user_id })
}

fn is_address(user: &str) -> bool {
    let Some((name, host)) = user.split_once('@') else { return false };
    let has_space = user.contains(char::is_whitespace);
    !name.is_empty() && host.contains('.') && !host.contains('@') && !has_space && !user.contains('"')
}

fn is_telephone(user: &str) -> bool {
    let number = user.strip_prefix('+').unwrap_or(user);
    number.len() >= 7 && number.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '(' | ')'))
}

fn service_tier(chat: &Chat, losses: &mut Losses) -> Option<&'static str> {
    match chat.service_tier.as_deref()? {
        "auto" => Some("auto"),
        "default" | "standard_only" => Some("standard_only"),
        _ => {
            losses.add("service_tier");
            None
        }
    }
}

fn own_fields<'a>(chat: &'a Chat, losses: &mut Losses) -> Fields<'a> {
    let mut own = Fields::new();
    for (key, value) in &chat.extra {
        if OWN_FIELDS.contains(&key.as_str()) {
            own.insert(key, value);
            continue;
        }
        let says_nothing = value.is_null() || *value == Value::Bool(false) || is_text_alone(key, value);
        if !says_nothing && !USED_FIELDS.contains(&key.as_str()) {
            losses.add(key.clone());
        }
    }
    own
}

/// OpenAI's clients may say that they want text, which they get.
fn is_text_alone(key: &str, value: &Value) -> bool {
    key == "modalities" && value.as_array().is_some_and(|list| list.iter().all(|kind| kind == "text"))
}
