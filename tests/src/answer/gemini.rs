//! Reads `generateContent` as Google's client libraries do.

use serde_json::{Value, json};

use super::{Got, GotTool, GotUsage};

/// Reads a whole answer.
pub fn whole(body: &Value) -> Got {
    let mut got = Got::default();
    read(&mut got, body);
    ended(&mut got);
    got
}

/// Puts a stream together; each of its events is an answer.
pub fn stream(body: &[u8]) -> Got {
    let mut got = Got::default();
    for (_, data) in super::events(body) {
        match serde_json::from_str::<Value>(&data) {
            Ok(event) if event.get("error").is_some() => got.error = Some(event["error"].clone()),
            Ok(event) => read(&mut got, &event),
            Err(err) => got.fault(format!("an event is no JSON ({err}): {data}")),
        }
    }
    if got.error.is_none() {
        ended(&mut got);
    }
    got
}

fn read(got: &mut Got, answer: &Value) {
    if let Some(model) = answer["modelVersion"].as_str() {
        got.model = model.to_owned();
    }
    if let Some(usage) = usage(&answer["usageMetadata"]) {
        got.usage = Some(usage);
    }
    if answer["promptFeedback"]["blockReason"].is_string() {
        got.finish = Some("SAFETY".to_owned());
    }
    for candidate in answer["candidates"].as_array().into_iter().flatten() {
        let index = candidate["index"].as_u64().unwrap_or_default() as usize;
        got.choices = got.choices.max(index + 1);
        if index > 0 {
            continue;
        }
        if let Some(finish) = candidate["finishReason"].as_str() {
            got.finish = Some(finish.to_owned());
        }
        got.citations += candidate["groundingMetadata"]["groundingSupports"].as_array().map_or(0, Vec::len);
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            read_part(got, part);
        }
    }
}

fn read_part(got: &mut Got, part: &Value) {
    if let Some(signature) = part["thoughtSignature"].as_str() {
        got.signatures.push(signature.to_owned());
    }
    if let Some(call) = part.get("functionCall") {
        got.tools.push(GotTool {
            id: call["id"].as_str().unwrap_or_default().to_owned(),
            name: call["name"].as_str().unwrap_or_default().to_owned(),
            arguments: call.get("args").unwrap_or(&json!({})).to_string(),
        });
    }
    let Some(text) = part["text"].as_str() else { return };
    match part["thought"] == true {
        true => got.reasoning.push_str(text),
        false => got.text.push_str(text),
    }
}

fn usage(usage: &Value) -> Option<GotUsage> {
    let count = |key: &str| usage[key].as_u64();
    let input = count("promptTokenCount").or(count("totalTokenCount"))?;
    let reasoning = count("thoughtsTokenCount").unwrap_or_default();
    Some(GotUsage {
        input: input + count("toolUsePromptTokenCount").unwrap_or_default(),
        output: count("candidatesTokenCount").unwrap_or_default() + reasoning,
        cached: count("cachedContentTokenCount").unwrap_or_default(),
        cache_write: 0,
        reasoning,
    })
}

fn ended(got: &mut Got) {
    if got.finish.is_none() {
        got.fault("no candidate has a finishReason");
    }
}
