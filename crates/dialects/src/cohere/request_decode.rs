//! A client's request into the canonical conversation.

use gatewright_core::chat::{Chat, Output, Reasoning};
use gatewright_core::{Error, ErrorKind, Json, Result};
use serde::Deserialize;
use serde_json::Value;

use super::documents;
use super::message_decode::MessageIn;
use super::tools::{self, ToolIn};

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    /// The name of today, and the one before it.
    #[serde(alias = "schema")]
    json_schema: Option<Value>,
}

#[derive(Deserialize)]
struct Thinking {
    #[serde(rename = "type")]
    kind: String,
    token_budget: Option<u64>,
}

#[derive(Deserialize)]
struct CitationOptions {
    mode: Option<Value>,
}

/// Reads the request.
pub(super) fn request(body: &Json) -> Result<Chat> {
    let mut chat = Chat::default();
    let messages: Vec<MessageIn> = body.get("messages")?.ok_or_else(|| {
        Error::new(ErrorKind::InvalidRequest, "messages: field required").with_param("messages")
    })?;
    chat.turns = messages.into_iter().map(MessageIn::turn).collect::<Result<_>>()?;
    for key in body.keys() {
        field(body, &key, &mut chat)?;
    }
    let cited = cites(body)?;
    documents::read(body.get("documents")?.unwrap_or_default(), cited, &mut chat.turns);
    Ok(chat)
}

fn field(body: &Json, key: &str, chat: &mut Chat) -> Result<()> {
    let sampling = &mut chat.sampling;
    match key {
        "model" | "messages" | "documents" | "strict_tools" => {}
        "stream" => chat.stream = body.flag(key)?,
        "max_tokens" => chat.max_output = body.get(key)?,
        "stop_sequences" => chat.stop = body.get(key)?.unwrap_or_default(),
        "temperature" => sampling.temperature = body.get(key)?,
        "p" => sampling.top_p = body.get(key)?,
        // Nought is off.
        "k" => sampling.top_k = body.get(key)?.filter(|k| *k > 0),
        "frequency_penalty" => sampling.frequency_penalty = body.get(key)?,
        "presence_penalty" => sampling.presence_penalty = body.get(key)?,
        "seed" => sampling.seed = body.get(key)?,
        "logprobs" => sampling.logprobs = body.get(key)?,
        "tools" => {
            let strict = body.get("strict_tools")?;
            let tools: Vec<ToolIn> = body.get(key)?.unwrap_or_default();
            chat.tools = tools.into_iter().map(|tool| tool.read(strict)).collect();
        }
        "tool_choice" => chat.tool_choice = body.string(key)?.map(|word| tools::read_choice(&word)),
        "response_format" => chat.output = output(body.get(key)?),
        "thinking" => chat.reasoning = body.get(key)?.map(reasoning),
        _ => {
            if let Some(value) = body.get(key)? {
                chat.extra.insert(key.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// Other dialects want a name for a schema.
fn output(format: Option<Format>) -> Output {
    match format {
        Some(Format { kind, json_schema: Some(schema) }) if kind == "json_object" => {
            Output::JsonSchema { name: "response".to_owned(), description: None, schema, strict: None }
        }
        Some(Format { kind, .. }) if kind == "json_object" => Output::JsonObject,
        _ => Output::Text,
    }
}

fn reasoning(thinking: Thinking) -> Reasoning {
    let off = thinking.kind == "disabled";
    let adaptive = !off && thinking.token_budget.is_none();
    Reasoning { off, adaptive, budget: thinking.token_budget, ..Reasoning::default() }
}

/// Citations are given unless they are turned off.
fn cites(body: &Json) -> Result<bool> {
    let options: Option<CitationOptions> = body.get("citation_options")?;
    let mode = options.and_then(|options| options.mode);
    let off = [Value::from("DISABLED"), Value::from("OFF"), Value::Bool(false)];
    Ok(mode.is_none_or(|mode| !off.contains(&mode)))
}
