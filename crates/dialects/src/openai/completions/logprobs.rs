//! Likelihoods: lists side by side here, one object a token in chats.

use serde_json::{Map, Value, json};

/// In the chat's form; `None` where there are none.
pub(super) fn to_chat(older: &Value) -> Option<Value> {
    let tokens = older.get("tokens")?.as_array()?;
    let column =
        |key: &str, at: usize| older.get(key).and_then(|list| list.get(at)).cloned().unwrap_or_default();
    let content: Vec<Value> = tokens
        .iter()
        .enumerate()
        .map(|(at, token)| {
            let top = match column("top_logprobs", at) {
                Value::Object(top) => {
                    top.into_iter().map(|(token, logprob)| one(token.into(), logprob)).collect()
                }
                _ => Vec::new(),
            };
            let mut wire = one(token.clone(), column("token_logprobs", at));
            wire["top_logprobs"] = top.into();
            wire
        })
        .collect();
    Some(json!({"content": content, "refusal": null}))
}

fn one(token: Value, logprob: Value) -> Value {
    let bytes: Vec<u8> = token.as_str().unwrap_or_default().bytes().collect();
    json!({"token": token, "logprob": logprob, "bytes": bytes})
}

/// In this dialect's form; `None` where there are none. Places in the text count on from `before`, in characters.
pub(super) fn from_chat(chat: &Value, before: usize) -> Option<Value> {
    let content = chat.get("content")?.as_array()?;
    let (mut tokens, mut likely, mut top, mut offsets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut at = before;
    for entry in content {
        let token = entry.get("token").and_then(Value::as_str).unwrap_or_default();
        offsets.push(Value::from(at));
        at += token.chars().count();
        tokens.push(Value::from(token));
        likely.push(entry.get("logprob").cloned().unwrap_or_default());
        let others =
            entry.get("top_logprobs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let others: Map<String, Value> = others
            .iter()
            .filter_map(|other| {
                Some((other.get("token")?.as_str()?.to_owned(), other.get("logprob")?.clone()))
            })
            .collect();
        top.push(Value::Object(others));
    }
    Some(json!({"tokens": tokens, "token_logprobs": likely, "top_logprobs": top, "text_offset": offsets}))
}
