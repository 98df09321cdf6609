//! Tools and which of them must be called.

use gatewright_core::Losses;
use gatewright_core::chat::{Chat, Extra, Tool, ToolChoice};
use serde_json::{Map, Value, json};

use super::custom;

/// The chat dialect's field for a search of the web, which every other dialect reads.
const SEARCH: &str = "web_search_options";

/// Sorts a request's tools into the conversation.
pub(super) fn read(tools: Vec<Value>, chat: &mut Chat) {
    for tool in tools {
        let Value::Object(mut wire) = tool else { continue };
        let kind = wire.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind.as_str() {
            "function" => chat.tools.push(function(wire)),
            custom::FORM => chat.tools.push(custom::function(wire)),
            "web_search" | "web_search_preview" => {
                wire.shift_remove("type");
                chat.extra.insert(SEARCH.to_owned(), Value::Object(options(wire)));
            }
            _ => chat.tools.push(Tool::Hosted(Value::Object(wire))),
        }
    }
}

fn function(mut wire: Map<String, Value>) -> Tool {
    wire.shift_remove("type");
    let mut text = |key: &str| match wire.shift_remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (name, description) = (text("name").unwrap_or_default(), text("description"));
    let parameters = wire.shift_remove("parameters").filter(|schema| !schema.is_null());
    let strict = wire.shift_remove("strict").and_then(|strict| strict.as_bool());
    wire.retain(|_, value| !value.is_null());
    Tool::Function { name, description, parameters, strict, cache: None, extra: wire }
}

/// The user's place has one more level in the chat dialect.
fn options(mut wire: Map<String, Value>) -> Map<String, Value> {
    wire.retain(|_, value| !value.is_null());
    if let Some(Value::Object(mut place)) = wire.shift_remove("user_location") {
        place.shift_remove("type");
        wire.insert("user_location".to_owned(), json!({"type": "approximate", "approximate": place}));
    }
    wire
}

/// All tools for an upstream.
pub(super) fn write(chat: &Chat, losses: &mut Losses) -> Vec<Value> {
    let mut tools: Vec<Value> = chat.tools.iter().filter_map(|tool| written(tool, losses)).collect();
    if let Some(Value::Object(options)) = chat.extra.get(SEARCH) {
        tools.push(search(options));
    }
    tools
}

fn written(tool: &Tool, losses: &mut Losses) -> Option<Value> {
    let (name, description, parameters, strict, cache, extra) = match tool {
        Tool::Function { name, description, parameters, strict, cache, extra } => {
            (name, description, parameters, strict, cache, extra)
        }
        Tool::Hosted(value) => return hosted(value, losses),
    };
    if let Some(own) = extra.get(custom::FORM) {
        return Some(own.clone());
    }
    losses.add_if(cache.is_some(), "tools.cache_control");
    report(extra, losses);
    let mut wire = Map::new();
    wire.insert("type".into(), "function".into());
    wire.insert("name".into(), name.as_str().into());
    wire.extend(description.as_deref().map(|text| ("description".to_owned(), text.into())));
    wire.insert("parameters".into(), parameters.clone().unwrap_or(Value::Null));
    // Functions are strict here unless the request says otherwise, and elsewhere only where it says so.
    wire.insert("strict".into(), strict.unwrap_or(false).into());
    Some(Value::Object(wire))
}

fn report(extra: &Extra, losses: &mut Losses) {
    for key in extra.keys() {
        losses.add(format!("tools.{key}"));
    }
}

/// Of the tools that a provider runs, Anthropic's search of the web has a counterpart, and the chat dialect's custom
/// tools have.
fn hosted(value: &Value, losses: &mut Losses) -> Option<Value> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    if let Some(Value::Object(inner)) = value.get("custom").filter(|_| kind == "custom") {
        let mut wire = Map::from_iter([("type".to_owned(), kind.into())]);
        wire.extend(inner.clone());
        return Some(Value::Object(wire));
    }
    if kind.starts_with("web_search_2") {
        return Some(anthropic_search(value, losses));
    }
    let dated = kind
        .rsplit_once('_')
        .is_some_and(|(_, date)| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()));
    if dated || kind == "mcp_toolset" {
        losses.add(format!("tools.{kind}"));
        return None;
    }
    Some(value.clone())
}

fn anthropic_search(value: &Value, losses: &mut Losses) -> Value {
    let mut wire = Map::from_iter([("type".to_owned(), "web_search".into())]);
    if let Some(domains) = value.get("allowed_domains").filter(|domains| !domains.is_null()) {
        wire.insert("filters".into(), json!({"allowed_domains": domains}));
    }
    wire.extend(value.get("user_location").map(|place| ("user_location".to_owned(), place.clone())));
    for key in ["blocked_domains", "max_uses", "cache_control"] {
        if value.get(key).is_some_and(|value| !value.is_null()) {
            losses.add(format!("tools.web_search.{key}"));
        }
    }
    Value::Object(wire)
}

fn search(options: &Map<String, Value>) -> Value {
    let mut wire = Map::from_iter([("type".to_owned(), "web_search".into())]);
    for (key, value) in options {
        let value = match value.get("approximate") {
            Some(Value::Object(place)) if key == "user_location" => {
                let mut flat = Map::from_iter([("type".to_owned(), "approximate".into())]);
                flat.extend(place.clone());
                Value::Object(flat)
            }
            _ => value.clone(),
        };
        wire.insert(key.clone(), value);
    }
    Value::Object(wire)
}

/// `tool_choice` for an upstream.
pub(super) fn choice(choice: &ToolChoice, tools: &[Tool]) -> Value {
    let named = |name: &String| json!({"type": if is_custom(tools, name) { "custom" } else { "function" }, "name": name});
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Function(name) => named(name),
        ToolChoice::Allowed { names, required } => {
            let mode = if *required { "required" } else { "auto" };
            let tools: Vec<Value> = names.iter().map(named).collect();
            json!({"type": "allowed_tools", "mode": mode, "tools": tools})
        }
    }
}

/// Whether a tool's input is any text.
pub(super) fn is_custom(tools: &[Tool], name: &str) -> bool {
    tools.iter().any(|tool| match tool {
        Tool::Function { name: own, extra, .. } => own == name && extra.contains_key(custom::FORM),
        Tool::Hosted(value) => {
            value.get("custom").and_then(|inner| inner.get("name")).is_some_and(|own| own == name)
        }
    })
}
