//! A client's request.

use gatewright_core::body::JsonField;
use gatewright_core::chat::{Chat, Effort, Output, Reasoning, Turn};
use gatewright_core::{Error, ErrorKind, Json, Result};
use serde_json::{Map, Value};

use super::message::Message;
use super::turn::Turns;
use super::{take_object, take_string, tool};
use crate::scan::Scanner;

/// Reads a request.
pub(in crate::openai) fn read(body: &Json) -> Result<Chat> {
    let mut chat = Chat { turns: turns(body)?, ..Chat::default() };
    let (mut calls, mut thinks) = (false, false);
    for field in body.fields() {
        match &*field.key {
            "tools" | "functions" | "tool_choice" | "function_call" => calls = true,
            "reasoning_effort" | "thinking" => thinks = true,
            _ => read_field(&field, &mut chat)?,
        }
    }
    if calls {
        read_tools(body, &mut chat)?;
    }
    if thinks {
        read_reasoning(body, &mut chat)?;
    }
    Ok(chat)
}

fn turns(body: &Json) -> Result<Vec<Turn>> {
    let wrong = |text| Error::new(ErrorKind::InvalidRequest, text).with_param("messages");
    let raw = body.raw("messages").filter(|raw| *raw != b"null");
    let mut s = Scanner::new(raw.ok_or_else(|| wrong("missing required field 'messages'"))?);
    let mut messages = Vec::new();
    let read = s.array(|s| {
        messages.push(Message::read(s)?);
        Some(())
    });
    if read.is_none() {
        // It knows what is wrong.
        body.get::<Vec<Value>>("messages")?;
        return Err(wrong("invalid value for 'messages'"));
    }
    let mut turns = Turns::default();
    messages.into_iter().map(|message| turns.read(message)).collect()
}

/// A field that says all by itself.
fn read_field(field: &JsonField<'_>, chat: &mut Chat) -> Result<()> {
    let sampling = &mut chat.sampling;
    match &*field.key {
        "model" | "messages" => {}
        "temperature" => sampling.temperature = field.get()?,
        "top_p" => sampling.top_p = field.get()?,
        // Some libraries write whole numbers with a point; below zero it asks for nothing.
        "top_k" => sampling.top_k = field.get::<f64>()?.filter(|k| *k >= 0.0).map(|k| k as u64),
        "frequency_penalty" => sampling.frequency_penalty = field.get()?,
        "presence_penalty" => sampling.presence_penalty = field.get()?,
        "seed" => sampling.seed = field.get()?,
        "logprobs" => sampling.logprobs = field.get()?,
        "top_logprobs" => sampling.top_logprobs = field.get()?,
        "logit_bias" => sampling.logit_bias = field.get()?,
        "parallel_tool_calls" => chat.parallel_tool_calls = field.get()?,
        // The newer one wins.
        "max_completion_tokens" => chat.max_output = field.get()?.or(chat.max_output),
        "max_tokens" => chat.max_output = chat.max_output.or(field.get()?),
        "stop" => chat.stop = stop(field)?,
        "n" => chat.n = field.get()?,
        "stream" => chat.stream = field.flag()?,
        "user" => chat.user = field.get()?,
        "service_tier" => chat.service_tier = field.get()?,
        "response_format" => read_output(field, chat)?,
        "stream_options" => read_stream_options(field, chat)?,
        key => chat.extra.extend(field.get::<Value>()?.map(|value| (key.to_owned(), value))),
    }
    Ok(())
}

fn stop(field: &JsonField<'_>) -> Result<Vec<String>> {
    match field.raw {
        [b'"', ..] => Ok(field.get()?.into_iter().collect()),
        _ => Ok(field.get()?.unwrap_or_default()),
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

fn read_output(field: &JsonField<'_>, chat: &mut Chat) -> Result<()> {
    let Some(mut format) = field.get::<Map<String, Value>>()? else { return Ok(()) };
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

/// Usage in a stream is the gateway's own affair; what else stands beside it is not.
fn read_stream_options(field: &JsonField<'_>, chat: &mut Chat) -> Result<()> {
    let mut options = field.get::<Map<String, Value>>()?.unwrap_or_default();
    options.shift_remove("include_usage");
    if !options.is_empty() {
        chat.extra.insert("stream_options".into(), Value::Object(options));
    }
    Ok(())
}
