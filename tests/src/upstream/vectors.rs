//! Vectors in the forms of those providers that have their own: a text's length, and its place.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Used;

/// Google's, for texts in one batch.
pub(super) fn batch(asked: &Value) -> Bytes {
    let texts = list(&asked["requests"]).iter().map(|one| &one["content"]["parts"][0]["text"]);
    let vectors: Vec<Value> = vectors(texts).map(|vector| json!({"values": vector})).collect();
    json!({"embeddings": vectors}).to_string().into()
}

/// Vertex AI's, where vectors are predictions.
pub(super) fn predictions(asked: &Value) -> Bytes {
    let texts = list(&asked["instances"]).iter().map(|one| &one["content"]);
    let told = |vector| json!({"embeddings": {"values": vector, "statistics": {"token_count": 2, "truncated": false}}});
    json!({"predictions": vectors(texts).map(told).collect::<Vec<_>>()}).to_string().into()
}

/// Ollama's.
pub(super) fn embed(asked: &Value, used: &Used) -> Bytes {
    let one = [asked["input"].clone()];
    let texts = asked["input"].as_array().map_or(&one[..], Vec::as_slice);
    let vectors: Vec<Value> = vectors(texts.iter()).collect();
    json!({"model": asked["model"], "embeddings": vectors, "prompt_eval_count": used.input})
        .to_string()
        .into()
}

/// Amazon's own model's, one text a request, or Cohere's at Amazon's.
pub(super) fn invoked(asked: &Value, used: &Used) -> Bytes {
    let told = match asked.get("texts") {
        Some(texts) => {
            let vectors: Vec<Value> = vectors(list(texts).iter()).collect();
            json!({"id": "fake", "response_type": "embeddings_floats", "embeddings": vectors, "texts": texts})
        }
        None => json!({"embedding": vector(0, &asked["inputText"]), "inputTextTokenCount": used.input}),
    };
    told.to_string().into()
}

/// IBM's.
pub(super) fn of_ibm(asked: &Value, used: &Used) -> Value {
    let results: Vec<Value> =
        vectors(list(&asked["inputs"]).iter()).map(|vector| json!({"embedding": vector})).collect();
    json!({"model_id": asked["model_id"], "results": results, "input_token_count": used.input})
}

/// A ranking in IBM's form: the last document first.
pub(super) fn ranking_of_ibm(asked: &Value, used: &Used) -> Value {
    let count = list(&asked["inputs"]).len();
    let most = asked["parameters"]["return_options"]["top_n"].as_u64().map_or(count, |most| most as usize);
    let results: Vec<Value> =
        (0..count).rev().take(most).map(|place| json!({"index": place, "score": 7.5})).collect();
    json!({"model_id": asked["model_id"], "results": results, "input_token_count": used.input})
}

fn vectors<'a>(texts: impl Iterator<Item = &'a Value>) -> impl Iterator<Item = Value> {
    texts.enumerate().map(|(place, text)| vector(place, text))
}

fn vector(place: usize, text: &Value) -> Value {
    json!([text.as_str().map_or(0, str::len), place, 0.5])
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
