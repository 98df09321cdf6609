//! A client's request into the canonical conversation.

use std::borrow::Cow;

use gatewright_core::body::invalid;
use gatewright_core::chat::{Chat, Effort, Output, Reasoning, Role, Turn};
use gatewright_core::{Error, ErrorKind, Json, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::content_decode::parts;
use super::tools::ConfigIn;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct InferenceConfig {
    max_tokens: Option<u64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    stop_sequences: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutputConfig {
    text_format: Option<TextFormat>,
    effort: Option<String>,
}

#[derive(Deserialize)]
struct TextFormat {
    structure: Structure,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Structure {
    json_schema: Definition,
}

#[derive(Deserialize)]
struct Definition {
    name: Option<String>,
    description: Option<String>,
    schema: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Thinking {
    Enabled { budget_tokens: u64, display: Option<String> },
    Adaptive { display: Option<String> },
    Disabled,
}

#[derive(Deserialize)]
struct ServiceTier {
    #[serde(rename = "type")]
    kind: String,
}

/// Reads the request.
pub(super) fn request(body: &Json) -> Result<Chat> {
    let mut chat = Chat::default();
    if let Some(blocks) = body.get::<Vec<&RawValue>>("system")?.filter(|blocks| !blocks.is_empty()) {
        let parts = parts(blocks).map_err(|err| invalid("system", &err))?;
        chat.turns.push(Turn::new(Role::System, parts));
    }
    messages(body, &mut chat)?;
    for key in body.keys() {
        field(body, &key, &mut chat)?;
    }
    Ok(chat)
}

fn field(body: &Json, key: &str, chat: &mut Chat) -> Result<()> {
    match key {
        "messages" | "system" | "modelId" | "model" | "stream" => {}
        "inferenceConfig" => {
            let config: InferenceConfig = body.get(key)?.unwrap_or_default();
            chat.max_output = config.max_tokens;
            chat.sampling.temperature = config.temperature;
            chat.sampling.top_p = config.top_p;
            chat.stop = config.stop_sequences.unwrap_or_default();
        }
        "toolConfig" => {
            if let Some(config) = body.get::<ConfigIn<'_>>(key)? {
                (chat.tools, chat.tool_choice) = config.read().map_err(|err| invalid(key, &err))?;
            }
        }
        "outputConfig" => output_config(body, key, chat)?,
        "additionalModelRequestFields" => model_fields(body.get(key)?.unwrap_or_default(), chat),
        "serviceTier" => chat.service_tier = body.get::<ServiceTier>(key)?.map(|tier| tier.kind),
        _ => {
            if let Some(value) = body.get(key)? {
                chat.extra.insert(key.to_owned(), value);
            }
        }
    }
    Ok(())
}

fn messages(body: &Json, chat: &mut Chat) -> Result<()> {
    for message in body.get::<Vec<Message<'_>>>("messages")?.unwrap_or_default() {
        let role = match &*message.role {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            other => {
                let text = format!("messages: unknown role '{other}'");
                return Err(Error::new(ErrorKind::InvalidRequest, text).with_param("messages"));
            }
        };
        let parts = parts(message.content).map_err(|err| invalid("messages", &err))?;
        chat.turns.push(Turn::new(role, parts));
    }
    Ok(())
}

fn output_config(body: &Json, key: &str, chat: &mut Chat) -> Result<()> {
    let Some(OutputConfig { text_format, effort }) = body.get(key)? else { return Ok(()) };
    match effort.as_deref().map(|word| (word, Effort::parse(word))) {
        Some((_, Some(effort))) => chat.reasoning.get_or_insert_default().effort = Some(effort),
        // A word of tomorrow goes to the provider as it is.
        Some((word, None)) => {
            chat.extra.insert(key.to_owned(), serde_json::json!({ "effort": word }));
        }
        None => {}
    }
    let Some(TextFormat { structure: Structure { json_schema } }) = text_format else { return Ok(()) };
    let Definition { name, description, schema } = json_schema;
    let schema = serde_json::from_str(&schema).map_err(|err| invalid(key, &err))?;
    let name = name.unwrap_or_else(|| "response".to_owned());
    chat.output = Output::JsonSchema { name, description, schema, strict: Some(true) };
    Ok(())
}

/// What of them the canonical conversation has words for; the rest stands as it is.
fn model_fields(mut fields: Map<String, Value>, chat: &mut Chat) {
    let thinking = fields.get("thinking").and_then(|value| Thinking::deserialize(value).ok());
    if let Some(thinking) = thinking {
        fields.remove("thinking");
        reason(thinking, chat.reasoning.get_or_insert_default());
    }
    if let Some(top_k) = fields.get("top_k").and_then(Value::as_u64) {
        fields.remove("top_k");
        chat.sampling.top_k = Some(top_k);
    }
    let one = fields.get("tool_choice").and_then(|choice| choice.get("disable_parallel_tool_use")?.as_bool());
    if let Some(one) = one {
        fields.remove("tool_choice");
        chat.parallel_tool_calls = Some(!one);
    }
    if !fields.is_empty() {
        chat.extra.insert("additionalModelRequestFields".to_owned(), Value::Object(fields));
    }
}

fn reason(thinking: Thinking, reasoning: &mut Reasoning) {
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
