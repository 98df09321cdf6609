//! The whole API as an OpenAPI document, made from the tables that route and check.

use gatewright_admin::{BODIES, Field, Form, Place, TABLES, Table, Writer, cache_settings_schema};
use gatewright_core::{Dialect, Operation};
use gatewright_gateway::{About, Answers};
use http::Method;
use serde_json::{Map, Value, json};

/// The document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in gatewright_gateway::ROUTES {
        add(&mut paths, &route.method, route.path, of_models(&route.answers));
    }
    for route in gatewright_admin::ROUTES {
        let told = format!("Open to proxy administrators and {}.", route.access.name);
        let group = route.path.split('/').find(|part| !part.is_empty()).unwrap_or_default();
        let mut operation = json!({"tags": [format!("{group} management")], "description": told});
        let body = BODIES.iter().find(|(path, _)| *path == route.path && route.method != Method::GET);
        if let Some((_, table)) = body {
            operation["requestBody"] =
                content(&json!({"$ref": format!("#/components/schemas/{}", table.word)}));
        } else if route.method == Method::POST && route.path.starts_with("/cache/settings") {
            operation["requestBody"] = content(&json!({"$ref": "#/components/schemas/cache_settings"}));
        } else if route.method == Method::POST {
            operation["requestBody"] = content(&json!({"type": "object"}));
        }
        add(&mut paths, &route.method, route.path, operation);
    }
    let mut schemas: Map<String, Value> =
        TABLES.into_iter().map(|table| (table.word.to_owned(), schema(table))).collect();
    schemas.insert("cache_settings".into(), cache_settings_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gatewright", "version": env!("CARGO_PKG_VERSION"),
            "description": "An LLM gateway: one API in front of every model provider, and its management.",
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A virtual key, or the master key."}},
            "schemas": schemas,
        },
    })
}

/// An operation of the data plane.
fn of_models(answers: &Answers) -> Value {
    let (tag, summary, open) = match answers {
        Answers::Call(operation, dialect) => return call(*operation, *dialect),
        Answers::Google => return google(),
        Answers::Response(About::Answer) => ("conversations", "An answer that is kept", false),
        Answers::Response(About::Forget) => ("conversations", "Forgets an answer that is kept", false),
        Answers::Response(About::Input) => ("conversations", "What a kept answer answers, in pages", false),
        Answers::Response(About::Cancel) => {
            ("conversations", "Ends an answer that is made in the background", false)
        }
        Answers::Models => ("models", "The models that the caller may use", false),
        Answers::TokenCounter => {
            ("conversations", "Counts the tokens of a conversation, in LiteLLM's form", false)
        }
        Answers::Model => ("models", "One of them", false),
        Answers::Deployments => ("models", "The deployments that the caller may use", false),
        Answers::DeploymentPages => ("models", "The same in pages", false),
        Answers::Groups => ("models", "The model groups that the caller may use", false),
        Answers::Liveliness => ("health", "Whether the process lives", true),
        Answers::Readiness => ("health", "Whether it can serve", true),
        Answers::Health => ("health", "How the deployments do", false),
        Answers::Metrics => ("health", "Figures for Prometheus", false),
        Answers::About => ("documentation", "What this is", true),
        Answers::Document => ("documentation", "This document", true),
        Answers::Page(_) => ("documentation", "The page that shows it", true),
    };
    let told = json!({"tags": [tag], "summary": summary});
    if open { with(told, "security", json!([])) } else { told }
}

fn call(operation: Operation, dialect: Dialect) -> Value {
    let (tag, summary) = match operation {
        Operation::Chat => {
            ("conversations", format!("Answers a conversation, in the words of {}", dialect.name()))
        }
        Operation::CountTokens => ("conversations", "Counts the tokens of a conversation".to_owned()),
        Operation::Embeddings => ("embeddings", "Makes vectors of texts".to_owned()),
        Operation::Rerank => ("rerank", "Ranks documents by how well they answer a question".to_owned()),
        Operation::Moderations => ("moderations", "Tells whether a text may be shown".to_owned()),
        Operation::ImageGenerations => ("images", "Makes pictures after a description".to_owned()),
        Operation::ImageEdits => ("images", "Changes pictures".to_owned()),
        Operation::ImageVariations => ("images", "Makes pictures like another".to_owned()),
        Operation::Speech => ("audio", "Speaks a text".to_owned()),
        Operation::Transcriptions => ("audio", "Writes down what is spoken".to_owned()),
        Operation::Translations => ("audio", "Writes down what is spoken, in English".to_owned()),
    };
    let (said, most) = match dialect {
        Dialect::OpenAiResponses => (("input", json!({"type": ["string", "array"]})), "max_output_tokens"),
        Dialect::OpenAiCompletions => (("prompt", json!({"type": ["string", "array"]})), "max_tokens"),
        _ => (("messages", json!({"type": "array", "items": {"type": "object"}})), "max_tokens"),
    };
    let body = json!({
        "type": "object",
        "required": [said.0],
        "properties": {
            "model": {"type": "string"},
            said.0: said.1,
            "stream": {"type": "boolean"},
            most: {"type": "integer"},
        },
    });
    json!({"tags": [tag], "summary": summary, "requestBody": content(&body)})
}

/// A call whose path says what is asked for.
fn google() -> Value {
    let summary = "Answers a conversation, plain or streamed, or counts its tokens, in the words of Gemini: \
                   {model}:generateContent, :streamGenerateContent, :countTokens";
    let contents = json!({"type": "array", "items": {"type": "object"}});
    let body = json!({"type": "object", "properties": {"contents": contents}});
    json!({"tags": ["conversations"], "summary": summary, "requestBody": content(&body)})
}

/// Puts an operation at its place, with the parameters that its path has.
fn add(paths: &mut Map<String, Value>, method: &Method, path: &str, mut operation: Value) {
    let path = path.replace("{*", "{");
    let method = method.as_str().to_ascii_lowercase();
    let named: Vec<String> = path.split(['{', '}']).skip(1).step_by(2).map(str::to_owned).collect();
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let id = [method.as_str()].into_iter().chain(words).collect::<Vec<_>>().join("_");
    if !named.is_empty() {
        let parameter = |name: &String| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
        operation["parameters"] = named.iter().map(parameter).collect();
    }
    operation["operationId"] = id.into();
    operation["responses"] = json!({
        "200": {"description": "As LiteLLM answers it"},
        "4XX": {"description": "What is wrong with the request, or with the key"},
    });
    let place = paths.entry(path).or_insert_with(|| json!({}));
    place[method] = operation;
}

/// What may be written of a kind of object.
fn schema(table: &Table) -> Value {
    let written = |field: &&Field| field.writer != Writer::Nobody || field.place == Place::Id;
    let fields = table.fields.iter().filter(written);
    let properties: Map<String, Value> =
        fields.map(|field| (field.name.to_owned(), property(field))).collect();
    json!({"type": "object", "properties": properties})
}

fn property(field: &Field) -> Value {
    let mut told = match field.form {
        Form::Text => json!({"type": ["string", "null"]}),
        Form::Texts => json!({"type": ["array", "null"], "items": {"type": "string"}}),
        Form::Map => json!({"type": ["object", "null"]}),
        Form::Maps => json!({"type": ["array", "null"], "items": {"type": "object"}}),
        Form::Dollars => json!({"type": ["number", "null"], "minimum": 0}),
        Form::Count => json!({"type": ["integer", "null"], "minimum": 0}),
        Form::Flag => json!({"type": ["boolean", "null"]}),
        Form::Span => json!({"type": ["string", "null"], "examples": ["30d"]}),
        Form::Moment => json!({"type": ["string", "null"], "format": "date-time"}),
        Form::Any => json!({}),
    };
    match field.writer {
        Writer::Anyone => {}
        Writer::Administrator => told["description"] = "Only proxy administrators write it.".into(),
        Writer::Nobody => told["description"] = "Names the object.".into(),
    }
    told
}

fn content(schema: &Value) -> Value {
    json!({"content": {"application/json": {"schema": schema}}})
}

fn with(mut told: Value, name: &str, value: Value) -> Value {
    told[name] = value;
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_document_once_and_every_body_belongs_to_a_route() {
        let document = document();
        let gateway = gatewright_gateway::ROUTES.iter().map(|route| (&route.method, route.path));
        let admin = gatewright_admin::ROUTES.iter().map(|route| (&route.method, route.path));
        let mut ids = std::collections::HashSet::new();
        for (method, path) in gateway.chain(admin) {
            let found = &document["paths"][path.replace("{*", "{")][method.as_str().to_ascii_lowercase()];
            let id = found["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
            assert!(ids.insert(id.to_owned()), "{id} twice");
        }
        let told: usize =
            document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(told, ids.len());
        for (path, table) in BODIES {
            let writes =
                |route: &&gatewright_admin::Route| route.path == *path && route.method != Method::GET;
            assert!(gatewright_admin::ROUTES.iter().any(|route| writes(&route)), "{path} of {}", table.word);
        }
        let key = &document["components"]["schemas"]["Key"]["properties"];
        assert_eq!(key["max_budget"]["minimum"], 0);
        assert_eq!(key["permissions"]["description"], "Only proxy administrators write it.");
        assert_eq!(key["spend"]["description"], "Only proxy administrators write it.");
        assert!(key.get("created_by").is_none());
    }
}
