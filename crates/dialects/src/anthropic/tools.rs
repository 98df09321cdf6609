//! Tools and the choice among them, read and written.

use std::borrow::Cow;

use gatewright_core::chat::{CacheMark, Chat, Extra, Part, Tool, ToolChoice};
use gatewright_core::{Losses, ModelFacts};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::schema;
use super::words::{self, CacheControl};

/// What the API knows of a function beside the common fields.
const OWN_FIELDS: [&str; 4] = ["allowed_callers", "defer_loading", "eager_input_streaming", "input_examples"];

/// One tool on the wire.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ToolOut<'a> {
    Function(Function<'a>),
    Hosted(Cow<'a, Value>),
}

/// A function on the wire.
#[derive(Serialize)]
pub(super) struct Function<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<&'a str>,
    /// The JSON schema of its arguments.
    pub(super) input_schema: Cow<'a, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
    #[serde(flatten)]
    extra: OwnFields<'a>,
}

/// Fields of [`OWN_FIELDS`].
type OwnFields<'a> = std::collections::BTreeMap<&'a str, &'a Value>;

/// `tool_choice`, read and written.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Choice<'a> {
    Auto {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disable_parallel_tool_use: Option<bool>,
    },
    Any {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disable_parallel_tool_use: Option<bool>,
    },
    Tool {
        name: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disable_parallel_tool_use: Option<bool>,
    },
    None,
}

#[derive(Deserialize)]
struct FunctionIn {
    name: String,
    description: Option<String>,
    input_schema: Option<Value>,
    strict: Option<bool>,
    cache_control: Option<CacheControl>,
    #[serde(rename = "type")]
    _kind: Option<String>,
    #[serde(flatten)]
    extra: Extra,
}

/// Reads one tool.
pub(super) fn tool(value: Value) -> serde_json::Result<Tool> {
    let is_hosted = value.get("type").and_then(Value::as_str).is_some_and(|kind| kind != "custom");
    if is_hosted {
        return Ok(Tool::Hosted(value));
    }
    let function: FunctionIn = serde_json::from_value(value)?;
    Ok(Tool::Function {
        name: function.name,
        description: function.description,
        parameters: function.input_schema,
        strict: function.strict,
        cache: function.cache_control.map(CacheMark::from),
        extra: function.extra,
    })
}

/// Writes the tools that may be chosen.
pub(super) fn tools<'a>(chat: &'a Chat, model: &ModelFacts, losses: &mut Losses) -> Vec<ToolOut<'a>> {
    let allowed = match &chat.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names),
        _ => None,
    };
    let mut out = Vec::with_capacity(chat.tools.len());
    for tool in &chat.tools {
        match tool {
            Tool::Function { name, .. } if allowed.is_some_and(|names| !names.contains(name)) => {}
            Tool::Function { .. } => out.extend(Function::new(tool, model, losses).map(ToolOut::Function)),
            Tool::Hosted(value) if words::is_own_tool(value) => {
                out.push(ToolOut::Hosted(Cow::Borrowed(value)))
            }
            Tool::Hosted(value) => {
                let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
                losses.add(format!("tools.{kind}"));
            }
        }
    }
    if let Some(options) = chat.extra.get("web_search_options").filter(|options| options.is_object()) {
        out.push(ToolOut::Hosted(Cow::Owned(web_search(options))));
    }
    out
}

impl<'a> Function<'a> {
    /// A function without marks.
    pub(super) fn plain(name: &'a str, description: Option<&'a str>, input_schema: &'a Value) -> Self {
        Self {
            name,
            description,
            input_schema: Cow::Borrowed(input_schema),
            strict: None,
            cache_control: None,
            extra: OwnFields::new(),
        }
    }

    /// A tool of which only its calls are known.
    fn unknown(name: &'a str) -> Self {
        Self {
            name,
            description: None,
            input_schema: Cow::Owned(json!({ "type": "object" })),
            strict: None,
            cache_control: None,
            extra: OwnFields::new(),
        }
    }

    fn new(tool: &'a Tool, model: &ModelFacts, losses: &mut Losses) -> Option<Self> {
        let Tool::Function { name, description, parameters, strict, cache, extra } = tool else {
            return None;
        };
        let may_be_strict = model.structured_output || *strict != Some(true);
        losses.add_if(!may_be_strict, "tools.strict");
        let strict = strict.filter(|_| may_be_strict);
        for (key, value) in extra {
            if !value.is_null() && !OWN_FIELDS.contains(&key.as_str()) {
                losses.add(format!("tools.{key}"));
            }
        }
        let own = extra.iter().filter(|(key, _)| OWN_FIELDS.contains(&key.as_str()));
        Some(Self {
            name,
            description: description.as_deref(),
            input_schema: input_schema(parameters.as_ref(), strict == Some(true)),
            strict,
            cache_control: cache.map(CacheControl::from),
            extra: own.map(|(key, value)| (key.as_str(), value)).collect(),
        })
    }
}

impl<'a> Choice<'a> {
    /// Writes the choice; `None` where there is nothing to say.
    pub(super) fn new(chat: &'a Chat, has_tools: bool, losses: &mut Losses) -> Option<Self> {
        if !has_tools {
            let wanted = !matches!(chat.tool_choice, None | Some(ToolChoice::None | ToolChoice::Auto));
            losses.add_if(wanted, "tool_choice");
            return None;
        }
        let disable_parallel_tool_use = chat.parallel_tool_calls.map(|parallel| !parallel);
        Some(match &chat.tool_choice {
            None if chat.parallel_tool_calls == Some(false) => Self::Auto { disable_parallel_tool_use },
            None => return None,
            Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => {
                Self::Auto { disable_parallel_tool_use }
            }
            Some(ToolChoice::None) => Self::None,
            Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => {
                Self::Any { disable_parallel_tool_use }
            }
            Some(ToolChoice::Function(name)) => Self::Tool { name: name.into(), disable_parallel_tool_use },
        })
    }

    /// The canonical choice, and whether several tools may be asked for at once.
    pub(super) fn read(self) -> (ToolChoice, Option<bool>) {
        match self {
            Self::Auto { disable_parallel_tool_use: one } => (ToolChoice::Auto, one.map(|one| !one)),
            Self::Any { disable_parallel_tool_use: one } => (ToolChoice::Required, one.map(|one| !one)),
            Self::Tool { name, disable_parallel_tool_use: one } => {
                (ToolChoice::Function(name.into_owned()), one.map(|one| !one))
            }
            Self::None => (ToolChoice::None, None),
        }
    }
}

/// Where a request has no tools but its conversation has calls of some, which the API refuses ("must define tools"), these
/// are named, and may not be called again.
pub(super) fn recall<'a>(
    chat: &'a Chat,
    tools: &mut Vec<ToolOut<'a>>,
    choice: Option<Choice<'a>>,
) -> Option<Choice<'a>> {
    let named = if tools.is_empty() { called(chat) } else { Vec::new() };
    if named.is_empty() {
        return choice;
    }
    tools.extend(named.into_iter().map(|name| ToolOut::Function(Function::unknown(name))));
    Some(Choice::None)
}

/// The tools that were called so far, each once.
pub(crate) fn called(chat: &Chat) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for part in chat.turns.iter().flat_map(|turn| &turn.parts) {
        if let Part::ToolCall(call) = part
            && !names.contains(&call.name.as_str())
        {
            names.push(&call.name);
        }
    }
    names
}

/// The API demands an object, also of a function without arguments; and of a strict one, that it is closed.
pub(crate) fn input_schema(parameters: Option<&Value>, strict: bool) -> Cow<'_, Value> {
    let schema = match parameters {
        Some(schema) if schema::is_object_schema(schema) => Cow::Borrowed(schema),
        Some(Value::Object(fields)) => {
            let mut fields = fields.clone();
            fields.insert("type".to_owned(), "object".into());
            Cow::Owned(Value::Object(fields))
        }
        _ => Cow::Owned(json!({ "type": "object", "properties": {} })),
    };
    if strict { Cow::Owned(schema::restricted(&schema)) } else { schema }
}

/// OpenAI's search as Anthropic's, with LiteLLM's number of searches for each size.
fn web_search(options: &Value) -> Value {
    let max_uses = match options.get("search_context_size").and_then(Value::as_str) {
        Some("low") => 1,
        Some("high") => 10,
        _ => 5,
    };
    let mut tool = json!({ "type": "web_search_20250305", "name": "web_search", "max_uses": max_uses });
    if let Some(Value::Object(place)) =
        options.get("user_location").and_then(|place| place.get("approximate"))
        && let Value::Object(tool) = &mut tool
    {
        let mut place = place.clone();
        place.insert("type".to_owned(), "approximate".into());
        tool.insert("user_location".to_owned(), Value::Object(place));
    }
    tool
}
