//! A request for an upstream: a conversation as one text that goes on.

use bytes::Bytes;
use gatewright_core::chat::{Chat, Output, Part, Turn};
use gatewright_core::{Losses, ModelFacts};
use serde_json::{Map, Value, json};

use crate::json::object;
use crate::sampling::numbers;

/// Extras that mean the same here.
const SHARED: [&str; 4] = ["suffix", "best_of", "stream_options", "repetition_penalty"];

/// Writes a request.
pub(super) fn write(chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Bytes {
    let mut body = Map::new();
    body.insert("model".into(), (&*model.name).into());
    body.insert("prompt".into(), prompt(&chat.turns, losses).into());
    let sampling = &chat.sampling;
    let logprobs = sampling.top_logprobs.or(sampling.logprobs.filter(|wanted| *wanted).map(|_| 0));
    let more = [
        ("logit_bias", sampling.logit_bias.clone()),
        ("logprobs", logprobs.map(Value::from)),
        ("stop", (!chat.stop.is_empty()).then(|| chat.stop.as_slice().into())),
        ("n", chat.n.map(Value::from)),
        ("user", chat.user.as_deref().map(Value::from)),
    ];
    let most = [("max_tokens", chat.max_output.map(Value::from))];
    for (key, value) in most.into_iter().chain(numbers(sampling)).chain(more) {
        body.extend(value.map(|value| (key.to_owned(), value)));
    }
    for (key, value) in &chat.extra {
        match SHARED.contains(&key.as_str()) {
            true => drop(body.insert(key.clone(), value.clone())),
            false => losses.add(key.clone()),
        }
    }
    if chat.stream {
        body.insert("stream".into(), true.into());
        let options = body.entry("stream_options").or_insert_with(|| json!({}));
        if let Value::Object(options) = options {
            options.insert("include_usage".into(), true.into());
        }
    }
    losses.add_if(!chat.tools.is_empty(), "tools");
    losses.add_if(chat.tool_choice.is_some(), "tool_choice");
    losses.add_if(chat.output != Output::Text, "response_format");
    losses.add_if(chat.reasoning.as_ref().is_some_and(|wanted| !wanted.off), "reasoning_effort");
    losses.add_if(chat.service_tier.is_some(), "service_tier");
    object(&body)
}

/// What was said, in order: the form has no speakers.
fn prompt(turns: &[Turn], losses: &mut Losses) -> String {
    losses.add_if(turns.len() > 1, "messages.role");
    let mut texts = Vec::new();
    for part in turns.iter().flat_map(|turn| &turn.parts) {
        collect(part, &mut texts, losses);
    }
    texts.join("\n\n")
}

fn collect<'a>(part: &'a Part, texts: &mut Vec<&'a str>, losses: &mut Losses) {
    match part {
        Part::Text { text, cache, .. } => {
            losses.add_if(cache.is_some(), "messages.cache_control");
            texts.push(text);
        }
        Part::Refusal(text) => texts.push(text),
        Part::ToolResult(result) => result.parts.iter().for_each(|part| collect(part, texts, losses)),
        Part::Media(_) => losses.add("messages.media"),
        Part::ToolCall(_) => losses.add("messages.tool_calls"),
        Part::Reasoning { .. } | Part::RedactedReasoning { .. } => losses.add("messages.thinking"),
        Part::Other(_) => losses.add("server_tool_blocks"),
    }
}
