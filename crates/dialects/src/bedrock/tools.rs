//! Tools and the choice among them, read and written.

use std::borrow::Cow;

use gatewright_core::chat::{CacheMark, Chat, Extra, Tool, ToolChoice};
use gatewright_core::{Losses, ModelFacts};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::words::CachePoint;
use crate::anthropic::tools::{called, input_schema};

/// `toolConfig` on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config<'a> {
    pub(super) tools: Vec<ToolOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<Choice<'a>>,
}

/// One entry of its list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ToolOut<'a> {
    ToolSpec(Spec<'a>),
    CachePoint(CachePoint),
    #[serde(untagged)]
    Own(&'a Value),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Schema<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct Schema<'a> {
    json: Cow<'a, Value>,
}

/// `toolChoice`, read and written.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Choice<'a> {
    Auto {},
    Any {},
    Tool { name: Cow<'a, str> },
}

/// `toolConfig` as it comes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigIn<'a> {
    #[serde(default)]
    tools: Vec<Value>,
    #[serde(borrow)]
    tool_choice: Option<Choice<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecIn {
    name: String,
    description: Option<String>,
    input_schema: Option<SchemaIn>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct SchemaIn {
    json: Option<Value>,
}

// === impl Config ===

impl<'a> Config<'a> {
    /// Writes the tools that may be chosen. There is no word for "none of them": they are left out, unless the conversation
    /// has calls already, which the API takes beside tools only.
    pub(super) fn new(chat: &'a Chat, model: &ModelFacts, caches: bool, losses: &mut Losses) -> Self {
        let called = called(chat);
        let none = chat.tool_choice == Some(ToolChoice::None);
        losses.add_if(none && !called.is_empty() && !chat.tools.is_empty(), "tool_choice");
        let mut config = Self { tools: Vec::new(), tool_choice: None };
        if !none || !called.is_empty() {
            config.add(chat, model, caches, losses);
        }
        if !config.tools.iter().any(|tool| matches!(tool, ToolOut::ToolSpec(_))) {
            config.tools.extend(called.into_iter().map(|name| ToolOut::ToolSpec(Spec::nameless(name))));
        }
        config.tool_choice = Choice::new(chat, !config.tools.is_empty(), losses);
        config
    }

    fn add(&mut self, chat: &'a Chat, model: &ModelFacts, caches: bool, losses: &mut Losses) {
        let allowed = match &chat.tool_choice {
            Some(ToolChoice::Allowed { names, .. }) => Some(names),
            _ => None,
        };
        for tool in &chat.tools {
            match tool {
                Tool::Function { name, .. } if allowed.is_some_and(|names| !names.contains(name)) => {}
                Tool::Function { cache, .. } => {
                    self.tools.extend(Spec::new(tool, model, losses).map(ToolOut::ToolSpec));
                    match cache {
                        Some(mark) if caches => self.tools.push(ToolOut::CachePoint((*mark).into())),
                        Some(_) => losses.add("tools.cache_control"),
                        None => {}
                    }
                }
                Tool::Hosted(value) if value.get("systemTool").is_some() => {
                    self.tools.push(ToolOut::Own(value))
                }
                Tool::Hosted(value) => {
                    let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
                    losses.add(format!("tools.{kind}"));
                }
            }
        }
    }
}

impl<'a> Spec<'a> {
    /// A tool that stands for an answer.
    pub(super) fn plain(name: &'a str, description: &'a str, schema: &'a Value) -> Self {
        let input_schema = Schema { json: Cow::Borrowed(schema) };
        Self { name, description: Some(description), input_schema, strict: None }
    }

    /// A tool of which only its calls are known.
    fn nameless(name: &'a str) -> Self {
        let input_schema = Schema { json: Cow::Owned(json!({ "type": "object" })) };
        Self { name, description: None, input_schema, strict: None }
    }

    fn new(tool: &'a Tool, model: &ModelFacts, losses: &mut Losses) -> Option<Self> {
        let Tool::Function { name, description, parameters, strict, extra, .. } = tool else { return None };
        let may_be_strict = model.structured_output || *strict != Some(true);
        losses.add_if(!may_be_strict, "tools.strict");
        let strict = strict.filter(|strict| *strict && may_be_strict);
        for (key, value) in extra {
            if !value.is_null() {
                losses.add(format!("tools.{key}"));
            }
        }
        Some(Self {
            name,
            // The API refuses an empty one.
            description: description.as_deref().filter(|text| !text.is_empty()),
            input_schema: Schema { json: input_schema(parameters.as_ref(), strict == Some(true)) },
            strict,
        })
    }
}

impl<'a> Choice<'a> {
    fn new(chat: &'a Chat, has_tools: bool, losses: &mut Losses) -> Option<Self> {
        let choice = match chat.tool_choice.as_ref()? {
            ToolChoice::None => return None,
            ToolChoice::Auto | ToolChoice::Allowed { required: false, .. } => Self::Auto {},
            ToolChoice::Required | ToolChoice::Allowed { required: true, .. } => Self::Any {},
            ToolChoice::Function(name) => Self::Tool { name: name.into() },
        };
        losses.add_if(!has_tools && !matches!(choice, Self::Auto {}), "tool_choice");
        has_tools.then_some(choice)
    }
}

impl ConfigIn<'_> {
    /// The canonical tools and the choice among them. A cache point marks the tool before it.
    pub(super) fn read(self) -> serde_json::Result<(Vec<Tool>, Option<ToolChoice>)> {
        let mut tools = Vec::with_capacity(self.tools.len());
        for mut value in self.tools {
            let point = value.get("cachePoint").cloned();
            match (value.get_mut("toolSpec").map(Value::take), point) {
                (Some(spec), _) => tools.push(tool(spec)?),
                (None, Some(point)) => {
                    let point: CachePoint = serde_json::from_value(point)?;
                    if let Some(Tool::Function { cache, .. }) = tools.last_mut() {
                        *cache = Some(CacheMark::from(point));
                    }
                }
                (None, None) => tools.push(Tool::Hosted(value)),
            }
        }
        let choice = self.tool_choice.map(|choice| match choice {
            Choice::Auto {} => ToolChoice::Auto,
            Choice::Any {} => ToolChoice::Required,
            Choice::Tool { name } => ToolChoice::Function(name.into_owned()),
        });
        Ok((tools, choice))
    }
}

fn tool(spec: Value) -> serde_json::Result<Tool> {
    let SpecIn { name, description, input_schema, strict } = serde_json::from_value(spec)?;
    let parameters = input_schema.and_then(|schema| schema.json);
    Ok(Tool::Function { name, description, parameters, strict, cache: None, extra: Extra::new() })
}
