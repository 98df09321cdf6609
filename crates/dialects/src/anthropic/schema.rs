//! JSON schemas within the limits of Anthropic's structured output.

use serde_json::{Map, Value};

/// Keywords that the API refuses. They are moved into the description, where the model still reads them.
const REFUSED: [&str; 12] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
];

/// The string formats that the API takes.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// Keywords whose value is a schema, a list of schemas, or a map of schemas.
const NESTED: [&str; 8] =
    ["items", "not", "anyOf", "allOf", "prefixItems", "properties", "$defs", "definitions"];

/// The schema with every object closed and without the keywords that the API refuses.
pub(crate) fn restricted(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut out = Map::with_capacity(fields.len() + 1);
    let mut told = Vec::new();
    for (key, value) in fields {
        match key.as_str() {
            _ if is_refused(key, value) => told.push(format!("{key}: {value}")),
            "oneOf" => drop(out.insert("anyOf".to_owned(), nested("anyOf", value))),
            _ => drop(out.insert(key.clone(), nested(key, value))),
        }
    }
    if is_object(fields) {
        out.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if !told.is_empty() {
        let mut words = format!("{{{}}}", told.join(", "));
        if let Some(Value::String(description)) = out.get("description") {
            words = format!("{description}\n\n{words}");
        }
        out.insert("description".to_owned(), Value::String(words));
    }
    Value::Object(out)
}

/// Whether the schema survives being closed: an object that is a map of free keys does not.
pub(crate) fn can_be_closed(schema: &Value) -> bool {
    match schema {
        Value::Array(list) => list.iter().all(can_be_closed),
        Value::Object(fields) => {
            let free = match fields.get("additionalProperties") {
                Some(Value::Object(_)) => true,
                Some(Value::Bool(true)) => is_object(fields) && !fields.contains_key("properties"),
                _ => false,
            };
            !free && fields.values().all(can_be_closed)
        }
        _ => true,
    }
}

/// Whether the schema already is what OpenAI calls strict: closed objects whose properties are all required.
pub(crate) fn is_strict(schema: &Value) -> bool {
    match schema {
        Value::Array(list) => list.iter().all(is_strict),
        Value::Object(fields) => {
            let closed = fields.get("additionalProperties") == Some(&Value::Bool(false));
            (!is_object(fields) || (closed && all_required(fields))) && fields.values().all(is_strict)
        }
        _ => true,
    }
}

/// Whether a tool may take it as its input: the API wants an object at the top.
pub(crate) fn is_object_schema(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "object")
}

fn is_object(fields: &Map<String, Value>) -> bool {
    match fields.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(_) => false,
        None => fields.get("properties").is_some_and(Value::is_object),
    }
}

fn all_required(fields: &Map<String, Value>) -> bool {
    let Some(Value::Object(properties)) = fields.get("properties") else { return true };
    let required = fields.get("required").and_then(Value::as_array);
    properties.keys().all(|name| required.is_some_and(|list| list.iter().any(|key| key == name)))
}

fn is_refused(key: &str, value: &Value) -> bool {
    match key {
        // A property may have such a name, but then its value is a schema.
        _ if REFUSED.contains(&key) => key == "patternProperties" || !value.is_object(),
        "minItems" => value.as_u64().is_some_and(|least| least > 1),
        "format" => value.as_str().is_some_and(|format| !FORMATS.contains(&format)),
        _ => false,
    }
}

fn nested(key: &str, value: &Value) -> Value {
    if !NESTED.contains(&key) {
        return value.clone();
    }
    match value {
        Value::Array(list) => list.iter().map(restricted).collect(),
        Value::Object(map) if matches!(key, "properties" | "$defs" | "definitions") => {
            Value::Object(map.iter().map(|(name, schema)| (name.clone(), restricted(schema))).collect())
        }
        Value::Object(_) => restricted(value),
        other => other.clone(),
    }
}
