//! Ollama's own API as the server writes it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Used};

/// A whole answer.
pub(super) fn whole(model: &str, said: &Said) -> Bytes {
    let mut message = json!({"role": "assistant", "content": said.text.concat()});
    if !said.reasoning.is_empty() {
        message["thinking"] = said.reasoning.concat().into();
    }
    if !said.tools.is_empty() {
        message["tool_calls"] = calls(said);
    }
    let mut whole = line(model, message);
    end(&mut whole, said);
    whole.to_string().into()
}

/// A streamed answer, one line an item.
pub(super) fn stream(model: &str, said: &Said) -> Vec<Bytes> {
    let thoughts =
        said.reasoning.iter().map(|piece| json!({"role": "assistant", "content": "", "thinking": piece}));
    let texts = said.text.iter().map(|piece| json!({"role": "assistant", "content": piece}));
    let called = (!said.tools.is_empty())
        .then(|| json!({"role": "assistant", "content": "", "tool_calls": calls(said)}));
    let mut lines: Vec<Value> =
        thoughts.chain(texts).chain(called).map(|message| line(model, message)).collect();
    let mut last = line(model, json!({"role": "assistant", "content": ""}));
    end(&mut last, said);
    lines.push(last);
    lines.into_iter().map(|line| format!("{line}\n").into()).collect()
}

/// An error body, and an error's line in a stream.
pub(super) fn error(message: &str) -> Bytes {
    format!("{}\n", json!({"error": message})).into()
}

fn line(model: &str, message: Value) -> Value {
    json!({"model": model, "created_at": "2026-01-02T03:04:05.678Z", "message": message, "done": false})
}

fn end(line: &mut Value, said: &Said) {
    let Used { input, output, .. } = said.used;
    line["done"] = true.into();
    line["done_reason"] = said.finish.as_deref().unwrap_or("stop").into();
    line["prompt_eval_count"] = input.into();
    line["eval_count"] = output.into();
}

fn calls(said: &Said) -> Value {
    said.tools
        .iter()
        .map(|tool| json!({"id": tool.id, "function": {"name": tool.name, "arguments": tool.input()}}))
        .collect()
}
