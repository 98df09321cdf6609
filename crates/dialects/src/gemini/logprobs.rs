//! Likelihoods of tokens, between Gemini's form and OpenAI's.

use serde_json::{Map, Value, json};

/// A `logprobsResult` as OpenAI writes it.
pub(super) fn read(result: &Value) -> Option<Value> {
    let chosen = result.get("chosenCandidates")?.as_array()?;
    let top = result.get("topCandidates").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let entry = |candidate: &Value| {
        let token = candidate.get("token").and_then(Value::as_str).unwrap_or_default();
        let mut entry = Map::new();
        entry.insert("token".into(), token.into());
        entry.insert("logprob".into(), candidate.get("logProbability").cloned().unwrap_or_else(|| 0.into()));
        entry.insert("bytes".into(), token.as_bytes().into());
        entry
    };
    let content = chosen.iter().enumerate().map(|(at, candidate)| {
        let mut whole = entry(candidate);
        let others = top.get(at).and_then(|top| top.get("candidates")).and_then(Value::as_array);
        let others: Vec<Value> = others.into_iter().flatten().map(|other| entry(other).into()).collect();
        whole.insert("top_logprobs".into(), others.into());
        Value::Object(whole)
    });
    Some(json!({"content": content.collect::<Vec<_>>()}))
}

/// OpenAI's form as a `logprobsResult`.
pub(super) fn written(logprobs: &Value) -> Option<Value> {
    let content = logprobs.get("content")?.as_array()?;
    let candidate =
        |entry: &Value| json!({"token": entry.get("token"), "logProbability": entry.get("logprob")});
    let top = |entry: &Value| {
        let others = entry.get("top_logprobs").and_then(Value::as_array);
        json!({"candidates": others.into_iter().flatten().map(candidate).collect::<Vec<_>>()})
    };
    Some(json!({
        "chosenCandidates": content.iter().map(candidate).collect::<Vec<_>>(),
        "topCandidates": content.iter().map(top).collect::<Vec<_>>(),
    }))
}
