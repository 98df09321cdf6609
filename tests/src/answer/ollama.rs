//! Reads Ollama's chats as Ollama's client libraries do.

use serde_json::Value;

use super::{Got, GotTool, GotUsage};

/// Reads a whole answer, or the lines of a stream; each of them is an answer with what is new in it.
pub fn read(body: &[u8]) -> Got {
    let mut got = Got { choices: 1, ..Got::default() };
    let mut done = false;
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<Value>(line) {
            Ok(_) if done => got.fault("a line comes after the last one"),
            Ok(answer) if answer.get("error").is_some() => got.error = Some(answer),
            Ok(answer) => {
                done = answer["done"] == true;
                take(&answer, &mut got);
            }
            Err(err) => {
                got.fault(format!("a line is no JSON ({err}): {}", String::from_utf8_lossy(line)));
            }
        }
    }
    if !done && got.error.is_none() {
        got.fault("no line is the last one");
    }
    got
}

fn take(answer: &Value, got: &mut Got) {
    got.model = text(&answer["model"]);
    let message = &answer["message"];
    got.text.push_str(&text(&message["content"]));
    got.reasoning.push_str(&text(&message["thinking"]));
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let (name, arguments) = (text(&call["function"]["name"]), call["function"]["arguments"].to_string());
        got.tools.push(GotTool { id: text(&call["id"]), name, arguments });
    }
    if let Some(reason) = answer["done_reason"].as_str() {
        got.finish = Some(reason.to_owned());
    }
    if let Some(input) = answer["prompt_eval_count"].as_u64() {
        let output = answer["eval_count"].as_u64().unwrap_or_default();
        got.usage = Some(GotUsage { input, output, ..GotUsage::default() });
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
