//! Requests: tools as functions, and every call with its result behind it.

use gatewright_core::{Error, ErrorKind, Json, Losses, Result};
use serde_json::{Map, Value, json};

type Message = Map<String, Value>;

/// Edits a request for an answer.
pub(super) fn chat(body: &mut Json, losses: &mut Losses) -> Result<()> {
    let said: Vec<Message> = body.get("messages")?.unwrap_or_default();
    body.set("messages", Value::from(messages(said)).to_string());
    if let Some(tools) = body.get::<Vec<Value>>("tools")? {
        body.remove("tools");
        let functions: Vec<Value> = tools.iter().filter_map(|tool| function(tool, losses)).collect();
        if !functions.is_empty() {
            body.set("functions", Value::from(functions).to_string());
        }
    }
    if let Some(choice) = body.get::<Value>("tool_choice")? {
        body.remove("tool_choice");
        choose(&choice, body, losses);
    }
    // Its API reference: greater than zero; nothing but the likeliest is a nucleus of zero.
    if body.get::<f64>("temperature")? == Some(0.0) {
        body.remove("temperature");
        body.set("top_p", "0");
    }
    let format = body.get::<Value>("response_format")?;
    if let Some(format) = format {
        body.remove("response_format");
        losses.add_if(format["type"] != "text", "response_format");
    }
    Ok(())
}

/// Edits a request for vectors.
pub(super) fn embed(body: &mut Json, losses: &mut Losses) -> Result<()> {
    match body.get::<Value>("input")?.unwrap_or_default() {
        Value::String(text) => body.set("input", json!([text]).to_string()),
        Value::Array(texts) if texts.iter().all(Value::is_string) => {}
        _ => return Err(Error::new(ErrorKind::Unsupported, "this provider embeds texts only")),
    }
    // Vectors are lists of numbers, and every client of OpenAI's form reads those.
    body.remove("encoding_format");
    for field in ["dimensions", "user", "input_type"] {
        losses.add_if(body.remove(field).is_some(), field);
    }
    Ok(())
}

/// The conversation, in which a message has one call, and the call's result stands behind it.
fn messages(said: Vec<Message>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::with_capacity(said.len());
    let mut rest = said.into_iter().peekable();
    while let Some(mut message) = rest.next() {
        let calls = match message.remove("tool_calls") {
            Some(Value::Array(calls)) => calls,
            _ => Vec::new(),
        };
        let mut results = Vec::new();
        while !calls.is_empty()
            && let Some(result) = rest.next_if(|next| role(next) == "tool")
        {
            results.push(result);
        }
        let [first, others @ ..] = calls.as_slice() else {
            out.push(plain(message, out.is_empty()).into());
            continue;
        };
        message.insert("role".to_owned(), "assistant".into());
        out.push(calling(message, first).into());
        push_result(&mut results, first, &mut out);
        for call in others {
            out.push(calling(json_message("assistant"), call).into());
            push_result(&mut results, call, &mut out);
        }
        // Results of nobody's calls.
        out.extend(results.into_iter().map(|result| plain(result, false).into()));
    }
    out
}

fn role(message: &Message) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or_default()
}

fn json_message(role: &str) -> Message {
    Message::from_iter([("role".to_owned(), role.into())])
}

/// A message without calls.
fn plain(mut message: Message, first: bool) -> Message {
    match role(&message) {
        "tool" => return resulting(&message, None),
        // The older form of the same.
        "function" => return message,
        // It takes instructions at the beginning only.
        "system" if !first => drop(message.insert("role".to_owned(), "user".into())),
        _ => {}
    }
    message.remove("name");
    fill(&mut message);
    if let Some(Value::Object(call)) = message.get_mut("function_call")
        && let Some(arguments) = call.get_mut("arguments")
    {
        *arguments = object(arguments);
    }
    message
}

/// Content is a string, also where there is none.
fn fill(message: &mut Message) {
    if message.get("content").is_none_or(Value::is_null) {
        message.insert("content".to_owned(), "".into());
    }
}

/// A message that calls a function.
fn calling(mut message: Message, call: &Value) -> Message {
    message.remove("name");
    fill(&mut message);
    let function = &call["function"];
    let called = json!({"name": function["name"], "arguments": object(&function["arguments"])});
    message.insert("function_call".to_owned(), called);
    // Its own answers have this as the call's id.
    if let Some(id) = call["id"].as_str().filter(|id| is_uuid(id)) {
        message.insert("functions_state_id".to_owned(), id.into());
    }
    message
}

fn push_result(results: &mut Vec<Message>, call: &Value, out: &mut Vec<Value>) {
    let is_its = |result: &Message| result.get("tool_call_id") == call.get("id");
    if let Some(place) = results.iter().position(is_its) {
        out.push(resulting(&results.remove(place), call["function"]["name"].as_str()).into());
    }
}

/// What a function answered: JSON as text.
fn resulting(message: &Message, name: Option<&str>) -> Message {
    let content = message.get("content").cloned().unwrap_or_default();
    let text = match content {
        Value::String(text) if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() => text,
        other => other.to_string(),
    };
    let mut result = json_message("function");
    let named = message.get("name").and_then(Value::as_str);
    if let Some(name) = name.or(named) {
        result.insert("name".to_owned(), name.into());
    }
    result.insert("content".to_owned(), text.into());
    result
}

/// Arguments as an object; a model's broken ones say nothing.
fn object(arguments: &Value) -> Value {
    match arguments {
        Value::String(text) => {
            serde_json::from_str(text).ok().filter(Value::is_object).unwrap_or_else(|| json!({}))
        }
        Value::Object(_) => arguments.clone(),
        _ => json!({}),
    }
}

fn function(tool: &Value, losses: &mut Losses) -> Option<Value> {
    let Some(function) = tool.get("function") else {
        losses.add("tools");
        return None;
    };
    losses.add_if(function["strict"] == true, "tools.strict");
    let parameters = function.get("parameters").cloned();
    let mut described = json!({
        "name": function["name"],
        "parameters": parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
    });
    for field in ["description", "few_shot_examples", "return_parameters"] {
        if let Some(value) = function.get(field) {
            described[field] = value.clone();
        }
    }
    Some(described)
}

fn choose(choice: &Value, body: &mut Json, losses: &mut Losses) {
    let named = choice.get("function").and_then(|function| function.get("name"));
    let call = match (choice.as_str(), named) {
        (Some("none"), _) => json!("none"),
        // No call can be demanded but a certain one.
        (Some("required"), _) => {
            losses.add("tool_choice.required");
            json!("auto")
        }
        (_, Some(name)) => json!({"name": name}),
        _ => json!("auto"),
    };
    if body.has("functions") {
        body.set("function_call", call.to_string());
    }
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use gatewright_core::JsonLimits;

    use super::*;

    fn sent(body: &Value) -> (Value, Vec<String>) {
        let mut json = Json::parse(body.to_string().into(), JsonLimits::default()).unwrap();
        let mut losses = Losses::default();
        chat(&mut json, &mut losses).unwrap();
        let lost = losses.into_fields().into_iter().map(|field| field.into_owned()).collect();
        (serde_json::from_slice(&json.to_bytes()).unwrap(), lost)
    }

    fn call(id: &str, name: &str, arguments: &str) -> Value {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    }

    #[test]
    fn every_call_has_its_result_behind_it() {
        let state = "77d3fb14-457a-46ba-937e-8d856156d003";
        let (body, lost) = sent(&json!({"messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "name": "ada", "content": "hi"},
            {"role": "assistant", "content": null, "tool_calls": [call(state, "a", "{\"x\":1}"), call("call_2", "b", "{")]},
            {"role": "tool", "tool_call_id": "call_2", "content": "not JSON"},
            {"role": "tool", "tool_call_id": state, "content": "{\"y\":2}"},
            {"role": "system", "content": "late"},
        ]}));
        assert_eq!(
            body["messages"],
            json!([
                {"role": "system", "content": "s"},
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "", "function_call": {"name": "a", "arguments": {"x": 1}}, "functions_state_id": state},
                {"role": "function", "name": "a", "content": "{\"y\":2}"},
                {"role": "assistant", "content": "", "function_call": {"name": "b", "arguments": {}}},
                {"role": "function", "name": "b", "content": "\"not JSON\""},
                {"role": "user", "content": "late"},
            ])
        );
        assert!(lost.is_empty(), "{lost:?}");
    }

    #[test]
    fn tools_are_functions_and_what_cannot_be_asked_is_told() {
        let tool = json!({"type": "function", "function": {"name": "f", "strict": true}});
        let named = json!({"type": "function", "function": {"name": "f"}});
        let functions = json!([{"name": "f", "parameters": {"type": "object", "properties": {}}}]);
        for (asked, want, lost) in [
            (
                json!({"tools": [tool], "tool_choice": "required", "temperature": 0}),
                json!({"functions": functions, "function_call": "auto", "top_p": 0}),
                vec!["tools.strict", "tool_choice.required"],
            ),
            (
                json!({"tools": [tool, {"type": "web_search"}], "tool_choice": named}),
                json!({"functions": functions, "function_call": {"name": "f"}}),
                vec!["tools.strict", "tools"],
            ),
            (json!({"tools": [], "tool_choice": "auto"}), json!({}), vec![]),
            (json!({"response_format": {"type": "json_object"}}), json!({}), vec!["response_format"]),
            (json!({"response_format": {"type": "text"}}), json!({}), vec![]),
        ] {
            let mut with_messages = asked.clone();
            with_messages["messages"] = json!([]);
            let (mut body, told) = sent(&with_messages);
            body.as_object_mut().unwrap().remove("messages");
            assert_eq!((body, told), (want, lost.into_iter().map(str::to_owned).collect()), "{asked}");
        }
    }
}
