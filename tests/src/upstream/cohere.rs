//! Cohere's API as the provider writes it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Used};

/// What Cohere counts of its own instructions and does not bill.
pub const UNBILLED: u64 = 10;

/// A whole answer.
pub(super) fn whole(id: &str, said: &Said) -> Bytes {
    let mut message = json!({"role": "assistant"});
    let thoughts = said.reasoning.concat();
    let mut content = Vec::new();
    if !thoughts.is_empty() {
        content.push(json!({"type": "thinking", "thinking": thoughts}));
    }
    if !said.text.is_empty() {
        content.push(json!({"type": "text", "text": said.text.concat()}));
    }
    if !content.is_empty() {
        message["content"] = content.into();
    }
    if !said.tools.is_empty() {
        let call = |tool: &super::ToolUse| {
            json!({"id": tool.id, "type": "function",
                   "function": {"name": tool.name, "arguments": tool.arguments()}})
        };
        message["tool_plan"] = "I will call.".into();
        message["tool_calls"] = said.tools.iter().map(call).collect();
    }
    json!({"id": id, "message": message, "finish_reason": finish(said), "usage": usage(&said.used)})
        .to_string()
        .into()
}

/// A streamed answer, one event an item.
pub(super) fn stream(id: &str, said: &Said) -> Vec<Bytes> {
    let mut events = Vec::new();
    let mut push = |kind: &str, mut data: Value| {
        data["type"] = kind.into();
        events.push(format!("event: {kind}\ndata: {data}\n\n").into());
    };
    let empty =
        json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
    push("message-start", json!({"id": id, "delta": {"message": empty}}));
    let mut index = 0;
    for (kind, pieces) in [("thinking", &said.reasoning), ("text", &said.text)] {
        if pieces.is_empty() {
            continue;
        }
        let content = |piece: &str| json!({"message": {"content": {kind: piece}}});
        let mut start = content("");
        start["message"]["content"]["type"] = kind.into();
        push("content-start", json!({"index": index, "delta": start}));
        for piece in pieces {
            push("content-delta", json!({"index": index, "delta": content(piece)}));
        }
        push("content-end", json!({"index": index}));
        index += 1;
    }
    if !said.tools.is_empty() {
        push("tool-plan-delta", json!({"delta": {"message": {"tool_plan": "I will call."}}}));
    }
    for (index, tool) in said.tools.iter().enumerate() {
        let call =
            json!({"id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": ""}});
        push("tool-call-start", json!({"index": index, "delta": {"message": {"tool_calls": call}}}));
        for piece in &tool.arguments {
            let call = json!({"function": {"arguments": piece}});
            push("tool-call-delta", json!({"index": index, "delta": {"message": {"tool_calls": call}}}));
        }
        push("tool-call-end", json!({"index": index}));
    }
    push("message-end", json!({"delta": {"finish_reason": finish(said), "usage": usage(&said.used)}}));
    events
}

/// Vectors: for each text one that tells its place.
pub(super) fn vectors(id: &str, asked: &Value, used: &Used) -> Bytes {
    let texts = asked["texts"].as_array().map_or(0, Vec::len);
    let floats: Vec<Value> = (0..texts).map(|place| json!([place, 0.5, -1.0])).collect();
    json!({"id": id, "response_type": "embeddings_by_type", "embeddings": {"float": floats},
           "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": used.input}}})
    .to_string()
    .into()
}

/// A ranking: the last document first.
pub(super) fn ranking(id: &str, asked: &Value) -> Bytes {
    json!({"id": id, "results": ranked(asked, "top_n"),
           "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}})
    .to_string()
    .into()
}

/// The documents from the last to the first, as many as are asked for.
pub(super) fn ranked(asked: &Value, most: &str) -> Vec<Value> {
    let documents = asked["documents"].as_array().map_or(0, Vec::len);
    let most = asked[most].as_u64().map_or(documents, |most| most as usize);
    let result = |place| json!({"index": place, "relevance_score": 0.5});
    (0..documents).rev().take(most).map(result).collect()
}

/// An error body.
pub(super) fn error(message: &str) -> Bytes {
    json!({"id": "fake", "message": message}).to_string().into()
}

/// The end of a stream that failed.
pub(super) fn error_event(message: &str) -> Bytes {
    let data = json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": message}});
    format!("event: message-end\ndata: {data}\n\n").into()
}

fn finish(said: &Said) -> String {
    let found = if said.tools.is_empty() { "COMPLETE" } else { "TOOL_CALL" };
    said.finish.clone().unwrap_or_else(|| found.to_owned())
}

fn usage(used: &Used) -> Value {
    json!({
        "billed_units": {"input_tokens": used.input.saturating_sub(UNBILLED), "output_tokens": used.output},
        "tokens": {"input_tokens": used.input, "output_tokens": used.output},
        "cached_tokens": used.cached,
    })
}
