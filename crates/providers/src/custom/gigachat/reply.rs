//! Answers, whole ones and events: the function that is called as a tool, and what was read from the cache.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use gatewright_core::{Error, ErrorKind, Result};
use memchr::memmem;
use serde_json::{Map, Value, json};

use crate::authorize::random;

/// What shows that an answer, or an event, differs from OpenAI's. Most events of a stream do not.
const SIGNS: [&[u8]; 4] =
    [b"\"function_call\"", b"\"precached_prompt_tokens\"", b"\"blacklist\"", b"\"function_in_progress\""];

/// An answer, or an event, as OpenAI writes it; `None` where it does not differ, or is no JSON.
pub(super) fn answer(data: &[u8], older_functions: bool) -> Option<Vec<u8>> {
    if !SIGNS.iter().any(|sign| memmem::find(data, sign).is_some()) {
        return None;
    }
    let mut answer: Value = serde_json::from_slice(data).ok()?;
    for choice in answer.get_mut("choices")?.as_array_mut()? {
        read_choice(choice, older_functions);
    }
    if let Some(Value::Object(usage)) = answer.get_mut("usage") {
        read_usage(usage);
    }
    serde_json::to_vec(&answer).ok()
}

/// Vectors, whose usage stands with each.
pub(super) fn embedded(body: &[u8]) -> Result<Bytes> {
    let unreadable = || Error::new(ErrorKind::BadGateway, "the provider's answer could not be read");
    let mut answer: Value = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let items = answer.get_mut("data").and_then(Value::as_array_mut).ok_or_else(unreadable)?;
    let mut tokens = 0;
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        let usage = item.remove("usage").unwrap_or_default();
        tokens += usage["prompt_tokens"].as_u64().unwrap_or_default();
    }
    answer["usage"] = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(answer.to_string().into())
}

fn read_choice(choice: &mut Value, older_functions: bool) {
    let finish = choice["finish_reason"].as_str().unwrap_or_default();
    let finish = match finish {
        "blacklist" => Some("content_filter"),
        "function_call" if !older_functions => Some("tool_calls"),
        _ => None,
    };
    if let Some(finish) = finish {
        choice["finish_reason"] = finish.into();
    }
    let field = if choice.get("delta").is_some() { "delta" } else { "message" };
    let Some(Value::Object(message)) = choice.get_mut(field) else { return };
    // How long a function of the server's own will take.
    if message.get("role").is_some_and(|role| role == "function_in_progress") {
        message.insert("role".to_owned(), "assistant".into());
        message.insert("content".to_owned(), "".into());
    }
    let state = message.remove("functions_state_id");
    let Some(Value::Object(mut called)) = message.remove("function_call") else { return };
    let arguments = match called.remove("arguments") {
        Some(Value::String(text)) => text,
        None | Some(Value::Null) => "{}".to_owned(),
        Some(other) => other.to_string(),
    };
    called.insert("arguments".to_owned(), arguments.into());
    if older_functions {
        message.insert("function_call".to_owned(), called.into());
        return;
    }
    // The state's id comes back with the conversation, as the call's.
    let id = state.and_then(|state| state.as_str().map(str::to_owned)).unwrap_or_else(fresh_id);
    let call = json!([{"index": 0, "id": id, "type": "function", "function": called}]);
    message.insert("tool_calls".to_owned(), call);
}

/// Tokens that were read from the cache are not among the prompt's.
fn read_usage(usage: &mut Map<String, Value>) {
    let cached =
        usage.remove("precached_prompt_tokens").and_then(|tokens| tokens.as_u64()).unwrap_or_default();
    if cached == 0 {
        return;
    }
    for field in ["prompt_tokens", "total_tokens"] {
        let more = usage.get(field).and_then(Value::as_u64).unwrap_or_default().saturating_add(cached);
        usage.insert(field.to_owned(), more.into());
    }
    usage.insert("prompt_tokens_details".to_owned(), json!({"cached_tokens": cached}));
}

fn fresh_id() -> String {
    let numbers = random().unwrap_or_default();
    format!("call_{}", URL_SAFE_NO_PAD.encode(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &Value, older_functions: bool) -> Value {
        let read = super::answer(answer.to_string().as_bytes(), older_functions).unwrap();
        serde_json::from_slice(&read).unwrap()
    }

    #[test]
    fn a_function_that_is_called_is_a_tool_for_those_who_know_tools() {
        let called = json!({"name": "fc", "arguments": {"num_days": 0}});
        let message =
            json!({"content": "", "role": "assistant", "function_call": called, "functions_state_id": "s-1"});
        let answer = json!({"choices": [{"message": message, "index": 0, "finish_reason": "function_call"}]});
        let known = json!({"name": "fc", "arguments": "{\"num_days\":0}"});
        assert_eq!(
            read(&answer, false)["choices"][0],
            json!({
                "message": {"content": "", "role": "assistant", "tool_calls": [
                    {"index": 0, "id": "s-1", "type": "function", "function": known},
                ]},
                "index": 0, "finish_reason": "tool_calls",
            })
        );
        let older = &read(&answer, true)["choices"][0];
        assert_eq!(
            (&older["message"]["function_call"], &older["finish_reason"]),
            (&known, &json!("function_call"))
        );
        let nameless = json!({"choices": [{"delta": {"function_call": {"name": "fc"}}}]});
        let call = &read(&nameless, false)["choices"][0]["delta"]["tool_calls"][0];
        assert_eq!(call["function"]["arguments"], "{}");
        assert!(call["id"].as_str().is_some_and(|id| id.len() > 20), "{call}");
    }

    #[test]
    fn what_was_cached_is_read_too_and_a_banned_theme_is_a_filter() {
        let usage = json!({"prompt_tokens": 17, "completion_tokens": 10, "total_tokens": 27, "precached_prompt_tokens": 2});
        let answer = json!({"choices": [{"delta": {}, "finish_reason": "blacklist"}], "usage": usage});
        let read = read(&answer, false);
        assert_eq!(read["choices"][0]["finish_reason"], "content_filter");
        assert_eq!(
            read["usage"],
            json!({
                "prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
                "prompt_tokens_details": {"cached_tokens": 2},
            })
        );
        assert_eq!(super::answer(br#"{"choices":[{"delta":{"content":"a"}}]}"#, false), None);
    }
}
