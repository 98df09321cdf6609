//! A whole answer for a client.

use bytes::Bytes;
use gatewright_core::ReplyStyle;
use gatewright_core::chat::{Answer, Choice, Part, ToolCall};
use serde_json::{Map, Value, json};

use super::object::{Response, response_id, seed};
use super::{custom, items_write, outcome};
use crate::json::object;
use crate::openai::write::reply::annotation;

/// Writes an answer. The dialect has one choice, and its clients cannot ask for more.
pub(super) fn write(answer: &Answer, style: &ReplyStyle) -> Bytes {
    let choice = answer.choices.iter().find(|choice| choice.index == 0).or(answer.choices.first());
    let response = Response {
        id: &response_id(&answer.id, style),
        created: if answer.created == 0 { style.created } else { answer.created },
        ending: outcome::ending(choice.map(|choice| choice.finish).unwrap_or_default()),
        output: choice.map(|choice| output(choice, style)).unwrap_or_default(),
        usage: answer.usage.as_ref(),
        service_tier: answer.service_tier.as_deref(),
    };
    object(&response.write(style))
}

fn output(choice: &Choice, style: &ReplyStyle) -> Vec<Value> {
    let custom = custom::names(style.asked.as_ref());
    let seed = seed(style);
    let mut out = Vec::new();
    let mut said = Vec::new();
    let mut logprobs = tokens(choice);
    let mut annotations = further(choice);
    for part in &choice.parts {
        let item = match part {
            Part::Text { text, citations, .. } => {
                let mut cited: Vec<Value> = citations.iter().filter_map(|one| flat(one, text)).collect();
                cited.append(&mut annotations);
                said.push(text_part(text, cited, std::mem::take(&mut logprobs)));
                continue;
            }
            Part::Refusal(text) => {
                said.push(json!({"type": "refusal", "refusal": text}));
                continue;
            }
            part => item(part, (&seed, out.len() + usize::from(!said.is_empty())), &custom),
        };
        say(&mut said, &mut out, &seed);
        out.extend(item);
    }
    say(&mut said, &mut out, &seed);
    out
}

fn say(said: &mut Vec<Value>, out: &mut Vec<Value>, seed: &str) {
    if !said.is_empty() {
        out.push(message(&item_id("msg", seed, out.len()), "completed", std::mem::take(said)));
    }
}

/// A message of the model's.
pub(super) fn message(id: &str, status: &str, content: Vec<Value>) -> Value {
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
}

/// A text of the model's.
pub(super) fn text_part(text: &str, annotations: Vec<Value>, logprobs: Vec<Value>) -> Value {
    json!({"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": text})
}

/// Anything else that the model did; `None` where this dialect has no item for it.
fn item(part: &Part, (seed, at): (&str, usize), custom: &[String]) -> Option<Value> {
    match part {
        Part::ToolCall(call) => {
            let custom = custom.contains(&call.name);
            let id = item_id(if custom { "ctc" } else { "fc" }, seed, at);
            Some(tool_call(&id, "completed", call, custom))
        }
        Part::Reasoning { text, signature } => {
            Some(reasoning(&item_id("rs", seed, at), Some(text), signature.as_deref()))
        }
        Part::RedactedReasoning { data } => Some(reasoning(&item_id("rs", seed, at), None, Some(data))),
        Part::Other(value) => hosted(&item_id("ws", seed, at), value),
        Part::Text { .. } | Part::Refusal(_) | Part::Media(_) | Part::ToolResult(_) => None,
    }
}

/// Reasoning of the model's.
pub(super) fn reasoning(id: &str, text: Option<&str>, sealed: Option<&str>) -> Value {
    with_id(id, items_write::reasoning(text, sealed))
}

/// A call of the model's, in the form of the client's tool.
pub(super) fn tool_call(id: &str, status: &str, call: &ToolCall, custom: bool) -> Value {
    let ToolCall { id: call_id, name, arguments, .. } = call;
    if custom {
        let input = custom::input(arguments);
        return json!({
            "id": id, "type": "custom_tool_call", "status": status,
            "call_id": call_id, "name": name, "input": input,
        });
    }
    json!({
        "id": id, "type": "function_call", "status": status, "call_id": call_id, "name": name, "arguments": arguments,
    })
}

/// What a provider's own tools did: an item as it came, or Anthropic's search of the web.
pub(super) fn hosted(id: &str, value: &Value) -> Option<Value> {
    if items_write::is_own(value) {
        return Some(value.clone());
    }
    let searches = value["type"] == "server_tool_use" && value["name"] == "web_search";
    let query = value["input"].get("query").cloned().unwrap_or_else(|| "".into());
    let action = json!({"type": "search", "query": query});
    searches.then(|| json!({"id": id, "type": "web_search_call", "status": "completed", "action": action}))
}

/// Names an item.
pub(super) fn item_id(kind: &str, seed: &str, at: usize) -> String {
    format!("{kind}_{seed}{at:02x}")
}

/// A citation of the web as an annotation, which is flat in this dialect.
pub(super) fn flat(citation: &Value, text: &str) -> Option<Value> {
    let Value::Object(mut nested) = annotation(citation, (0, text.chars().count()))? else { return None };
    let mut wire = Map::from_iter([("type".to_owned(), "url_citation".into())]);
    if let Some(Value::Object(inner)) = nested.get_mut("url_citation") {
        wire.append(inner);
    }
    Some(Value::Object(wire))
}

fn with_id(id: &str, item: Value) -> Value {
    let mut wire = Map::from_iter([("id".to_owned(), id.into())]);
    if let Value::Object(mut fields) = item {
        wire.append(&mut fields);
    }
    Value::Object(wire)
}

fn tokens(choice: &Choice) -> Vec<Value> {
    let content = choice.logprobs.as_ref().and_then(|logprobs| logprobs.get("content")?.as_array());
    content.cloned().unwrap_or_default()
}

/// Annotations that are no citations of the web stand with the first text.
fn further(choice: &Choice) -> Vec<Value> {
    choice.extra.get("annotations").and_then(Value::as_array).cloned().unwrap_or_default()
}
