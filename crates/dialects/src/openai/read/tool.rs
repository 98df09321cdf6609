//! Tools, calls of them, and which one must be called.

use gatewright_core::chat::{Tool, ToolCall, ToolChoice};
use serde_json::{Map, Value};

use super::{arguments, extra_of, part, take_object, take_string};
use crate::signature;

/// A tool of the request. What is no function stays as it is.
pub(super) fn tool(value: Value) -> Tool {
    let Value::Object(mut object) = value else { return Tool::Hosted(value) };
    if object.get("type").and_then(Value::as_str).is_some_and(|kind| kind != "function") {
        return Tool::Hosted(Value::Object(object));
    }
    let Some(mut inner) = take_object(&mut object, "function") else {
        return Tool::Hosted(Value::Object(object));
    };
    object.shift_remove("type");
    let cache = part::take_mark(&mut object).or_else(|| part::take_mark(&mut inner));
    let tool = function(inner);
    match tool {
        Tool::Function { name, description, parameters, strict, mut extra, .. } => {
            extra.append(&mut extra_of(object));
            Tool::Function { name, description, parameters, strict, cache, extra }
        }
        hosted @ Tool::Hosted(_) => hosted,
    }
}

/// A function's description, also of the older `functions` field.
pub(super) fn function(mut inner: Map<String, Value>) -> Tool {
    let name = take_string(&mut inner, "name").unwrap_or_default();
    let description = take_string(&mut inner, "description");
    let parameters = inner.shift_remove("parameters").filter(|value| !value.is_null());
    let strict = inner.shift_remove("strict").and_then(|value| value.as_bool());
    Tool::Function { name, description, parameters, strict, cache: None, extra: extra_of(inner) }
}

/// `tool_choice` in all its forms, those of the older `function_call` and of neighbouring dialects included.
pub(in crate::openai) fn choice(value: &Value) -> Option<ToolChoice> {
    if let Value::String(word) = value {
        return word_choice(word);
    }
    let name = |value: &Value| value.get("name").and_then(Value::as_str).map(str::to_owned);
    let inner = |key: &str| value.get(key).and_then(name);
    match value.get("type").and_then(Value::as_str) {
        Some("allowed_tools") => allowed(value.get("allowed_tools").unwrap_or(value)),
        Some("function") => inner("function").or_else(|| name(value)).map(ToolChoice::Function),
        Some("custom") => inner("custom").or_else(|| name(value)).map(ToolChoice::Function),
        Some("tool") => name(value).map(ToolChoice::Function),
        Some(word) => word_choice(word),
        None => inner("function").or_else(|| name(value)).map(ToolChoice::Function),
    }
}

/// A call in a message of the model.
pub(super) fn call(value: Value) -> Option<ToolCall> {
    let Value::Object(mut object) = value else { return None };
    let id = take_string(&mut object, "id").unwrap_or_default();
    let cache = part::take_mark(&mut object);
    if let Some(mut inner) = take_object(&mut object, "custom") {
        let name = take_string(&mut inner, "name").unwrap_or_default();
        let arguments = arguments(inner.shift_remove("input"));
        return Some(ToolCall { id, name, arguments, cache });
    }
    let mut inner = take_object(&mut object, "function")?;
    let name = take_string(&mut inner, "name").unwrap_or_default();
    Some(ToolCall { id, name, arguments: arguments(inner.shift_remove("arguments")), cache })
}

/// The signature that Gemini gave a call, where LiteLLM's clients keep it.
pub(super) fn signature(call: &Value) -> Option<String> {
    let signature = call.get("provider_specific_fields")?.get("thought_signature")?.as_str()?;
    (!signature.is_empty()).then(|| signature::of_gemini(signature))
}

fn word_choice(word: &str) -> Option<ToolChoice> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" | "any" => Some(ToolChoice::Required),
        _ => None,
    }
}

fn allowed(value: &Value) -> Option<ToolChoice> {
    let tools = value.get("tools")?.as_array()?;
    let names = tools
        .iter()
        .filter_map(|tool| {
            let inner = tool.get("function").or_else(|| tool.get("custom")).unwrap_or(tool);
            inner.get("name")?.as_str().map(str::to_owned)
        })
        .collect();
    let required = value.get("mode").and_then(Value::as_str) == Some("required");
    Some(ToolChoice::Allowed { names, required })
}
