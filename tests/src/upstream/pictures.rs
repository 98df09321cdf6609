//! Pictures in the forms of those providers that have their own: all show the same.

use bytes::Bytes;
use serde_json::{Value, json};

/// A picture.
const PICTURE: &str = "aGk=";

/// Whether a request of Google's wants a picture among the words.
pub(super) fn wanted(asked: &Value) -> bool {
    let kinds = asked["generationConfig"]["responseModalities"].as_array();
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "IMAGE"))
}

/// A part of an answer of Google's models.
pub(super) fn part() -> Value {
    json!({"inlineData": {"mimeType": "image/png", "data": PICTURE}})
}

/// Imagen's, as many as are asked for; `None` where no picture is.
pub(super) fn predictions(asked: &Value) -> Option<Bytes> {
    asked["instances"][0].get("prompt")?;
    let count = asked["parameters"]["sampleCount"].as_u64().unwrap_or(4);
    let told: Vec<Value> =
        (0..count).map(|_| json!({"mimeType": "image/png", "bytesBase64Encoded": PICTURE})).collect();
    Some(json!({"predictions": told}).to_string().into())
}

/// Those of Amazon's `invoke`, in Amazon's own words or in Stability AI's; `None` where no picture is asked for.
pub(super) fn invoked(asked: &Value) -> Option<Bytes> {
    let told = match asked.get("taskType") {
        Some(_) => {
            let count = asked["imageGenerationConfig"]["numberOfImages"].as_u64().unwrap_or(1);
            json!({"images": (0..count).map(|_| PICTURE).collect::<Vec<_>>(), "error": null})
        }
        None => {
            asked.get("prompt").or(asked.get("image"))?;
            json!({"seeds": [1], "finish_reasons": [null], "images": [PICTURE]})
        }
    };
    Some(told.to_string().into())
}
