//! Tools, and which of them must be called.

use std::borrow::Cow;

use gatewright_core::Losses;
use gatewright_core::chat::{Chat, Tool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::schema;

/// Tools that the service runs itself, by the names of their fields.
const HOSTED: [&str; 12] = [
    "googleSearch",
    "googleSearchRetrieval",
    "codeExecution",
    "urlContext",
    "googleMaps",
    "enterpriseWebSearch",
    "computerUse",
    "fileSearch",
    "retrieval",
    "google_search",
    "code_execution",
    "url_context",
];

/// One entry of `tools`.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ToolOut<'a> {
    Functions {
        #[serde(rename = "functionDeclarations")]
        functions: Vec<Function<'a>>,
    },
    Hosted(Cow<'a, Value>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<Value>,
}

/// `toolConfig.functionCallingConfig`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Calling {
    #[serde(default)]
    mode: String,
    #[serde(default, alias = "allowed_function_names", skip_serializing_if = "Vec::is_empty")]
    allowed_function_names: Vec<String>,
}

/// All tools.
pub(super) fn tools<'a>(chat: &'a Chat, losses: &mut Losses) -> Vec<ToolOut<'a>> {
    let mut functions = Vec::new();
    let mut hosted: Vec<Cow<'a, Value>> = Vec::new();
    for tool in &chat.tools {
        match tool {
            Tool::Function { name, description, parameters, extra, .. } => {
                extra.keys().for_each(|key| losses.add(format!("tools.{key}")));
                functions.push(Function {
                    name,
                    description: description.as_deref(),
                    parameters_json_schema: parameters.as_ref().map(schema::restricted),
                });
            }
            Tool::Hosted(value) => match own(value) {
                Some(own) => hosted.push(own),
                None => losses.add("tools"),
            },
        }
    }
    let searches = chat.extra.get("web_search_options").is_some_and(Value::is_object);
    if searches && !hosted.iter().any(|tool| tool.get("googleSearch").is_some()) {
        hosted.push(Cow::Owned(json!({"googleSearch": {}})));
    }
    let functions = (!functions.is_empty()).then_some(ToolOut::Functions { functions });
    functions.into_iter().chain(hosted.into_iter().map(ToolOut::Hosted)).collect()
}

/// A tool of the provider's, in this dialect's words; those of other dialects that do the same are understood.
fn own(value: &Value) -> Option<Cow<'_, Value>> {
    if HOSTED.iter().any(|key| value.get(key).is_some()) {
        return Some(Cow::Borrowed(value));
    }
    let kind = value.get("type").and_then(Value::as_str)?;
    let same =
        [("web_search", "googleSearch"), ("code_execution", "codeExecution"), ("web_fetch", "urlContext")];
    let (_, key) = same.into_iter().find(|(theirs, _)| kind.starts_with(theirs))?;
    Some(Cow::Owned(json!({key: {}})))
}

// === impl Calling ===

impl Calling {
    /// What is asked for; `None` where that is what happens anyway.
    pub(super) fn new(chat: &Chat) -> Option<Self> {
        if !chat.tools.iter().any(|tool| matches!(tool, Tool::Function { .. })) {
            return None;
        }
        let calling = |mode: &str, names: &[String]| Self {
            mode: mode.to_owned(),
            allowed_function_names: names.to_vec(),
        };
        Some(match chat.tool_choice.as_ref()? {
            ToolChoice::Auto => calling("AUTO", &[]),
            ToolChoice::None => calling("NONE", &[]),
            ToolChoice::Required => calling("ANY", &[]),
            ToolChoice::Function(name) => calling("ANY", std::slice::from_ref(name)),
            ToolChoice::Allowed { names, required: true } => calling("ANY", names),
            // The only mode beside `ANY` that takes names.
            ToolChoice::Allowed { names, required: false } => calling("VALIDATED", names),
        })
    }

    /// What a client asks for.
    pub(super) fn read(self) -> Option<ToolChoice> {
        let Self { mode, allowed_function_names: mut names } = self;
        Some(match (mode.to_ascii_uppercase().as_str(), names.len()) {
            ("AUTO", _) => ToolChoice::Auto,
            ("NONE", _) => ToolChoice::None,
            ("ANY", 0) => ToolChoice::Required,
            ("ANY", 1) => ToolChoice::Function(names.remove(0)),
            ("ANY", _) => ToolChoice::Allowed { names, required: true },
            ("VALIDATED", 1..) => ToolChoice::Allowed { names, required: false },
            ("VALIDATED", 0) => ToolChoice::Auto,
            _ => return None,
        })
    }
}
