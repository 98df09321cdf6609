//! Reads Bedrock's Converse as Amazon's client libraries do.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Got, GotTool, GotUsage};

/// Reads a whole answer.
pub fn whole(body: &Value) -> Got {
    let mut got = Got { choices: 1, ..Got::default() };
    let message = &body["output"]["message"];
    if message["role"] != "assistant" {
        got.fault("no message of the assistant");
    }
    for block in message["content"].as_array().into_iter().flatten() {
        take(block, &mut got);
    }
    got.finish = body["stopReason"].as_str().map(str::to_owned);
    got.usage = usage(&body["usage"]);
    got
}

/// Puts a stream together.
pub fn stream(body: &[u8]) -> Got {
    let mut got = Got { choices: 1, ..Got::default() };
    let mut blocks: BTreeMap<u64, Value> = BTreeMap::new();
    for (name, payload) in frames(body) {
        let index = payload["contentBlockIndex"].as_u64().unwrap_or_default();
        match name.as_str() {
            "contentBlockStart" => drop(blocks.insert(index, payload["start"].clone())),
            "contentBlockDelta" => append(blocks.entry(index).or_insert(json!({})), &payload["delta"]),
            "messageStop" => got.finish = payload["stopReason"].as_str().map(str::to_owned),
            "metadata" => got.usage = usage(&payload["usage"]),
            "messageStart" | "contentBlockStop" => {}
            _ => got.error = Some(payload),
        }
    }
    for block in blocks.values_mut() {
        if let Some(Value::String(input)) = block["toolUse"].get("input") {
            block["toolUse"]["input"] = serde_json::from_str(input).unwrap_or(Value::Null);
        }
        take(block, &mut got);
    }
    if got.finish.is_none() && got.error.is_none() {
        got.fault("the stream does not end with messageStop");
    }
    got
}

/// The frames of Amazon's event stream: a length, that of the headers and a checksum before, a checksum behind.
fn frames(mut body: &[u8]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    while body.len() >= 16 {
        let number = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap()) as usize;
        let (total, headers) = (number(0), number(4));
        let Some(frame) = body.get(..total) else { break };
        let name = name(&frame[12..12 + headers]);
        let payload = serde_json::from_slice(&frame[12 + headers..total - 4]).unwrap_or_default();
        found.push((name, payload));
        body = &body[total..];
    }
    found
}

/// What a frame is called by its headers, all of which are texts.
fn name(mut headers: &[u8]) -> String {
    let mut found = String::new();
    while let Some((length, rest)) = headers.split_first() {
        let (key, rest) = rest.split_at(usize::from(*length));
        let (size, rest) = rest[1..].split_at(2);
        let (value, rest) = rest.split_at(usize::from(u16::from_be_bytes([size[0], size[1]])));
        if key == b":event-type" || key == b":exception-type" {
            found = String::from_utf8_lossy(value).into_owned();
        }
        headers = rest;
    }
    found
}

fn append(block: &mut Value, delta: &Value) {
    match (block, delta) {
        (Value::Object(fields), Value::Object(more)) => {
            for (key, value) in more {
                append(fields.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::String(text), Value::String(more)) => text.push_str(more),
        (block, delta) => *block = delta.clone(),
    }
}

fn take(block: &Value, got: &mut Got) {
    got.text.push_str(&text(&block["text"]));
    let thought = &block["reasoningContent"];
    got.reasoning.push_str(&text(&thought["reasoningText"]["text"]));
    got.reasoning.push_str(&text(&thought["text"]));
    if let Some(call) = block.get("toolUse").filter(|call| call.is_object()) {
        let arguments = call.get("input").unwrap_or(&json!({})).to_string();
        got.tools.push(GotTool { id: text(&call["toolUseId"]), name: text(&call["name"]), arguments });
    }
    if let Some(cited) = block.get("citationsContent") {
        for part in cited["content"].as_array().into_iter().flatten() {
            got.text.push_str(&text(&part["text"]));
        }
    }
}

fn usage(usage: &Value) -> Option<GotUsage> {
    let number = |key: &str| usage[key].as_u64().unwrap_or_default();
    let (cached, cache_write) = (number("cacheReadInputTokens"), number("cacheWriteInputTokens"));
    usage["inputTokens"].as_u64().map(|input| GotUsage {
        input: input + cached + cache_write,
        output: number("outputTokens"),
        cached,
        cache_write,
        reasoning: 0,
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
