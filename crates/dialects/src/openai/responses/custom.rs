//! Custom tools: their input is any text. Every other dialect knows functions only, so that such a tool travels as a
//! function of one text, and its calls come back in the form that the client asked for.

use gatewright_core::Json;
use gatewright_core::chat::{Extra, Tool};
use serde_json::{Map, Value, json};

/// Where the tool keeps its own form.
pub(super) const FORM: &str = "custom";

/// The only field of the function that stands for it.
const INPUT: &str = "input";

/// A custom tool as a function.
pub(super) fn function(wire: Map<String, Value>) -> Tool {
    let text = |key: &str| wire.get(key).and_then(Value::as_str).map(str::to_owned);
    let (name, mut description) = (text("name").unwrap_or_default(), text("description"));
    // A grammar cannot be enforced elsewhere; the model is at least told.
    if let Some(grammar) = wire.get("format").and_then(|format| format.get("definition")?.as_str()) {
        let rule = format!("The input must follow this grammar:\n{grammar}");
        description = Some(description.map_or_else(|| rule.clone(), |told| format!("{told}\n\n{rule}")));
    }
    let parameters = json!({
        "type": "object",
        "properties": {INPUT: {"type": "string"}},
        "required": [INPUT],
        "additionalProperties": false,
    });
    let extra = Extra::from_iter([(FORM.to_owned(), Value::Object(wire))]);
    Tool::Function { name, description, parameters: Some(parameters), strict: None, cache: None, extra }
}

/// The function's arguments for an input.
pub(super) fn arguments(input: &str) -> String {
    json!({INPUT: input}).to_string()
}

/// The input that a function's arguments hold; arguments of another form are taken as they are.
pub(super) fn input(arguments: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(arguments).ok();
    let text = parsed.as_ref().and_then(|value| value.get(INPUT)?.as_str());
    text.unwrap_or(arguments).to_owned()
}

/// The names of a request's custom tools.
pub(super) fn names(asked: Option<&Json>) -> Vec<String> {
    let tools: Option<Vec<Value>> = asked.and_then(|asked| asked.get("tools").ok()?);
    let custom = tools
        .unwrap_or_default()
        .into_iter()
        .filter(|tool| tool.get("type").is_some_and(|kind| kind == FORM));
    custom.filter_map(|tool| tool.get("name")?.as_str().map(str::to_owned)).collect()
}
