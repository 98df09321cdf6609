//! OpenAI Responses as a provider writes it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Used};

/// A whole answer.
pub(super) fn whole(id: &str, body: &Value, said: &Said) -> Bytes {
    response(id, body, "completed", &output(said), Some(&said.used)).to_string().into()
}

/// A streamed answer, one event an item.
pub(super) fn stream(id: &str, body: &Value, said: &Said) -> Vec<Bytes> {
    let mut events = Events::default();
    for name in ["response.created", "response.in_progress"] {
        events.push(name, json!({"response": response(id, body, "in_progress", &[], None)}));
    }
    let output = output(said);
    for (at, item) in output.iter().enumerate() {
        events.item(at, item, said);
    }
    let whole = response(id, body, "completed", &output, Some(&said.used));
    events.push("response.completed", json!({"response": whole}));
    events.list
}

/// An error in place of an event.
pub(super) fn error_event(message: &str) -> Bytes {
    let event = json!({"type": "error", "code": "server_error", "message": message, "param": null, "sequence_number": 9});
    format!("event: error\ndata: {event}\n\n").into()
}

fn response(id: &str, body: &Value, status: &str, output: &[Value], used: Option<&Used>) -> Value {
    json!({
        "id": id, "object": "response", "created_at": 1_700_000_000, "status": status, "error": null,
        "incomplete_details": null, "instructions": body["instructions"], "model": body["model"], "output": output,
        "parallel_tool_calls": true, "previous_response_id": body["previous_response_id"], "store": true,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "truncation": "disabled", "usage": used.map(usage), "user": null, "metadata": {},
    })
}

fn output(said: &Said) -> Vec<Value> {
    let mut items = Vec::new();
    if !said.reasoning.is_empty() {
        let summary = json!([{"type": "summary_text", "text": said.reasoning.concat()}]);
        items.push(json!({"id": "rs_0", "type": "reasoning", "summary": summary, "encrypted_content": said.signature}));
    }
    let mut content = Vec::new();
    if !said.text.is_empty() {
        let text = said.text.concat();
        content.push(json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text}));
    }
    content.extend(said.refusal.iter().map(|words| json!({"type": "refusal", "refusal": words})));
    if !content.is_empty() {
        items.push(json!({"id": "msg_0", "type": "message", "status": "completed", "role": "assistant", "content": content}));
    }
    for tool in &said.tools {
        let (id, arguments) = (format!("fc_{}", tool.id), tool.arguments());
        items.push(json!({"id": id, "type": "function_call", "status": "completed", "call_id": tool.id, "name": tool.name, "arguments": arguments}));
    }
    items
}

fn usage(used: &Used) -> Value {
    json!({
        "input_tokens": used.input, "input_tokens_details": {"cached_tokens": used.cached},
        "output_tokens": used.output, "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.input + used.output,
    })
}

#[derive(Default)]
struct Events {
    list: Vec<Bytes>,
}

impl Events {
    fn push(&mut self, name: &str, mut fields: Value) {
        fields["type"] = name.into();
        fields["sequence_number"] = self.list.len().into();
        self.list.push(format!("event: {name}\ndata: {fields}\n\n").into());
    }

    fn item(&mut self, at: usize, item: &Value, said: &Said) {
        let mut begun = item.clone();
        begun["status"] = "in_progress".into();
        for (key, nothing) in [("content", json!([])), ("arguments", json!("")), ("summary", json!([]))] {
            if !begun[key].is_null() {
                begun[key] = nothing;
            }
        }
        self.push("response.output_item.added", json!({"output_index": at, "item": begun}));
        let place = |index: &str| json!({"item_id": item["id"], "output_index": at, index: 0});
        match item["type"].as_str() {
            Some("reasoning") => {
                let mut begun = place("summary_index");
                begun["part"] = json!({"type": "summary_text", "text": ""});
                self.push("response.reasoning_summary_part.added", begun);
                for piece in &said.reasoning {
                    let mut fields = place("summary_index");
                    fields["delta"] = piece.as_str().into();
                    self.push("response.reasoning_summary_text.delta", fields);
                }
            }
            Some("function_call") => {
                let tool = said.tools.iter().find(|tool| item["call_id"] == tool.id.as_str());
                for piece in tool.into_iter().flat_map(|tool| &tool.arguments) {
                    self.push(
                        "response.function_call_arguments.delta",
                        json!({"item_id": item["id"], "output_index": at, "delta": piece}),
                    );
                }
            }
            _ => {
                for (index, part) in item["content"].as_array().into_iter().flatten().enumerate() {
                    let mut fields = place("content_index");
                    fields["content_index"] = index.into();
                    self.part(&fields, part, said);
                }
            }
        }
        self.push("response.output_item.done", json!({"output_index": at, "item": item}));
    }

    /// A piece of a message: its text comes in the script's pieces, a refusal at once.
    fn part(&mut self, place: &Value, part: &Value, said: &Said) {
        let with = |key: &str, value: Value| {
            let mut fields = place.clone();
            fields[key] = value;
            fields
        };
        let is_text = part["type"] == "output_text";
        let (key, name) = if is_text { ("text", "output_text") } else { ("refusal", "refusal") };
        let mut begun = part.clone();
        begun[key] = "".into();
        self.push("response.content_part.added", with("part", begun));
        let refusal: Vec<String> = said.refusal.iter().cloned().collect();
        for piece in if is_text { &said.text } else { &refusal } {
            self.push(&format!("response.{name}.delta"), with("delta", piece.as_str().into()));
        }
        self.push(&format!("response.{name}.done"), with(key, part[key].clone()));
        self.push("response.content_part.done", with("part", part.clone()));
    }
}
