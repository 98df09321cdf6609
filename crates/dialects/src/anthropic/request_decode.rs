//! A client's request into the canonical conversation.

use std::borrow::Cow;

use gatewright_core::body::invalid;
use gatewright_core::chat::{Chat, Effort, Extra, Output, Reasoning, Role, Turn};
use gatewright_core::{Error, ErrorKind, Json, Result};
use serde::Deserialize;
use serde_json::Value;

use super::content_decode::Parts;
use super::schema;
use super::tools::{self, Choice};

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    content: Parts,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Thinking {
    Enabled { budget_tokens: u64, display: Option<String> },
    Adaptive { display: Option<String> },
    Disabled,
}

#[derive(Deserialize)]
struct OutputConfig {
    effort: Option<String>,
    format: Option<Format>,
    #[serde(flatten)]
    extra: Extra,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format {
    JsonSchema { schema: Value },
}

#[derive(Deserialize)]
struct Metadata {
    user_id: Option<String>,
    #[serde(flatten)]
    extra: Extra,
}

/// Reads the request.
pub(super) fn request(body: &Json) -> Result<Chat> {
    let mut chat = Chat::default();
    system(body, &mut chat)?;
    messages(body, &mut chat)?;
    for key in body.keys() {
        field(body, &key, &mut chat)?;
    }
    Ok(chat)
}

fn field(body: &Json, key: &str, chat: &mut Chat) -> Result<()> {
    match key {
        "model" | "system" | "messages" => {}
        "max_tokens" => chat.max_output = body.get(key)?,
        "stream" => chat.stream = body.flag(key)?,
        "temperature" => chat.sampling.temperature = body.get(key)?,
        "top_p" => chat.sampling.top_p = body.get(key)?,
        "top_k" => chat.sampling.top_k = body.get(key)?,
        "stop_sequences" => chat.stop = body.get(key)?.unwrap_or_default(),
        "tools" => {
            let tools: Vec<Value> = body.get(key)?.unwrap_or_default();
            chat.tools = tools
                .into_iter()
                .map(tools::tool)
                .collect::<Result<_, _>>()
                .map_err(|err| invalid(key, &err))?;
        }
        "tool_choice" => {
            if let Some(choice) = body.get::<Choice<'_>>(key)? {
                let (choice, parallel) = choice.read();
                chat.tool_choice = Some(choice);
                chat.parallel_tool_calls = parallel;
            }
        }
        "thinking" => thinking(body.get(key)?, chat),
        "output_config" => output_config(body.get(key)?, chat)?,
        // The older name of `output_config.format`.
        "output_format" => format(body.get(key)?, chat),
        "metadata" => metadata(body.get(key)?, chat),
        "service_tier" => {
            chat.service_tier = body.string(key)?.map(|tier| match &*tier {
                "standard_only" => "default".to_owned(),
                other => other.to_owned(),
            });
        }
        _ => {
            if let Some(value) = body.get(key)? {
                chat.extra.insert(key.to_owned(), value);
            }
        }
    }
    Ok(())
}

fn system(body: &Json, chat: &mut Chat) -> Result<()> {
    let Some(Parts(parts)) = body.get("system")? else { return Ok(()) };
    if !parts.is_empty() {
        chat.turns.push(Turn::new(Role::System, parts));
    }
    Ok(())
}

fn messages(body: &Json, chat: &mut Chat) -> Result<()> {
    let Some(messages) = body.get::<Vec<Message<'_>>>("messages")? else {
        return Err(Error::new(ErrorKind::InvalidRequest, "messages: field required").with_param("messages"));
    };
    for message in messages {
        let role = match &*message.role {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            other => {
                let text = format!("messages: unknown role '{other}'");
                return Err(Error::new(ErrorKind::InvalidRequest, text).with_param("messages"));
            }
        };
        chat.turns.push(Turn::new(role, message.content.0));
    }
    Ok(())
}

fn thinking(thinking: Option<Thinking>, chat: &mut Chat) {
    let Some(thinking) = thinking else { return };
    let reasoning = chat.reasoning.get_or_insert_default();
    match thinking {
        Thinking::Enabled { budget_tokens, display } => {
            reasoning.budget = Some(budget_tokens);
            reasoning.display = display;
        }
        Thinking::Adaptive { display } => {
            reasoning.adaptive = true;
            reasoning.display = display;
        }
        Thinking::Disabled => reasoning.off = true,
    }
}

fn output_config(config: Option<OutputConfig>, chat: &mut Chat) -> Result<()> {
    let Some(mut config) = config else { return Ok(()) };
    match config.effort.as_deref().map(|word| (word, Effort::parse(word))) {
        Some((_, Some(effort))) => {
            chat.reasoning.get_or_insert_with(Reasoning::default).effort = Some(effort);
        }
        // A word of tomorrow goes to the provider as it is.
        Some((word, None)) => drop(config.extra.insert("effort".to_owned(), word.into())),
        None => {}
    }
    format(config.format, chat);
    if !config.extra.is_empty() {
        chat.extra.insert("output_config".to_owned(), Value::Object(config.extra));
    }
    Ok(())
}

/// Other dialects want a name, and a promise to follow the schema that not every schema can be given.
fn format(format: Option<Format>, chat: &mut Chat) {
    let Some(Format::JsonSchema { schema }) = format else { return };
    let strict = schema::is_strict(&schema).then_some(true);
    chat.output = Output::JsonSchema { name: "response".to_owned(), description: None, schema, strict };
}

fn metadata(metadata: Option<Metadata>, chat: &mut Chat) {
    let Some(metadata) = metadata else { return };
    chat.user = metadata.user_id;
    if !metadata.extra.is_empty() {
        chat.extra.insert("metadata".to_owned(), Value::Object(metadata.extra));
    }
}
