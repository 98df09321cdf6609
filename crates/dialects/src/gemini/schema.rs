//! JSON schemas as the API takes them.
//!
//! `parametersJsonSchema` and `responseJsonSchema` take standard JSON schema, but only some of its words
//! (<https://ai.google.dev/api/generate-content#GenerationConfig>): the others are left out here, so that no schema is
//! refused for a word that only narrows it. Definitions stay where they are and are referred to, not copied: copies of
//! copies would let a small schema grow without bound.

use serde_json::{Map, Value, json};

/// The words that are taken.
const TAKEN: [&str; 22] = [
    "$id",
    "$anchor",
    "type",
    "format",
    "title",
    "description",
    "enum",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "anyOf",
    "properties",
    "additionalProperties",
    "required",
    "propertyOrdering",
    "$defs",
    "$ref",
    "oneOf",
    "nullable",
];

/// The schema in the words that are taken.
pub(super) fn restricted(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
        return reference(target, fields);
    }
    let mut out = Map::new();
    for (key, value) in fields {
        match key.as_str() {
            "definitions" => drop(out.insert("$defs".to_owned(), map(value))),
            "$defs" | "properties" => drop(out.insert(key.clone(), map(value))),
            // The newer word for it is taken, and means the same.
            "oneOf" => drop(out.insert("anyOf".to_owned(), list(value))),
            "anyOf" | "prefixItems" => drop(out.insert(key.clone(), list(value))),
            "items" | "additionalProperties" => drop(out.insert(key.clone(), restricted(value))),
            "const" => drop(out.insert("enum".to_owned(), json!([value]))),
            "allOf" => join(value, &mut out),
            key if TAKEN.contains(&key) => drop(out.insert(key.to_owned(), value.clone())),
            _ => {}
        }
    }
    // One that came out of an `allOf`.
    if out.contains_key("$ref") {
        out.retain(|key, _| key.starts_with('$'));
    }
    Value::Object(out)
}

/// Beside a reference nothing may stand but words that begin with `$`.
fn reference(target: &str, fields: &Map<String, Value>) -> Value {
    let mut out = Map::new();
    let target = target.replacen("#/definitions/", "#/$defs/", 1);
    out.insert("$ref".to_owned(), target.into());
    for key in ["$defs", "definitions"] {
        if let Some(definitions) = fields.get(key) {
            out.insert("$defs".to_owned(), map(definitions));
        }
    }
    Value::Object(out)
}

/// What all of several schemas say, in one: generators wrap a single one, or add words to it.
fn join(value: &Value, out: &mut Map<String, Value>) {
    for part in value.as_array().into_iter().flatten() {
        let Value::Object(fields) = restricted(part) else { continue };
        for (key, value) in fields {
            match (key.as_str(), out.get_mut(&key), value) {
                ("properties" | "$defs", Some(Value::Object(own)), Value::Object(more)) => own.extend(more),
                ("required", Some(Value::Array(own)), Value::Array(more)) => own.extend(more),
                (_, _, value) => drop(out.entry(key).or_insert(value)),
            }
        }
    }
}

fn map(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.iter().map(|(name, schema)| (name.clone(), restricted(schema))).collect())
        }
        other => other.clone(),
    }
}

fn list(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(restricted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_written_in_the_words_that_are_taken() {
        for (schema, want) in [
            (
                json!({"$schema": "x", "type": "string", "pattern": "a", "minLength": 1, "description": "d"}),
                json!({"type": "string", "description": "d"}),
            ),
            (json!({"const": "a"}), json!({"enum": ["a"]})),
            (
                json!({"oneOf": [{"const": 1}, {"type": "null"}]}),
                json!({"anyOf": [{"enum": [1]}, {"type": "null"}]}),
            ),
            (
                json!({"definitions": {"A": {"type": "object", "properties": {"next": {"$ref": "#/definitions/A", "description": "d"}}}},
                       "$ref": "#/definitions/A"}),
                json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"next": {"$ref": "#/$defs/A"}}}}}),
            ),
            (
                json!({"properties": {"a": {"allOf": [{"$ref": "#/$defs/B"}], "description": "d"}}}),
                json!({"properties": {"a": {"$ref": "#/$defs/B"}}}),
            ),
            (
                json!({"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {"type": "null"}}, "required": ["b"]}]}),
                json!({"properties": {"a": {"type": "string"}, "b": {"type": "null"}}, "required": ["a", "b"]}),
            ),
            // A property may be called like a word.
            (
                json!({"properties": {"pattern": {"type": "string"}}, "additionalProperties": false}),
                json!({"properties": {"pattern": {"type": "string"}}, "additionalProperties": false}),
            ),
        ] {
            assert_eq!(restricted(&schema), want, "{schema}");
        }
    }
}
