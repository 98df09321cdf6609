//! Tools and the choice among them, read and written.

use std::borrow::Cow;

use gatewright_core::Losses;
use gatewright_core::chat::{Chat, Extra, Tool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a request says of tools.
pub(super) struct Tools<'a> {
    /// `tools`.
    pub(super) list: Vec<ToolOut<'a>>,
    /// `tool_choice`.
    pub(super) choice: Option<&'static str>,
    /// `strict_tools`.
    pub(super) strict: Option<bool>,
}

/// One tool on the wire.
#[derive(Serialize)]
pub(super) struct ToolOut<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionOut<'a>,
}

#[derive(Serialize)]
struct FunctionOut<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Cow<'a, Value>,
}

#[derive(Deserialize)]
pub(super) struct ToolIn {
    function: FunctionIn,
}

#[derive(Deserialize)]
struct FunctionIn {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
}

/// The choice that forces a tool.
const REQUIRED: &str = "REQUIRED";

// === impl Tools ===

impl<'a> Tools<'a> {
    /// Writes what a conversation says of them. The dialect cannot force one tool of several, nor allow some of them:
    /// the others are not offered.
    pub(super) fn new(chat: &'a Chat, losses: &mut Losses) -> Self {
        losses
            .add_if(chat.parallel_tool_calls == Some(false) && !chat.tools.is_empty(), "parallel_tool_calls");
        let offered = |name: &str| match &chat.tool_choice {
            Some(ToolChoice::Function(only)) => name == only,
            Some(ToolChoice::Allowed { names, .. }) => names.iter().any(|allowed| allowed == name),
            _ => true,
        };
        let (mut list, mut wants_strict, mut may_be_strict) = (Vec::new(), false, true);
        for tool in &chat.tools {
            match tool {
                Tool::Function { name, .. } if !offered(name) => {}
                Tool::Function { name, description, parameters, strict, cache, extra } => {
                    wants_strict |= *strict == Some(true);
                    may_be_strict &= *strict == Some(true) && parameters.as_ref().is_some_and(requires_any);
                    losses.add_if(cache.is_some(), "tools.cache_control");
                    extra.keys().for_each(|key| losses.add(format!("tools.{key}")));
                    list.push(ToolOut::new(name, description.as_deref(), parameters.as_ref()));
                }
                Tool::Hosted(value) => {
                    let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
                    losses.add(format!("tools.{kind}"));
                }
            }
        }
        // One switch stands for all tools, and it refuses those that can be called without arguments.
        losses.add_if(wants_strict && !may_be_strict, "tools.strict");
        let choice = choice(chat.tool_choice.as_ref(), !list.is_empty(), losses);
        Self { list, choice, strict: (wants_strict && may_be_strict).then_some(true) }
    }
}

impl<'a> ToolOut<'a> {
    fn new(name: &'a str, description: Option<&'a str>, parameters: Option<&'a Value>) -> Self {
        let parameters = match parameters {
            Some(schema @ Value::Object(_)) => Cow::Borrowed(schema),
            _ => Cow::Owned(json!({"type": "object", "properties": {}})),
        };
        Self { kind: "function", function: FunctionOut { name, description, parameters } }
    }
}

impl ToolIn {
    /// The canonical tool.
    pub(super) fn read(self, strict: Option<bool>) -> Tool {
        let FunctionIn { name, description, parameters } = self.function;
        Tool::Function { name, description, parameters, strict, cache: None, extra: Extra::new() }
    }
}

/// Reads the choice; a word that is not known leaves it to the model.
pub(super) fn read_choice(word: &str) -> ToolChoice {
    match word {
        REQUIRED => ToolChoice::Required,
        "NONE" => ToolChoice::None,
        _ => ToolChoice::Auto,
    }
}

fn choice(choice: Option<&ToolChoice>, has_tools: bool, losses: &mut Losses) -> Option<&'static str> {
    let word = match choice? {
        ToolChoice::Auto | ToolChoice::Allowed { required: false, .. } => return None,
        // Without tools nothing can be called.
        ToolChoice::None => return has_tools.then_some("NONE"),
        ToolChoice::Required | ToolChoice::Function(_) | ToolChoice::Allowed { required: true, .. } => {
            REQUIRED
        }
    };
    losses.add_if(!has_tools, "tool_choice");
    has_tools.then_some(word)
}

fn requires_any(schema: &Value) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|required| !required.is_empty())
}
