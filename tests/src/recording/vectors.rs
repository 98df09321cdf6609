//! Embeddings in every dialect that has them: the same numbers, whoever asks.

use serde_json::{Value, json};

use super::Case;
use crate::client::Response;

/// A dialect that clients ask for vectors in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedder {
    /// OpenAI.
    OpenAi,
    /// Cohere, version 2.
    Cohere,
    /// Ollama.
    Ollama,
}

// === impl Embedder ===

impl Embedder {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OpenAi, Self::Cohere, Self::Ollama];

    /// A request for the vectors on record: its path and body.
    pub fn ask(self, case: &Case, model: &str) -> (String, Value) {
        let input = match &case.client_request.body["input"] {
            Value::Array(texts) => texts.clone(),
            text => vec![text.clone()],
        };
        let (path, body) = match self {
            Self::OpenAi => ("/v1/embeddings", json!({"model": model, "input": input})),
            Self::Cohere => (
                "/v2/embed",
                json!({"model": model, "texts": input, "input_type": "search_document",
                       "embedding_types": ["float"]}),
            ),
            Self::Ollama => ("/api/embed", json!({"model": model, "input": input})),
        };
        (path.to_owned(), body)
    }

    /// What a client did not get; empty where that is nothing.
    pub fn received(self, case: &Case, response: &Response) -> Vec<String> {
        let reply = &case.upstream_response;
        let text = response.text();
        let mut misses = Vec::new();
        if response.status != reply.status {
            misses.push(format!("status {}, not {}: {text:.300}", response.status, reply.status));
        }
        if let Some(message) = case.expect.error.as_ref().and_then(|error| error["message"].as_str()) {
            let got: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            if !got.to_string().contains(&message.replace('"', "\\\"")) {
                misses.push(format!("the error says {got}, not {message:?}"));
            }
            return misses;
        }
        let got: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let recorded: Value = serde_json::from_slice(&reply.body.bytes()).unwrap_or_default();
        let (expected, vectors) = (vectors(&recorded), vectors(&got));
        if expected.is_empty() || vectors != expected {
            misses.push(format!("{} vectors, not {}: {text:.300}", vectors.len(), expected.len()));
        }
        let told = self.input_tokens(&got);
        if let Some(used) = case.expect.usage.get("prompt").filter(|used| told != Some(**used)) {
            misses.push(format!("{told:?} tokens read, not {used}"));
        }
        misses
    }

    fn input_tokens(self, answer: &Value) -> Option<u64> {
        let at = match self {
            Self::OpenAi => "/usage/prompt_tokens",
            Self::Cohere => "/meta/billed_units/input_tokens",
            Self::Ollama => "/prompt_eval_count",
        };
        answer.pointer(at)?.as_u64()
    }
}

/// The vectors of an answer, in whichever dialect it is; models reckon in single precision.
fn vectors(answer: &Value) -> Vec<Vec<f32>> {
    let list = |value: &Value| -> Vec<Value> { value.as_array().cloned().unwrap_or_default() };
    let found = match answer {
        _ if answer["data"].is_array() => {
            list(&answer["data"]).iter().map(|item| item["embedding"].clone()).collect()
        }
        _ if answer["embedding"]["values"].is_array() => vec![answer["embedding"]["values"].clone()],
        _ if answer["embeddings"]["float"].is_array() => list(&answer["embeddings"]["float"]),
        _ => list(&answer["embeddings"]),
    };
    let values = |vector: &Value| if vector.is_object() { vector["values"].clone() } else { vector.clone() };
    let numbers =
        |vector: Value| list(&vector).iter().filter_map(Value::as_f64).map(|number| number as f32).collect();
    found.iter().map(values).map(numbers).collect()
}
