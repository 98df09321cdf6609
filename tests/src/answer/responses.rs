//! Reads OpenAI Responses as OpenAI's client libraries do.

use serde_json::Value;

use super::{Got, GotTool, GotUsage};

/// Reads a whole answer.
pub fn whole(body: &Value) -> Got {
    let mut got =
        Got { model: text(&body["model"]), choices: 1, usage: usage(&body["usage"]), ..Got::default() };
    if body["object"] != "response" || text(&body["id"]).is_empty() || !body["created_at"].is_number() {
        got.fault("no response with an id and a time");
    }
    got.finish = body["status"].as_str().map(str::to_owned);
    for item in list(&body["output"]) {
        match item["type"].as_str() {
            Some("message") => list(&item["content"]).for_each(|part| take(part, &mut got)),
            Some("reasoning") => {
                list(&item["summary"]).for_each(|part| got.reasoning.push_str(&text(&part["text"])));
                got.signatures.extend(item["encrypted_content"].as_str().map(str::to_owned));
            }
            Some("function_call") => got.tools.push(GotTool {
                id: text(&item["call_id"]),
                name: text(&item["name"]),
                arguments: text(&item["arguments"]),
            }),
            _ => {}
        }
    }
    got
}

/// Puts a stream together: what its deltas come to must be what its end says.
pub fn stream(body: &[u8]) -> Got {
    let mut got = Got::default();
    let mut told = String::new();
    for (at, (name, data)) in super::events(body).into_iter().enumerate() {
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
        match name.as_str() {
            "error" => got.error = Some(event.clone()),
            "response.completed" | "response.incomplete" => {
                let faults = std::mem::take(&mut got.faults);
                got = whole(&event["response"]);
                got.faults.extend(faults);
            }
            "response.output_text.delta" => told.push_str(&text(&event["delta"])),
            _ => {}
        }
        if name != "error" && event["sequence_number"] != at {
            got.fault(format!("event {at} has the number {}", event["sequence_number"]));
        }
    }
    if got.error.is_none() && told != got.text {
        got.fault(format!("the deltas say {told:?}"));
    }
    got
}

fn take(part: &Value, got: &mut Got) {
    got.text.push_str(&text(&part["text"]));
    got.refusal.push_str(&text(&part["refusal"]));
    got.citations += list(&part["annotations"]).count();
}

fn usage(usage: &Value) -> Option<GotUsage> {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    usage.is_object().then(|| GotUsage {
        input: number(&usage["input_tokens"]),
        output: number(&usage["output_tokens"]),
        cached: number(&usage["input_tokens_details"]["cached_tokens"]),
        cache_write: number(&usage["input_tokens_details"]["cache_write_tokens"]),
        reasoning: number(&usage["output_tokens_details"]["reasoning_tokens"]),
    })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
