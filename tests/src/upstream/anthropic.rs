//! Anthropic Messages as a provider writes it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Used};

/// A whole answer.
pub(super) fn whole(id: &str, model: &str, said: &Said) -> Bytes {
    let mut content = Vec::new();
    if !said.reasoning.is_empty() {
        content.push(
            json!({"type": "thinking", "thinking": said.reasoning.concat(), "signature": said.signature}),
        );
    }
    if let Some(data) = &said.redacted {
        content.push(json!({"type": "redacted_thinking", "data": data}));
    }
    if !said.text.is_empty() {
        content.push(json!({"type": "text", "text": said.text.concat(), "citations": null}));
    }
    for tool in &said.tools {
        content.push(json!({"type": "tool_use", "id": tool.id, "name": tool.name, "input": tool.input()}));
    }
    json!({
        "id": id, "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": finish(said), "stop_sequence": null, "usage": usage(&said.used, said.used.output),
    })
    .to_string()
    .into()
}

/// A streamed answer, one event an item.
pub(super) fn stream(id: &str, model: &str, said: &Said) -> Vec<Bytes> {
    let mut out = Events::default();
    out.push(
        "message_start",
        json!({"message": {
            "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage(&said.used, 1),
        }}),
    );
    out.push("ping", json!({}));
    if !said.reasoning.is_empty() {
        let mut deltas: Vec<Value> =
            said.reasoning.iter().map(|piece| json!({"type": "thinking_delta", "thinking": piece})).collect();
        if let Some(signature) = &said.signature {
            deltas.push(json!({"type": "signature_delta", "signature": signature}));
        }
        out.block(json!({"type": "thinking", "thinking": "", "signature": ""}), deltas);
    }
    if let Some(data) = &said.redacted {
        out.block(json!({"type": "redacted_thinking", "data": data}), []);
    }
    if !said.text.is_empty() {
        let deltas = said.text.iter().map(|piece| json!({"type": "text_delta", "text": piece}));
        out.block(json!({"type": "text", "text": ""}), deltas);
    }
    for tool in &said.tools {
        let deltas = std::iter::once("")
            .chain(tool.arguments.iter().map(String::as_str))
            .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
        out.block(json!({"type": "tool_use", "id": tool.id, "name": tool.name, "input": {}}), deltas);
    }
    out.push(
        "message_delta",
        json!({
            "delta": {"stop_reason": finish(said), "stop_sequence": null},
            "usage": usage(&said.used, said.used.output),
        }),
    );
    out.push("message_stop", json!({}));
    out.events
}

/// An error body.
pub(super) fn error(status: u16, message: &str) -> Bytes {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"})
        .to_string()
        .into()
}

/// An error event in a stream.
pub(super) fn error_event(message: &str) -> Bytes {
    let data = json!({"type": "error", "error": {"type": "overloaded_error", "message": message}});
    format!("event: error\ndata: {data}\n\n").into()
}

#[derive(Default)]
struct Events {
    events: Vec<Bytes>,
    blocks: usize,
}

impl Events {
    fn push(&mut self, name: &str, mut fields: Value) {
        fields["type"] = name.into();
        self.events.push(format!("event: {name}\ndata: {fields}\n\n").into());
    }

    fn block(&mut self, start: Value, deltas: impl IntoIterator<Item = Value>) {
        let index = self.blocks;
        self.blocks += 1;
        self.push("content_block_start", json!({"index": index, "content_block": start}));
        for delta in deltas {
            self.push("content_block_delta", json!({"index": index, "delta": delta}));
        }
        self.push("content_block_stop", json!({"index": index}));
    }
}

fn finish(said: &Said) -> String {
    let found = if said.tools.is_empty() { "end_turn" } else { "tool_use" };
    said.finish.clone().unwrap_or_else(|| found.to_owned())
}

fn usage(used: &Used, output: u64) -> Value {
    json!({
        "input_tokens": used.input - used.cached - used.cache_write,
        "cache_read_input_tokens": used.cached, "cache_creation_input_tokens": used.cache_write,
        "cache_creation": {"ephemeral_5m_input_tokens": used.cache_write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output, "service_tier": "standard",
    })
}
