//! Reads Cohere's chats as Cohere's client libraries do.

use serde_json::{Value, json};

use super::{Got, GotTool, GotUsage};

/// Reads a whole answer.
pub fn whole(body: &Value) -> Got {
    let mut got = Got { choices: 1, ..Got::default() };
    if text(&body["id"]).is_empty() || body["message"]["role"] != "assistant" {
        got.fault("no message of the assistant with an id");
    }
    let message = &body["message"];
    list(&message["content"]).for_each(|part| take(part, &mut got));
    for call in list(&message["tool_calls"]) {
        got.tools.push(tool(call));
    }
    got.citations = list(&message["citations"]).count();
    end(body, &mut got);
    got
}

/// Puts a stream together.
pub fn stream(body: &[u8]) -> Got {
    let mut got = Got { choices: 1, ..Got::default() };
    let mut ended = false;
    for (name, data) in super::events(body) {
        let event: Value = match serde_json::from_str(&data) {
            Ok(event) => event,
            Err(err) => {
                got.fault(format!("an event is no JSON ({err}): {data}"));
                continue;
            }
        };
        if event["type"] != name.as_str() {
            got.fault(format!("an event of the type {} is named {name}", event["type"]));
        }
        let message = &event["delta"]["message"];
        match name.as_str() {
            "content-start" | "content-delta" => take(&message["content"], &mut got),
            "tool-call-start" => got.tools.push(tool(&message["tool_calls"])),
            "tool-call-delta" => {
                let more = text(&message["tool_calls"]["function"]["arguments"]);
                match got.tools.last_mut() {
                    Some(tool) => tool.arguments.push_str(&more),
                    None => got.fault("arguments come before their call"),
                }
            }
            "citation-start" => got.citations += 1,
            "message-end" => {
                ended = true;
                end(&event["delta"], &mut got);
                got.error = event["delta"].get("error").map(|error| json!({ "error": error }));
            }
            _ => {}
        }
    }
    if !ended {
        got.fault("the stream does not end with message-end");
    }
    got
}

fn take(part: &Value, got: &mut Got) {
    got.text.push_str(&text(&part["text"]));
    got.reasoning.push_str(&text(&part["thinking"]));
}

fn tool(call: &Value) -> GotTool {
    let function = &call["function"];
    GotTool { id: text(&call["id"]), name: text(&function["name"]), arguments: text(&function["arguments"]) }
}

fn end(body: &Value, got: &mut Got) {
    got.finish = body["finish_reason"].as_str().map(str::to_owned);
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let (usage, tokens) = (&body["usage"], &body["usage"]["tokens"]);
    got.usage = tokens["input_tokens"].as_u64().map(|input| GotUsage {
        input,
        output: number(&tokens["output_tokens"]),
        cached: number(&usage["cached_tokens"]),
        ..GotUsage::default()
    });
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
