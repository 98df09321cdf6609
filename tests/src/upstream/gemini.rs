//! Google's `generateContent` as a provider writes it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Used, pictures};

/// The model that a path names.
pub(super) fn model(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.split(':').next().unwrap_or_default()
}

/// A whole answer, with a picture where one is wanted.
pub(super) fn whole(id: &str, model: &str, said: &Said, drawn: bool) -> Bytes {
    let text = Some(said.text.concat()).filter(|text| !text.is_empty()).map(|text| json!({"text": text}));
    let picture = drawn.then(pictures::part);
    let parts: Vec<Value> = thoughts(said).chain(text).chain(picture).chain(calls(said)).collect();
    answer(id, model, parts, Some(said)).to_string().into()
}

/// A streamed answer, one event an item.
pub(super) fn stream(id: &str, model: &str, said: &Said) -> Vec<Bytes> {
    let parts = thoughts(said).chain(said.text.iter().map(|text| json!({"text": text}))).chain(calls(said));
    let mut events: Vec<Value> = parts.map(|part| answer(id, model, vec![part], None)).collect();
    events.push(answer(id, model, vec![json!({"text": ""})], Some(said)));
    events.iter().map(|event| format!("data: {event}\r\n\r\n").into()).collect()
}

/// A count of tokens.
pub(super) fn count(said: &Said) -> Bytes {
    let input = said.used.input;
    let details = json!([{"modality": "TEXT", "tokenCount": input}]);
    json!({"totalTokens": input, "promptTokensDetails": details}).to_string().into()
}

/// An error body.
pub(super) fn error(status: u16, message: &str) -> Bytes {
    let word = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    json!({"error": {"code": status, "message": message, "status": word}}).to_string().into()
}

/// An error event in a stream.
pub(super) fn error_event(message: &str) -> Bytes {
    let error = json!({"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}});
    format!("data: {error}\r\n\r\n").into()
}

fn answer(id: &str, model: &str, parts: Vec<Value>, ends: Option<&Said>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    let mut answer = json!({"modelVersion": model, "responseId": id});
    if let Some(said) = ends {
        candidate["finishReason"] = said.finish.clone().unwrap_or_else(|| "STOP".to_owned()).into();
        answer["usageMetadata"] = usage(&said.used);
    }
    answer["candidates"] = json!([candidate]);
    answer
}

fn thoughts(said: &Said) -> impl Iterator<Item = Value> {
    said.reasoning.iter().map(|text| json!({"text": text, "thought": true}))
}

/// Of calls side by side only the first is signed.
fn calls(said: &Said) -> impl Iterator<Item = Value> {
    said.tools.iter().enumerate().map(|(at, tool)| {
        let mut part = json!({"functionCall": {"name": tool.name, "args": tool.input()}});
        if let (0, Some(signature)) = (at, &said.signature) {
            part["thoughtSignature"] = signature.as_str().into();
        }
        part
    })
}

fn usage(used: &Used) -> Value {
    let candidates = used.output - used.reasoning;
    json!({
        "promptTokenCount": used.input, "candidatesTokenCount": candidates,
        "totalTokenCount": used.input + used.output, "thoughtsTokenCount": used.reasoning,
        "cachedContentTokenCount": used.cached,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": used.input}],
    })
}
