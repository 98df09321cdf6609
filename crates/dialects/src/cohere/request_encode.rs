//! A canonical conversation into a request for an upstream.

use std::collections::BTreeMap;

use bytes::Bytes;
use gatewright_core::chat::{Chat, Effort, Output};
use gatewright_core::{Losses, ModelFacts, ReasoningControl};
use serde::Serialize;
use serde_json::Value;

use super::documents::DocumentOut;
use super::tools::{ToolOut, Tools};
use super::turns_encode::{Dialogue, MessageOut};
use crate::json::{json, tells};
use crate::lost;

/// Fields of other dialects' leftovers that the API itself knows, and that go on as they came.
const OWN_FIELDS: [&str; 4] = ["citation_options", "priority", "raw_prompting", "safety_mode"];

/// Fields that were used on the way or ask for what every answer has.
const USED_FIELDS: [&str; 5] = ["documents", "k", "p", "stream_options", "thinking"];

/// The most stop texts that the API takes.
const MOST_STOPS: usize = 5;

/// The most candidates that the API takes.
const MOST_CANDIDATES: u64 = 500;

/// The nucleus ends before all: a client that says 1 wants it off, and comes as near as it can.
const NUCLEUS: (f64, f64) = (0.01, 0.99);

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<MessageOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    documents: Vec<Document<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict_tools: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    logprobs: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Value>,
}

/// A document of a turn, or one that a client gave beside the messages.
#[derive(Serialize)]
#[serde(untagged)]
enum Document<'a> {
    Given(&'a Value),
    Told(DocumentOut),
}

#[derive(Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<&'a Value>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Thinking {
    Enabled {
        #[serde(skip_serializing_if = "Option::is_none")]
        token_budget: Option<u64>,
    },
    Disabled,
}

/// Writes the request.
pub(super) fn request(chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Bytes {
    let Tools { list, choice, strict } = Tools::new(chat, losses);
    let Dialogue { messages, documents: told, .. } = Dialogue::new(chat, model, losses);
    let sampling = &chat.sampling;
    let request = Request {
        model: &model.name,
        messages,
        documents: given(chat).map(Document::Given).chain(told.into_iter().map(Document::Told)).collect(),
        tools: list,
        tool_choice: choice,
        strict_tools: strict,
        response_format: format(&chat.output),
        thinking: thinking(chat, model, losses),
        max_tokens: chat.max_output,
        stop_sequences: stops(chat, losses),
        temperature: within(sampling.temperature, (0.0, 1.0), "temperature", losses),
        p: number(sampling.top_p, chat, "p").map(|p| p.clamp(NUCLEUS.0, NUCLEUS.1)),
        k: candidates(chat),
        frequency_penalty: within(sampling.frequency_penalty, (0.0, 1.0), "frequency_penalty", losses),
        presence_penalty: within(sampling.presence_penalty, (0.0, 1.0), "presence_penalty", losses),
        seed: sampling.seed.and_then(|seed| u64::try_from(seed).ok()),
        logprobs: sampling.logprobs == Some(true),
        stream: chat.stream,
        extra: own_fields(chat, losses),
    };
    report(chat, losses);
    json(&request)
}

/// Documents that a client of another dialect gave in this one's field.
fn given(chat: &Chat) -> impl Iterator<Item = &Value> {
    chat.extra.get("documents").and_then(Value::as_array).into_iter().flatten()
}

fn format(output: &Output) -> Option<Format<'_>> {
    let json_schema = match output {
        Output::Text => return None,
        Output::JsonObject => None,
        Output::JsonSchema { schema, .. } => Some(schema),
    };
    Some(Format { kind: "json_object", json_schema })
}

/// A model that thinks does so unless it is told not to; how much is said in tokens.
fn thinking(chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Option<Thinking> {
    let wish = chat.reasoning.as_ref()?;
    let off = wish.off || wish.effort == Some(Effort::None);
    match model.reasoning {
        ReasoningControl::None => {
            losses.add_if(!off, if wish.effort.is_some() { "reasoning_effort" } else { "thinking" });
            None
        }
        _ if off => Some(Thinking::Disabled),
        _ => Some(Thinking::Enabled { token_budget: wish.budget.or_else(|| budget_of(wish.effort?)) }),
    }
}

/// LiteLLM's budgets; much thinking has none.
fn budget_of(effort: Effort) -> Option<u64> {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => Some(1024),
        Effort::Medium => Some(2048),
        Effort::High | Effort::XHigh | Effort::Max => None,
    }
}

fn stops<'a>(chat: &'a Chat, losses: &mut Losses) -> &'a [String] {
    losses.add_if(chat.stop.len() > MOST_STOPS, "stop");
    chat.stop.get(..MOST_STOPS).unwrap_or(&chat.stop)
}

/// The number within the API's scale; `None` where it was not given.
fn within(
    wanted: Option<f64>,
    (least, most): (f64, f64),
    field: &'static str,
    losses: &mut Losses,
) -> Option<f64> {
    let wanted = wanted?;
    losses.add_if(!(least..=most).contains(&wanted), field);
    Some(wanted.clamp(least, most))
}

/// What the canonical field says, or this dialect's own name for it in another one's request.
fn number(canonical: Option<f64>, chat: &Chat, own: &str) -> Option<f64> {
    canonical.or_else(|| chat.extra.get(own).and_then(Value::as_f64))
}

fn candidates(chat: &Chat) -> Option<u64> {
    let wanted = chat.sampling.top_k.or_else(|| chat.extra.get("k").and_then(Value::as_u64));
    wanted.map(|k| k.min(MOST_CANDIDATES))
}

fn own_fields<'a>(chat: &'a Chat, losses: &mut Losses) -> BTreeMap<&'a str, &'a Value> {
    let mut own = BTreeMap::new();
    for (key, value) in &chat.extra {
        match key.as_str() {
            known if OWN_FIELDS.contains(&known) => drop(own.insert(known, value)),
            used if USED_FIELDS.contains(&used) => {}
            other if tells(value) && !lost::is_text_alone(other, value) => losses.add(other.to_owned()),
            _ => {}
        }
    }
    own
}

/// What the API has no word for. A value that asks for nothing is no loss.
fn report(chat: &Chat, losses: &mut Losses) {
    let sampling = &chat.sampling;
    losses.add_if(chat.n.is_some_and(|n| n > 1), "n");
    losses.add_if(chat.user.is_some(), "user");
    losses.add_if(sampling.seed.is_some_and(|seed| seed < 0), "seed");
    losses.add_if(sampling.top_logprobs.is_some_and(|n| n > 0), "top_logprobs");
    losses.add_if(sampling.logit_bias.as_ref().is_some_and(tells), "logit_bias");
    losses.add_if(!matches!(chat.service_tier.as_deref(), None | Some("auto" | "default")), "service_tier");
}
