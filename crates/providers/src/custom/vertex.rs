//! Vertex AI: where its locations are, and in what the models' own requests differ there.

use gatewright_core::{Dialect, Json, JsonLimits, Losses, Operation, Result};
use serde_json::{Value, json};

use super::Wire;

/// The version that stands for Anthropic's header.
const CLAUDE: &str = "vertex-2023-10-16";

/// What differs from the dialects of Vertex's models.
pub(super) struct Vertex;

/// The host of a location, and the project of a service account.
pub(super) fn value(name: &str, known: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    match name {
        "vertex_host" => Some(match known("vertex_location")?.as_str() {
            "global" => "aiplatform.googleapis.com".to_owned(),
            // Locations of several regions.
            region @ ("us" | "eu") => format!("aiplatform.{region}.rep.googleapis.com"),
            region => format!("{region}-aiplatform.googleapis.com"),
        }),
        "vertex_project" => {
            let told = known("vertex_credentials")?;
            let text = match told.trim_start().starts_with('{') {
                true => told,
                false => std::fs::read_to_string(told).ok()?,
            };
            let value: Value = serde_json::from_str(&text).ok()?;
            let field = |key: &str| value.get(key)?.as_str().map(str::to_owned);
            field("project_id").or_else(|| field("quota_project_id"))
        }
        _ => None,
    }
}

impl Wire for Vertex {
    fn request(&self, body: &mut Json, asked: (Dialect, Operation), _losses: &mut Losses) -> Result<()> {
        match asked {
            // Claude's model stands in the address, except where only its tokens are counted.
            (Dialect::AnthropicMessages, Operation::CountTokens) => {
                body.set_string("anthropic_version", CLAUDE);
            }
            (Dialect::AnthropicMessages, _) => {
                body.remove("model");
                body.set_string("anthropic_version", CLAUDE);
            }
            (Dialect::Gemini, Operation::CountTokens) => count(body),
            (Dialect::Gemini, Operation::Embeddings) => predict(body),
            _ => {}
        }
        Ok(())
    }
}

/// A count takes the request's fields as they are, not a request inside.
fn count(body: &mut Json) {
    let Some(inner) = body.remove("generateContentRequest") else { return };
    let Ok(inner) = Json::parse(inner, JsonLimits::default()) else { return };
    for field in inner.fields().filter(|field| field.key != "model") {
        body.set(&field.key, field.raw.to_vec());
    }
}

/// Vectors are predictions, whose options stand beside the texts.
fn predict(body: &mut Json) {
    let Ok(Some(requests)) = body.get::<Vec<Value>>("requests") else { return };
    let size = requests.iter().find_map(|one| one.get("outputDimensionality").cloned());
    let instance = |one: &Value| {
        let parts = one.get("content").and_then(|content| content.get("parts")).and_then(Value::as_array);
        let text: String =
            parts.into_iter().flatten().filter_map(|part| part.get("text")?.as_str()).collect();
        let mut instance = json!({"content": text});
        for (theirs, ours) in [("task_type", "taskType"), ("title", "title")] {
            if let Some(value) = one.get(ours) {
                instance[theirs] = value.clone();
            }
        }
        instance
    };
    let instances: Value = requests.iter().map(instance).collect();
    body.remove("requests");
    body.set("instances", instances.to_string());
    if let Some(size) = size {
        body.set("parameters", json!({"outputDimensionality": size}).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_location_has_its_host() {
        for (location, host) in [
            ("us-central1", "us-central1-aiplatform.googleapis.com"),
            ("global", "aiplatform.googleapis.com"),
            ("eu", "aiplatform.eu.rep.googleapis.com"),
        ] {
            let known = |name: &str| (name == "vertex_location").then(|| location.to_owned());
            assert_eq!(value("vertex_host", &known).as_deref(), Some(host));
        }
    }

    #[test]
    fn the_project_is_the_service_accounts_where_none_is_told() {
        let known = |_: &str| Some(r#"{"type":"service_account","project_id":"p"}"#.to_owned());
        assert_eq!(value("vertex_project", &known).as_deref(), Some("p"));
    }

    #[test]
    fn requests_are_written_as_vertex_takes_them() {
        use Operation::{Chat, CountTokens, Embeddings};
        for (dialect, operation, body, want) in [
            (
                Dialect::AnthropicMessages,
                Chat,
                json!({"model": "claude", "messages": []}),
                json!({"messages": [], "anthropic_version": CLAUDE}),
            ),
            (
                Dialect::AnthropicMessages,
                CountTokens,
                json!({"model": "claude", "messages": []}),
                json!({"model": "claude", "messages": [], "anthropic_version": CLAUDE}),
            ),
            (
                Dialect::Gemini,
                CountTokens,
                json!({"generateContentRequest": {"model": "models/g", "contents": [1]}}),
                json!({"contents": [1]}),
            ),
            (
                Dialect::Gemini,
                Embeddings,
                json!({"requests": [{"model": "models/e", "content": {"parts": [{"text": "a"}]}, "taskType": "CLUSTERING", "outputDimensionality": 8}]}),
                json!({"instances": [{"content": "a", "task_type": "CLUSTERING"}], "parameters": {"outputDimensionality": 8}}),
            ),
            (Dialect::OpenAiChat, Chat, json!({"model": "m"}), json!({"model": "m"})),
        ] {
            let mut json = Json::parse(body.to_string().into(), JsonLimits::default()).unwrap();
            Vertex.request(&mut json, (dialect, operation), &mut Losses::default()).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&json.to_bytes()).unwrap(), want);
        }
    }
}
