//! A client's request into the canonical conversation.

use gatewright_core::body::invalid;
use gatewright_core::chat::{Chat, Effort, Extra, Output, Reasoning, Role, Tool, Turn};
use gatewright_core::{Error, ErrorKind, Json, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::tools::Calling;
use super::turns_decode::Turns;
use super::words;

/// `generationConfig`, in both spellings that the API takes.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Config {
    temperature: Option<f64>,
    #[serde(alias = "top_p")]
    top_p: Option<f64>,
    #[serde(alias = "top_k")]
    top_k: Option<f64>,
    #[serde(alias = "candidate_count")]
    candidate_count: Option<u32>,
    #[serde(alias = "max_output_tokens")]
    max_output_tokens: Option<u64>,
    #[serde(alias = "stop_sequences")]
    stop_sequences: Option<Vec<String>>,
    #[serde(alias = "presence_penalty")]
    presence_penalty: Option<f64>,
    #[serde(alias = "frequency_penalty")]
    frequency_penalty: Option<f64>,
    seed: Option<i64>,
    #[serde(alias = "response_logprobs")]
    response_logprobs: Option<bool>,
    logprobs: Option<u32>,
    #[serde(alias = "response_mime_type")]
    response_mime_type: Option<String>,
    #[serde(alias = "response_schema")]
    response_schema: Option<Value>,
    #[serde(alias = "response_json_schema", alias = "_responseJsonSchema")]
    response_json_schema: Option<Value>,
    #[serde(alias = "response_modalities")]
    response_modalities: Option<Vec<String>>,
    #[serde(alias = "thinking_config")]
    thinking_config: Option<Thinking>,
    #[serde(flatten)]
    extra: Extra,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Thinking {
    #[serde(alias = "include_thoughts")]
    include_thoughts: bool,
    #[serde(alias = "thinking_budget")]
    thinking_budget: Option<i64>,
    #[serde(alias = "thinking_level")]
    thinking_level: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ToolConfig {
    #[serde(alias = "function_calling_config")]
    function_calling_config: Option<Calling>,
    #[serde(flatten)]
    extra: Extra,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Function {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
    #[serde(alias = "parameters_json_schema")]
    parameters_json_schema: Option<Value>,
    #[serde(flatten)]
    extra: Extra,
}

/// Reads the request.
pub(super) fn request(body: &Json) -> Result<Chat> {
    let mut chat = Chat::default();
    // A count may ask for a whole request's tokens.
    for key in ["generateContentRequest", "generate_content_request"] {
        if let Some(inner) = body.raw(key) {
            let inner = Json::parse(inner.to_vec().into(), Default::default())?;
            return request(&inner);
        }
    }
    for key in ["systemInstruction", "system_instruction"] {
        if let Some(raw) = body.get::<&RawValue>(key)? {
            let parts = Turns::default().instruction(raw).map_err(|err| invalid(key, &err))?;
            if !parts.is_empty() {
                chat.turns.push(Turn::new(Role::System, parts));
            }
        }
    }
    let contents = body.get::<&RawValue>("contents")?.ok_or_else(|| {
        Error::new(ErrorKind::InvalidRequest, "contents: field required").with_param("contents")
    })?;
    Turns::default().read(contents, &mut chat.turns).map_err(|err| invalid("contents", &err))?;
    for key in body.keys() {
        field(body, &key, &mut chat)?;
    }
    Ok(chat)
}

fn field(body: &Json, key: &str, chat: &mut Chat) -> Result<()> {
    match key {
        "model" | "contents" | "systemInstruction" | "system_instruction" => {}
        "tools" => {
            let tools: Vec<Value> = body.get(key)?.unwrap_or_default();
            for entry in tools {
                tool(entry, chat).map_err(|err| invalid(key, &err))?;
            }
        }
        "toolConfig" | "tool_config" => {
            let Some(config) = body.get::<ToolConfig>(key)? else { return Ok(()) };
            chat.tool_choice = config.function_calling_config.and_then(Calling::read);
            if !config.extra.is_empty() {
                chat.extra.insert("toolConfig".to_owned(), Value::Object(config.extra));
            }
        }
        "generationConfig" | "generation_config" => {
            if let Some(config) = body.get::<Config>(key)? {
                settle(config, chat);
            }
        }
        "serviceTier" | "service_tier" => {
            chat.service_tier = body.string(key)?.map(|tier| words::tier_in(&tier).to_owned());
        }
        _ => {
            let name = match key {
                "safety_settings" => "safetySettings",
                "cached_content" => "cachedContent",
                other => other,
            };
            if let Some(value) = body.get(key)? {
                chat.extra.insert(name.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// One entry of `tools` may hold functions and a tool of the provider's.
fn tool(entry: Value, chat: &mut Chat) -> serde_json::Result<()> {
    let Value::Object(mut fields) = entry else { return Ok(()) };
    for key in ["functionDeclarations", "function_declarations"] {
        let Some(functions) = fields.shift_remove(key) else { continue };
        for function in serde_json::from_value::<Vec<Function>>(functions)? {
            let Function { name, description, parameters, parameters_json_schema, extra } = function;
            let parameters = parameters_json_schema.or_else(|| parameters.as_ref().map(json_schema));
            let extra = extra.into_iter().filter(|(_, value)| !value.is_null()).collect();
            chat.tools.push(Tool::Function {
                name,
                description,
                parameters,
                strict: None,
                cache: None,
                extra,
            });
        }
    }
    fields.retain(|_, value| !value.is_null());
    chat.tools.extend(
        fields.into_iter().map(|(key, value)| Tool::Hosted(Value::Object(Map::from_iter([(key, value)])))),
    );
    Ok(())
}

fn settle(config: Config, chat: &mut Chat) {
    let sampling = &mut chat.sampling;
    sampling.temperature = config.temperature;
    sampling.top_p = config.top_p;
    sampling.top_k = config.top_k.filter(|k| *k >= 0.0).map(|k| k as u64);
    sampling.presence_penalty = config.presence_penalty;
    sampling.frequency_penalty = config.frequency_penalty;
    sampling.seed = config.seed;
    sampling.logprobs = config.response_logprobs;
    sampling.top_logprobs = config.logprobs;
    chat.n = config.candidate_count;
    chat.max_output = config.max_output_tokens;
    chat.stop = config.stop_sequences.unwrap_or_default();
    let schema = config.response_json_schema.or_else(|| config.response_schema.as_ref().map(json_schema));
    chat.output = match (config.response_mime_type.as_deref(), schema) {
        (Some("application/json"), Some(schema)) => {
            Output::JsonSchema { name: "response".to_owned(), description: None, schema, strict: None }
        }
        (Some("application/json"), None) => Output::JsonObject,
        _ => Output::Text,
    };
    chat.reasoning = config.thinking_config.map(reasoning);
    chat.extra.extend(modalities(config.response_modalities));
    let extra: Extra = config.extra.into_iter().filter(|(_, value)| !value.is_null()).collect();
    if !extra.is_empty() {
        chat.extra.insert("generationConfig".to_owned(), Value::Object(extra));
    }
}

fn modalities(list: Option<Vec<String>>) -> Option<(String, Value)> {
    let words: Vec<String> = list?.iter().map(|word| word.to_ascii_lowercase()).collect();
    let more = words.iter().any(|word| word != "text");
    more.then(|| ("modalities".to_owned(), words.into()))
}

fn reasoning(thinking: Thinking) -> Reasoning {
    let effort = thinking.thinking_level.and_then(|level| Effort::parse(&level.to_ascii_lowercase()));
    let budget = thinking.thinking_budget.and_then(|budget| u64::try_from(budget).ok()).filter(|n| *n > 0);
    Reasoning {
        effort,
        budget,
        adaptive: thinking.thinking_budget.is_some_and(|budget| budget < 0),
        off: thinking.thinking_budget == Some(0),
        display: (!thinking.include_thoughts).then(|| "omitted".to_owned()),
    }
}

/// The API's own form of a schema (`OBJECT`, `nullable`) as JSON schema.
fn json_schema(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut out = Map::new();
    for (key, value) in fields {
        let value = match (key.as_str(), value) {
            ("type", Value::String(kind)) => kind.to_ascii_lowercase().into(),
            ("items", value) => json_schema(value),
            ("anyOf" | "any_of", Value::Array(list)) => list.iter().map(json_schema).collect(),
            ("properties", Value::Object(map)) => {
                Value::Object(map.iter().map(|(name, schema)| (name.clone(), json_schema(schema))).collect())
            }
            // Whole numbers come as text, as in all of Google's JSON.
            ("minItems" | "maxItems" | "minLength" | "maxLength", Value::String(number)) => {
                number.parse::<u64>().map_or_else(|_| value.clone(), Value::from)
            }
            ("nullable" | "example" | "propertyOrdering" | "property_ordering", _) => continue,
            (_, value) => value.clone(),
        };
        out.insert(if key == "any_of" { "anyOf".to_owned() } else { key.clone() }, value);
    }
    if fields.get("nullable") == Some(&Value::Bool(true))
        && let Some(Value::String(kind)) = out.get("type")
    {
        let kinds = Value::from(vec![kind.clone(), "null".to_owned()]);
        out.insert("type".to_owned(), kinds);
    }
    Value::Object(out)
}
