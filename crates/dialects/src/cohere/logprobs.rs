//! Likelihoods: Cohere tells them by piece of text, OpenAI by token.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A piece of text and the likelihoods of its tokens.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Piece {
    #[serde(default)]
    text: String,
    #[serde(default)]
    token_ids: Vec<i64>,
    #[serde(default)]
    logprobs: Vec<f64>,
}

/// As OpenAI writes them. A piece of several tokens is as likely as all of them together.
pub(super) fn read(pieces: &[Piece]) -> Value {
    let token = |piece: &Piece| {
        let logprob: f64 = piece.logprobs.iter().sum();
        json!({"token": piece.text, "logprob": logprob, "bytes": piece.text.as_bytes(), "top_logprobs": []})
    };
    json!({"content": pieces.iter().map(token).collect::<Vec<_>>(), "refusal": null})
}

/// As Cohere writes them.
pub(super) fn written(logprobs: &Value) -> Vec<Piece> {
    let tokens = logprobs.get("content").and_then(Value::as_array);
    let piece = |token: &Value| Piece {
        text: token.get("token").and_then(Value::as_str).unwrap_or_default().to_owned(),
        token_ids: Vec::new(),
        logprobs: token.get("logprob").and_then(Value::as_f64).into_iter().collect(),
    };
    tokens.into_iter().flatten().map(piece).collect()
}
