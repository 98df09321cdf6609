//! A request for an upstream.

use bytes::Bytes;
use gatewright_core::chat::{Chat, Output, Reasoning};
use gatewright_core::{Losses, ModelFacts, ReasoningControl};
use serde_json::{Map, Value, json};

use super::items_write::Items;
use super::tools;
use crate::json::object;
use crate::openai::write::request::effort;

/// Fields of the chat dialect that have the same name and meaning here.
const SHARED: [&str; 8] = [
    "context_management",
    "include",
    "max_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "truncation",
];

/// Fields that become others.
const USED: [&str; 4] = ["verbosity", "web_search_options", "stream_options", "metadata"];

/// Writes a request.
pub(super) fn write(chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Bytes {
    let mut body = Map::new();
    body.insert("model".into(), (&*model.name).into());
    let (instructions, items) = Items::new(&chat.tools, losses).write(&chat.turns);
    body.extend(instructions.map(|text| ("instructions".to_owned(), text.into())));
    body.insert("input".into(), items.into());
    write_tools(chat, &mut body, losses);
    write_text(chat, &mut body);
    write_reasoning(chat, model, &mut body, losses);
    write_sampling(chat, &mut body, losses);
    let mut put = |key: &str, value: Option<Value>| body.extend(value.map(|value| (key.to_owned(), value)));
    put("max_output_tokens", chat.max_output.map(Value::from));
    put("user", chat.user.as_deref().map(Value::from));
    put("service_tier", chat.service_tier.as_deref().map(Value::from));
    put("stream", chat.stream.then_some(Value::Bool(true)));
    for (key, value) in &chat.extra {
        match key.as_str() {
            key if SHARED.contains(&key) => drop(body.entry(key).or_insert_with(|| value.clone())),
            key if USED.contains(&key) => {}
            _ => losses.add(key.clone()),
        }
    }
    // A client of another dialect never asks for an answer by its id.
    body.entry("store").or_insert(Value::Bool(false));
    object(&body)
}

fn write_tools(chat: &Chat, body: &mut Map<String, Value>, losses: &mut Losses) {
    let tools = tools::write(chat, losses);
    if tools.is_empty() {
        losses.add_if(chat.tool_choice.is_some() && !chat.tools.is_empty(), "tool_choice");
        return;
    }
    body.insert("tools".into(), tools.into());
    let choice = chat.tool_choice.as_ref().map(|choice| tools::choice(choice, &chat.tools));
    body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
    body.extend(chat.parallel_tool_calls.map(|many| ("parallel_tool_calls".to_owned(), many.into())));
}

fn write_text(chat: &Chat, body: &mut Map<String, Value>) {
    let mut text = Map::new();
    match &chat.output {
        Output::Text => {}
        Output::JsonObject => drop(text.insert("format".into(), json!({"type": "json_object"}))),
        Output::JsonSchema { name, description, schema, strict } => {
            let mut format = Map::new();
            format.insert("type".into(), "json_schema".into());
            format.insert("name".into(), if name.is_empty() { "answer" } else { name.as_str() }.into());
            format.extend(description.as_deref().map(|text| ("description".to_owned(), text.into())));
            format.insert("schema".into(), schema.clone());
            format.extend(strict.map(|strict| ("strict".to_owned(), strict.into())));
            text.insert("format".into(), Value::Object(format));
        }
    }
    text.extend(chat.extra.get("verbosity").map(|word| ("verbosity".to_owned(), word.clone())));
    if !text.is_empty() {
        body.insert("text".into(), Value::Object(text));
    }
}

/// What proves the reasoning is always asked for: nothing is stored, so that it can come back no other way.
fn write_reasoning(chat: &Chat, model: &ModelFacts, body: &mut Map<String, Value>, losses: &mut Losses) {
    let thinks = model.reasoning != ReasoningControl::None;
    if thinks {
        body.insert("include".into(), json!(["reasoning.encrypted_content"]));
    }
    let Some(wanted) = chat.reasoning.as_ref().filter(|wanted| !wanted.off) else { return };
    if !thinks {
        losses.add("reasoning_effort");
        return;
    }
    losses.add_if(wanted.effort.is_none() && wanted.budget.is_some(), "thinking.budget_tokens");
    let mut reasoning = Map::new();
    reasoning.extend(effort(wanted).map(|effort| ("effort".to_owned(), effort.as_str().into())));
    if is_shown(wanted) {
        reasoning.insert("summary".into(), "auto".into());
    }
    if !reasoning.is_empty() {
        body.insert("reasoning".into(), Value::Object(reasoning));
    }
}

/// Whoever asks for thinking in Anthropic's way sees it unless they say otherwise. OpenAI shows summaries only to
/// organizations that it has verified, so that they are never asked for in passing.
fn is_shown(wanted: &Reasoning) -> bool {
    match wanted.display.as_deref() {
        Some(display) => display == "summarized",
        None => wanted.budget.is_some() || wanted.adaptive,
    }
}

fn write_sampling(chat: &Chat, body: &mut Map<String, Value>, losses: &mut Losses) {
    let sampling = &chat.sampling;
    let candidates = sampling.top_logprobs.or(sampling.logprobs.filter(|wanted| *wanted).map(|_| 0));
    for (key, value) in [
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("top_logprobs", candidates.map(Value::from)),
    ] {
        body.extend(value.map(|value| (key.to_owned(), value)));
    }
    if sampling.logprobs == Some(true) {
        let include = body.entry("include").or_insert_with(|| json!([]));
        if let Value::Array(list) = include {
            list.push("message.output_text.logprobs".into());
        }
    }
    for (lost, name) in [
        (sampling.top_k.is_some(), "top_k"),
        (sampling.frequency_penalty.is_some_and(|penalty| penalty != 0.0), "frequency_penalty"),
        (sampling.presence_penalty.is_some_and(|penalty| penalty != 0.0), "presence_penalty"),
        (sampling.seed.is_some(), "seed"),
        (sampling.logit_bias.is_some(), "logit_bias"),
        (!chat.stop.is_empty(), "stop"),
        (chat.n.is_some_and(|n| n > 1), "n"),
    ] {
        losses.add_if(lost, name);
    }
}
