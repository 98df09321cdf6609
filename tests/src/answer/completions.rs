//! Reads OpenAI Completions as OpenAI's client libraries do.

use serde_json::Value;

use super::{Got, openai};

/// Reads a whole answer.
pub fn whole(body: &Value) -> Got {
    let mut got = Got::default();
    take(body, &mut got);
    got
}

/// Puts a stream together.
pub fn stream(body: &[u8]) -> Got {
    let mut got = Got::default();
    let events = super::events(body);
    if events.last().is_none_or(|(_, data)| data != "[DONE]") {
        got.fault("the stream does not end with [DONE]");
    }
    for (_, data) in events.iter().filter(|(_, data)| data != "[DONE]") {
        match serde_json::from_str::<Value>(data) {
            Ok(chunk) if !chunk["error"].is_null() => got.error = Some(chunk["error"].clone()),
            Ok(chunk) => take(&chunk, &mut got),
            Err(err) => got.fault(format!("an event is no JSON ({err}): {data}")),
        }
    }
    got
}

fn take(body: &Value, got: &mut Got) {
    if body["object"] != "text_completion" {
        got.fault(format!("object is {}", body["object"]));
    }
    if let Some(model) = body["model"].as_str() {
        got.model = model.to_owned();
    }
    for choice in body["choices"].as_array().into_iter().flatten() {
        let index = choice["index"].as_u64().unwrap_or_default() as usize;
        got.choices = got.choices.max(index + 1);
        if index > 0 {
            continue;
        }
        got.text.push_str(choice["text"].as_str().unwrap_or_default());
        if let Some(reason) = choice["finish_reason"].as_str() {
            got.finish = Some(reason.to_owned());
        }
    }
    got.usage = openai::usage(&body["usage"]).or(got.usage);
}
