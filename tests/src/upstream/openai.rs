//! OpenAI Chat Completions as a provider writes it.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::cohere::ranked;
use super::{Said, Script, UsageForm, Used};

/// A whole answer.
pub(super) fn whole(id: &str, model: &str, said: &Said, script: &Script) -> Bytes {
    let mut message = json!({"role": "assistant", "content": null, "refusal": said.refusal});
    if !said.text.is_empty() {
        message["content"] = said.text.concat().into();
    }
    if !said.reasoning.is_empty() {
        message[&script.reasoning_field] = said.reasoning.concat().into();
    }
    if !said.tools.is_empty() {
        let call = |tool: &super::ToolUse| json!({"id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": tool.arguments()}});
        message["tool_calls"] = said.tools.iter().map(call).collect();
    }
    let choice = |index: usize| json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish(said)});
    let body = json!({
        "id": id, "object": "chat.completion", "created": 1_700_000_000, "model": model,
        "choices": (0..said.n.max(1)).map(choice).collect::<Vec<_>>(),
        "usage": usage(&said.used), "service_tier": "default", "system_fingerprint": "fp_fake",
    });
    body.to_string().into()
}

/// A streamed answer, one event an item.
pub(super) fn stream(id: &str, model: &str, said: &Said, script: &Script, asked: bool) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    for index in 0..said.n.max(1) {
        choice(index, (said, &script.reasoning_field), &mut chunks);
    }
    let own = json!([]);
    match script.usage {
        UsageForm::Asked if !asked => {}
        UsageForm::Never => {}
        UsageForm::Asked | UsageForm::Always => chunks.push((own, Some(usage(&said.used)))),
        UsageForm::WithFinish => {
            if let Some(last) = chunks.last_mut() {
                last.1 = Some(usage(&said.used));
            }
        }
        UsageForm::Everywhere => {
            let total = chunks.len() as u64;
            for (at, chunk) in (1..).zip(&mut chunks) {
                let so_far = Used { output: said.used.output * at / total, ..said.used };
                chunk.1 = Some(usage(&so_far));
            }
        }
    }
    let null_elsewhere = asked && script.usage == UsageForm::Asked;
    let write = |(choices, usage): (Value, Option<Value>)| {
        let mut chunk = json!({"id": id, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model, "service_tier": "default", "system_fingerprint": "fp_fake", "choices": choices});
        match usage {
            Some(usage) => chunk["usage"] = usage,
            None if null_elsewhere => chunk["usage"] = Value::Null,
            None => {}
        }
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let mut events: Vec<Bytes> = chunks.into_iter().map(write).collect();
    if script.done {
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    }
    events
}

/// A vector an input: its length in bytes, and its place. Two tokens an input.
pub(super) fn embeddings(body: &Value) -> Bytes {
    let one = [body["input"].clone()];
    let inputs = body["input"].as_array().map_or(&one[..], Vec::as_slice);
    let vector = |(at, input): (usize, &Value)| {
        let length = input.as_str().map_or(0, str::len);
        json!({"object": "embedding", "index": at, "embedding": [length, at]})
    };
    let data: Vec<Value> = inputs.iter().enumerate().map(vector).collect();
    let used = 2 * inputs.len();
    let told = json!({
        "object": "list", "data": data, "model": body["model"],
        "usage": {"prompt_tokens": used, "total_tokens": used},
    });
    told.to_string().into()
}

/// A ranking in Jina's form, or in Voyage's where its words ask for it.
pub(super) fn ranking(model: &str, asked: &Value, used: &Used) -> Bytes {
    let usage = json!({"total_tokens": used.input});
    let ranking = match asked.get("top_k").is_some() {
        true => json!({"object": "list", "model": model, "data": ranked(asked, "top_k"), "usage": usage}),
        false => json!({"model": model, "results": ranked(asked, "top_n"), "usage": usage}),
    };
    ranking.to_string().into()
}

/// An error body.
pub(super) fn error(status: u16, message: &str) -> Bytes {
    let kind = match status {
        400..=404 | 422 => "invalid_request_error",
        429 => "requests",
        _ => "server_error",
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": null}}).to_string().into()
}

/// An error in place of a chunk.
pub(super) fn error_event(message: &str) -> Bytes {
    format!("data: {}\n\n", json!({"error": {"message": message, "type": "server_error", "code": 500}}))
        .into()
}

type Chunk = (Value, Option<Value>);

fn choice(index: usize, (said, reasoning): (&Said, &str), chunks: &mut Vec<Chunk>) {
    let mut delta = |fields: Value, finish: Option<&str>| {
        chunks.push((
            json!([{"index": index, "delta": fields, "logprobs": null, "finish_reason": finish}]),
            None,
        ));
    };
    delta(json!({"role": "assistant", "content": "", "refusal": null}), None);
    for piece in &said.reasoning {
        delta(json!({ reasoning: piece }), None);
    }
    for piece in &said.text {
        delta(json!({"content": piece}), None);
    }
    if let Some(refusal) = &said.refusal {
        delta(json!({"refusal": refusal}), None);
    }
    for fields in tool_deltas(said) {
        delta(json!({"tool_calls": [fields]}), None);
    }
    delta(Value::Object(Map::new()), Some(&finish(said)));
}

fn tool_deltas(said: &Said) -> Vec<Value> {
    let start = |(at, tool): (usize, &super::ToolUse)| {
        let first = if tool.arguments.len() == 1 { tool.arguments() } else { String::new() };
        json!({"index": at, "id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": first}})
    };
    let rest = |(at, tool): (usize, &super::ToolUse)| -> Vec<Value> {
        let pieces: &[String] = if tool.arguments.len() == 1 { &[] } else { &tool.arguments };
        pieces.iter().map(|piece| json!({"index": at, "function": {"arguments": piece}})).collect()
    };
    if !said.interleave {
        return said
            .tools
            .iter()
            .enumerate()
            .flat_map(|tool| std::iter::once(start(tool)).chain(rest(tool)))
            .collect();
    }
    let mut out: Vec<Value> = said.tools.iter().enumerate().map(start).collect();
    let mut queues: Vec<_> = said.tools.iter().enumerate().map(|tool| rest(tool).into_iter()).collect();
    loop {
        let round: Vec<Value> = queues.iter_mut().filter_map(Iterator::next).collect();
        if round.is_empty() {
            return out;
        }
        out.extend(round);
    }
}

fn finish(said: &Said) -> String {
    let found = if said.tools.is_empty() { "stop" } else { "tool_calls" };
    said.finish.clone().unwrap_or_else(|| found.to_owned())
}

fn usage(used: &Used) -> Value {
    json!({
        "prompt_tokens": used.input, "completion_tokens": used.output, "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    })
}
