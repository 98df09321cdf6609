//! What is the same in two requests of Google's, however differently it is written.

use serde_json::{Map, Value, json};

/// Writes a request in one way.
pub(super) fn form(body: &mut Value) {
    *body = camel(body.take());
    let Some(fields) = body.as_object_mut() else { return };
    if let Some(instruction) = fields.get_mut("systemInstruction").and_then(Value::as_object_mut) {
        instruction.remove("role");
    }
    if let Some(Value::Array(contents)) = fields.get_mut("contents") {
        join(contents);
    }
    for key in ["systemInstruction", "contents"] {
        fields.get_mut(key).into_iter().for_each(parts);
    }
    for tool in fields.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        let functions = tool.get_mut("functionDeclarations").and_then(Value::as_array_mut);
        functions.into_iter().flatten().filter_map(Value::as_object_mut).for_each(function);
    }
    if let Some(config) = fields.get_mut("generationConfig").and_then(Value::as_object_mut) {
        schema_at(config, "responseSchema", "responseJsonSchema");
        config.retain(|key, value| !(key == "responseModalities" && *value == json!(["TEXT"])));
        config.retain(|key, value| !(key == "candidateCount" && *value == json!(1)));
        if let Some(Value::String(level)) =
            config.get_mut("thinkingConfig").and_then(|it| it.get_mut("thinkingLevel"))
        {
            level.make_ascii_lowercase();
        }
    }
    fields.retain(|key, value| {
        let empty =
            value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
        let auto = key == "toolConfig" && value["functionCallingConfig"] == json!({"mode": "AUTO"});
        !empty && !auto
    });
}

/// All keys in the newer spelling, and what says nothing left out.
fn camel(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let said = fields.into_iter().filter(|(key, value)| {
                !(value.is_null() || key == "thought" && *value == Value::Bool(false))
            });
            said.map(|(key, value)| (camel_key(&key), camel(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.into_iter().map(camel).collect(),
        other => other,
    }
}

fn camel_key(key: &str) -> String {
    let mut words = key.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let mut letters = word.chars();
        all + &letters
            .next()
            .map(|first| first.to_ascii_uppercase())
            .into_iter()
            .chain(letters)
            .collect::<String>()
    })
}

/// What one speaker says in a row is one content.
fn join(contents: &mut Vec<Value>) {
    let mut joined: Vec<Value> = Vec::new();
    for mut content in contents.drain(..) {
        match joined.last_mut().filter(|last| last["role"] == content["role"]) {
            Some(last) => {
                let more = content["parts"].as_array_mut().map(std::mem::take).unwrap_or_default();
                last["parts"].as_array_mut().into_iter().for_each(|parts| parts.extend(more.clone()));
            }
            None => joined.push(content),
        }
    }
    *contents = joined;
}

fn parts(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(parts),
        Value::Object(fields) => {
            for key in ["functionCall", "functionResponse"] {
                fields.get_mut(key).and_then(Value::as_object_mut).map(|call| call.remove("id"));
            }
            if let Some(response) = fields.get_mut("functionResponse").and_then(|it| it.get_mut("response")) {
                said(response);
            }
            for key in ["thoughtSignature", "data"] {
                if let Some(Value::String(text)) = fields.get_mut(key) {
                    *text = text.replace('-', "+").replace('_', "/").trim_end_matches('=').to_owned();
                }
            }
            if fields.get("thoughtSignature").is_some_and(|text| text == "skip/thought/signature/validator") {
                fields.remove("thoughtSignature");
            }
            if let Some(Value::String(kind)) = fields.get_mut("mimeType") {
                *kind = kind.replace("audio/x-wav", "audio/wav").replace("audio/mp3", "audio/mpeg");
            }
            fields.values_mut().for_each(parts);
        }
        _ => {}
    }
}

/// A tool's words, under whichever name a library puts them.
fn said(response: &mut Value) {
    let alone = response.as_object().filter(|fields| fields.len() == 1);
    let words =
        ["output", "result", "returnValue", "content"].iter().find_map(|key| alone?.get(*key).cloned());
    if let Some(words) = words {
        *response = words;
    }
}

fn function(function: &mut Map<String, Value>) {
    schema_at(function, "parameters", "parametersJsonSchema");
    function.retain(|key, value| !(key == "description" && value == ""));
}

/// The API's older form of a schema says the same as a JSON schema.
fn schema_at(fields: &mut Map<String, Value>, older: &str, newer: &str) {
    if let Some(schema) = fields.remove(older).or_else(|| fields.remove(newer)) {
        let mut schema = schema;
        lower(&mut schema);
        fields.insert(newer.to_owned(), schema);
    }
}

fn lower(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(kind)) = fields.get_mut("type") {
                kind.make_ascii_lowercase();
            }
            fields.retain(|key, value| !(key == "required" && value.as_array().is_some_and(Vec::is_empty)));
            fields.values_mut().for_each(lower);
        }
        Value::Array(items) => items.iter_mut().for_each(lower),
        _ => {}
    }
}
