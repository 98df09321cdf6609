//! Whether a provider was sent what it was sent when the traffic was recorded.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{Case, Dialect, gemini};
use crate::upstream::Seen;

/// Where two requests may differ: said in other words, or added by the client library that was recorded.
const SAME_AS_ABSENT: &[(&str, &str)] = &[
    ("stream", "false"),
    ("n", "1"),
    ("num_generations", "1"),
    ("tools", "[]"),
    ("tool_choice", r#""auto""#),
    ("tool_choice", r#"{"type":"auto"}"#),
    ("parallel_tool_calls", "true"),
    ("thinking", r#"{"type":"disabled"}"#),
    ("documents", "[]"),
    ("images", "[]"),
    ("format", r#""""#),
    ("options", "{}"),
    // OpenRouter's own way to ask for the usage that it bills.
    ("usage", r#"{"include":true}"#),
];

/// How a provider's requests are written, as far as the comparison cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// OpenAI's, and those near to it.
    OpenAi,
    /// Anthropic Messages.
    Anthropic,
    /// Converse, or Claude's own where the body says so.
    Bedrock,
    /// Google's.
    Gemini,
}

/// What differs between what the provider was sent and what is on record; empty where that is nothing.
pub fn sent(case: &Case, prefix: &str, seen: &Seen) -> Vec<String> {
    let mut misses = Vec::new();
    let Some(recorded) = &case.upstream_request else { return misses };
    let address = case.deployment.get("api_base").or(case.deployment.get("aws_bedrock_runtime_endpoint"));
    let template = address.and_then(Value::as_str).unwrap_or_default();
    // An operator may have written the path out.
    let base = template.replace("{base}", prefix);
    let path = format!("{}{}", base.strip_suffix(&recorded.path).unwrap_or(&base), recorded.path);
    // Of Azure's and Google's paths only the end is on record.
    let azure = case.provider_is("azure");
    // A name in an address is encoded by some clients, and by others not.
    let went = percent_decode_str(seen.path.split('?').next().unwrap_or_default()).decode_utf8_lossy();
    let by_end = azure || case.provider_is_gemini();
    if *went != path && !(by_end && went.ends_with(&recorded.path)) {
        misses.push(format!("sent to {}, not to {path}", seen.path));
    }
    let anthropic = case.provider_is_anthropic();
    let key = case.deployment.get("api_key").and_then(Value::as_str).unwrap_or_default();
    let signed = seen.header("authorization").strip_prefix("AWS4-HMAC-SHA256 Credential=");
    let shown = if let Some(signed) = signed {
        let id = case.deployment.get("aws_access_key_id").and_then(Value::as_str).unwrap_or_default();
        signed.split('/').next().filter(|shown| *shown != id).unwrap_or_default().to_owned()
    } else if case.provider_is_gemini() && !key.is_empty() {
        seen.header("x-goog-api-key").to_owned()
    } else if case.provider_is_gemini() {
        seen.header("authorization").replace("Bearer ya29.fake", "")
    } else if anthropic {
        seen.header("x-api-key").to_owned()
    } else if azure || case.provider_is("azure_ai") {
        seen.header("api-key").to_owned()
    } else {
        seen.header("authorization").replace("Bearer ", "")
    };
    if shown != key {
        misses.push("sent without the deployment's key".to_owned());
    }
    if anthropic && case.client_speaks(Dialect::AnthropicMessages) {
        for beta in
            case.client_request.headers.get("anthropic-beta").into_iter().flat_map(|list| list.split(','))
        {
            if !seen.header("anthropic-beta").contains(beta.trim()) {
                misses.push(format!("sent without the beta {beta}"));
            }
        }
    }
    let (mut expected, mut actual) = (recorded.body.clone(), seen.json());
    // Anthropic's clients must send a cap that the recorded client did not have.
    let cap_added = case.client_speaks(Dialect::AnthropicMessages) && !has_cap(&expected);
    if azure {
        // The path names the deployment; a name in the body changes nothing.
        actual.as_object_mut().map(|body| body.remove("model"));
        expected.as_object_mut().map(|body| body.remove("model"));
    }
    let form = Form::of(case.model());
    form.write(&mut expected);
    form.write(&mut actual);
    if let (true, Some(actual)) = (cap_added, actual.as_object_mut()) {
        actual.remove("max_tokens");
    }
    let mut differences = Vec::new();
    differ("", &expected, &actual, &mut differences);
    misses.extend(differences.into_iter().take(4));
    misses
}

// === impl Form ===

impl Form {
    /// The form of a model as a deployment names it.
    pub fn of(model: &str) -> Self {
        match model.split_once('/') {
            Some(("anthropic", _)) => Self::Anthropic,
            Some(("bedrock", _)) => Self::Bedrock,
            Some(("gemini", _)) => Self::Gemini,
            Some(("vertex_ai", name)) if name.starts_with("gemini") => Self::Gemini,
            Some(("vertex_ai", name)) if name.starts_with("claude") => Self::Anthropic,
            _ => Self::OpenAi,
        }
    }

    /// What differs between two bodies of this form, other than how they are written.
    pub fn differences(self, expected: &Value, actual: &Value) -> Vec<String> {
        let (mut expected, mut actual) = (expected.clone(), actual.clone());
        self.write(&mut expected);
        self.write(&mut actual);
        let mut differences = Vec::new();
        differ("", &expected, &actual, &mut differences);
        differences
    }

    /// Writes a body in one way.
    fn write(self, body: &mut Value) {
        match self {
            Self::Bedrock if body.get("anthropic_version").is_none() => converse_form(body),
            Self::Bedrock | Self::Anthropic => anthropic_form(body),
            Self::Gemini => gemini::form(body),
            Self::OpenAi => openai_form(body),
        }
    }
}

fn has_cap(body: &Value) -> bool {
    !body["max_tokens"].is_null() || !body["max_completion_tokens"].is_null()
}

fn openai_form(body: &mut Value) {
    top_form(body);
    let Some(fields) = body.as_object_mut() else { return };
    fields.remove("stream_options");
    if let Some(cap) = fields.remove("max_completion_tokens") {
        fields.insert("max_tokens".to_owned(), cap);
    }
    if let Some(Value::Array(messages)) = fields.get_mut("messages") {
        join_system_messages(messages);
    }
    for message in list(fields.get_mut("messages")) {
        let Some(message) = message.as_object_mut() else { continue };
        if message.get("role").is_some_and(|role| role == "developer") {
            message.insert("role".to_owned(), json!("system"));
        }
        parts_form(message);
        drop_defaults(message, &[("prefix", json!(false)), ("citations", json!([])), ("images", json!([]))]);
        for call in list(message.get_mut("tool_calls")) {
            let arguments = call["function"]["arguments"].as_str().unwrap_or_default().to_owned();
            call["function"]["arguments"] = serde_json::from_str(&arguments).unwrap_or(Value::Null);
            call.as_object_mut().map(|call| call.remove("index"));
        }
    }
    for tool in list(fields.get_mut("tools")) {
        if let Some(function) = tool.get_mut("function").and_then(Value::as_object_mut) {
            drop_defaults(function, &[("description", json!("")), ("strict", json!(false))]);
        }
    }
}

/// Several system messages in a row say the same as one with several parts.
fn join_system_messages(messages: &mut Vec<Value>) {
    let mut joined: Vec<Value> = Vec::new();
    for mut message in messages.drain(..) {
        message["content"] = parts(message["content"].take());
        let joins = message["role"] == "system";
        match joined.last_mut().filter(|last| joins && last["role"] == "system") {
            Some(last) => {
                let more = list(message.get_mut("content")).to_vec();
                last["content"].as_array_mut().into_iter().for_each(|content| content.extend(more.clone()));
            }
            None => joined.push(message),
        }
    }
    *messages = joined;
}

fn anthropic_form(body: &mut Value) {
    top_form(body);
    let Some(fields) = body.as_object_mut() else { return };
    if let Some(system) = fields.get_mut("system") {
        *system = parts(system.take());
    }
    for message in list(fields.get_mut("messages")) {
        if let Some(message) = message.as_object_mut() {
            parts_form(message);
        }
        for part in list(message.get_mut("content")) {
            let Some(part) = part.as_object_mut() else { continue };
            if part.get("type").is_some_and(|kind| kind == "tool_result") {
                parts_form(part);
                drop_defaults(part, &[("is_error", json!(false))]);
            }
        }
    }
    for tool in list(fields.get_mut("tools")) {
        if let Some(tool) = tool.as_object_mut() {
            drop_defaults(
                tool,
                &[("description", json!("")), ("strict", json!(false)), ("type", json!("custom"))],
            );
        }
    }
}

fn converse_form(body: &mut Value) {
    top_form(body);
    if let Some(config) = body.get_mut("inferenceConfig").and_then(Value::as_object_mut) {
        drop_defaults(config, &[("stopSequences", json!([]))]);
    }
    if let Some(config) = body.get_mut("toolConfig").and_then(Value::as_object_mut) {
        drop_defaults(config, &[("toolChoice", json!({ "auto": {} }))]);
    }
    // A schema is given as a text, which may be spaced in any way.
    if let Some(schema) = body.pointer_mut("/outputConfig/textFormat/structure/jsonSchema/schema") {
        *schema = serde_json::from_str(schema.as_str().unwrap_or_default()).unwrap_or(Value::Null);
    }
    for message in list(body.get_mut("messages")) {
        for block in list(message.get_mut("content")) {
            if let Some(result) = block.get_mut("toolResult").and_then(Value::as_object_mut) {
                drop_defaults(result, &[("status", json!("success"))]);
            }
        }
    }
    if let Some(fields) = body.as_object_mut() {
        drop_defaults(fields, &[("system", json!([])), ("inferenceConfig", json!({}))]);
    }
}

fn top_form(body: &mut Value) {
    drop_nulls(body);
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|key, value| {
            let text = value.to_string();
            !SAME_AS_ABSENT.iter().any(|(name, default)| key == name && text == *default)
        });
    }
}

fn parts_form(message: &mut Map<String, Value>) {
    let content = message.remove("content").unwrap_or_default();
    message.insert("content".to_owned(), parts(content));
}

/// Content as a list of parts without defaults.
fn parts(content: Value) -> Value {
    match content {
        Value::String(text) if text.is_empty() => json!([]),
        Value::String(text) => json!([{"type": "text", "text": text}]),
        Value::Array(mut parts) => {
            parts.retain(|part| *part != json!({"type": "text", "text": ""}));
            for part in &mut parts {
                if let Some(image) = part.get_mut("image_url").and_then(Value::as_object_mut) {
                    drop_defaults(image, &[("detail", json!("auto"))]);
                }
            }
            Value::Array(parts)
        }
        _ => json!([]),
    }
}

fn drop_defaults(fields: &mut Map<String, Value>, defaults: &[(&str, Value)]) {
    fields.retain(|key, value| !defaults.iter().any(|(name, default)| key == name && value == default));
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn list(value: Option<&mut Value>) -> &mut [Value] {
    value.and_then(Value::as_array_mut).map(Vec::as_mut_slice).unwrap_or_default()
}

fn differ(path: &str, expected: &Value, actual: &Value, out: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in left {
                match right.get(key) {
                    Some(other) => differ(&format!("{path}.{key}"), value, other, out),
                    None => out.push(format!("not sent: {path}.{key} = {}", short(value))),
                }
            }
            for (key, value) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                out.push(format!("sent in excess: {path}.{key} = {}", short(value)));
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            if left.len() != right.len() {
                out.push(format!("{path} has {} items, not {}: {}", right.len(), left.len(), short(actual)));
                return;
            }
            for (at, (left, right)) in left.iter().zip(right).enumerate() {
                differ(&format!("{path}[{at}]"), left, right, out);
            }
        }
        (Value::Number(left), Value::Number(right)) if left.as_f64() == right.as_f64() => {}
        _ if expected == actual => {}
        _ => out.push(format!("{path} is {}, not {}", short(actual), short(expected))),
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(160).collect()
}
