//! A client's request.

use gatewright_core::chat::{Chat, Effort, Output, Reasoning, Sampling};
use gatewright_core::{Error, ErrorKind, Json, Result};
use serde_json::{Map, Value};

use super::any::Any;
use super::message::Message;
use super::turn::Turns;
use super::{take_object, take_string, tool};

/// Fields that have a place of their own in [`Chat`], or none at all behind the gateway.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "thinking",
    "temperature",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "n",
    "stream",
    "stream_options",
    "user",
    "service_tier",
];

/// Reads a request.
pub(in crate::openai) fn read(body: &Json) -> Result<Chat> {
    let Some(messages) = body.get::<Vec<Any<Message>>>("messages")? else {
        return Err(
            Error::new(ErrorKind::InvalidRequest, "missing required field 'messages'").with_param("messages")
        );
    };
    let mut turns = Turns::default();
    let mut chat = Chat {
        turns: messages.into_iter().map(|Any(message)| turns.read(message)).collect::<Result<_>>()?,
        parallel_tool_calls: body.get("parallel_tool_calls")?,
        sampling: sampling(body)?,
        n: body.get("n")?,
        stream: body.flag("stream")?,
        user: body.get("user")?,
        service_tier: body.get("service_tier")?,
        stop: stop(body)?,
        ..Chat::default()
    };
    chat.max_output = match body.get("max_completion_tokens")? {
        Some(most) => Some(most),
        None => body.get("max_tokens")?,
    };
    read_tools(body, &mut chat)?;
    read_output(body, &mut chat)?;
    read_reasoning(body, &mut chat)?;
    read_rest(body, &mut chat)?;
    Ok(chat)
}

fn sampling(body: &Json) -> Result<Sampling> {
    Ok(Sampling {
        temperature: body.get("temperature")?,
        top_p: body.get("top_p")?,
        top_k: body.get("top_k")?,
        frequency_penalty: body.get("frequency_penalty")?,
        presence_penalty: body.get("presence_penalty")?,
        seed: body.get("seed")?,
        logprobs: body.get("logprobs")?,
        top_logprobs: body.get("top_logprobs")?,
        logit_bias: body.get("logit_bias")?,
    })
}

fn stop(body: &Json) -> Result<Vec<String>> {
    match body.raw("stop") {
        Some([b'"', ..]) => Ok(body.get::<String>("stop")?.into_iter().collect()),
        _ => Ok(body.get("stop")?.unwrap_or_default()),
    }
}

fn read_tools(body: &Json, chat: &mut Chat) -> Result<()> {
    let tools = body.get::<Vec<Value>>("tools")?.unwrap_or_default();
    chat.tools = tools.into_iter().map(tool::tool).collect();
    let functions = body.get::<Vec<Map<String, Value>>>("functions")?.unwrap_or_default();
    if chat.tools.is_empty() && !functions.is_empty() {
        // The answer has room for one call only.
        chat.parallel_tool_calls.get_or_insert(false);
    }
    chat.tools.extend(functions.into_iter().map(tool::function));
    for key in ["tool_choice", "function_call"] {
        let Some(wanted) = body.get::<Value>(key)? else { continue };
        match tool::choice(&wanted) {
            Some(choice) => chat.tool_choice = Some(choice),
            None => {
                return Err(Error::new(ErrorKind::InvalidRequest, format!("invalid value for '{key}'"))
                    .with_param(key));
            }
        }
    }
    Ok(())
}

fn read_output(body: &Json, chat: &mut Chat) -> Result<()> {
    let Some(mut format) = body.get::<Map<String, Value>>("response_format")? else { return Ok(()) };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => {}
        Some("json_object") => chat.output = Output::JsonObject,
        Some("json_schema") => {
            let mut inner = take_object(&mut format, "json_schema").unwrap_or_default();
            chat.output = Output::JsonSchema {
                name: take_string(&mut inner, "name").unwrap_or_default(),
                description: take_string(&mut inner, "description"),
                schema: inner.shift_remove("schema").unwrap_or_default(),
                strict: inner.shift_remove("strict").and_then(|strict| strict.as_bool()),
            };
        }
        _ => {
            chat.extra.insert("response_format".into(), Value::Object(format));
        }
    }
    Ok(())
}

fn read_reasoning(body: &Json, chat: &mut Chat) -> Result<()> {
    let mut reasoning = Reasoning::default();
    if let Some(wanted) = body.get::<Value>("reasoning_effort")? {
        let word = wanted.as_str().or_else(|| wanted.get("effort")?.as_str());
        match word.and_then(Effort::parse) {
            Some(effort) => reasoning.effort = Some(effort),
            None => {
                chat.extra.insert("reasoning_effort".into(), wanted);
            }
        }
    }
    let thinking = body.get::<Value>("thinking")?;
    if let Some(thinking) = &thinking {
        let kind = thinking.get("type").and_then(Value::as_str).unwrap_or_default();
        reasoning.off = kind == "disabled";
        reasoning.adaptive = kind == "adaptive";
        reasoning.budget = thinking.get("budget_tokens").and_then(Value::as_u64);
        reasoning.display = thinking.get("display").and_then(Value::as_str).map(str::to_owned);
    }
    if reasoning.effort.is_some() || thinking.is_some() {
        chat.reasoning = Some(reasoning);
    }
    Ok(())
}

fn read_rest(body: &Json, chat: &mut Chat) -> Result<()> {
    for key in body.keys() {
        if KNOWN.contains(&key.as_ref()) {
            continue;
        }
        if let Some(value) = body.get::<Value>(&key)? {
            chat.extra.insert(key.into_owned(), value);
        }
    }
    // Usage in a stream is the gateway's own affair; what else stands beside it is not.
    if let Some(mut options) = body.get::<Map<String, Value>>("stream_options")? {
        options.shift_remove("include_usage");
        if !options.is_empty() {
            chat.extra.insert("stream_options".into(), Value::Object(options));
        }
    }
    Ok(())
}
