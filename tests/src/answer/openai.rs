//! Reads OpenAI Chat Completions as OpenAI's client libraries do.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Got, GotTool, GotUsage};

/// Reads a whole answer.
pub fn whole(body: &Value) -> Got {
    let mut got = Got { model: text(&body["model"]), usage: usage(&body["usage"]), ..Got::default() };
    if body["object"] != "chat.completion" {
        got.fault(format!("object is {}", body["object"]));
    }
    if text(&body["id"]).is_empty() || !body["created"].is_u64() {
        got.fault("no id or no created");
    }
    let choices = body["choices"].as_array().cloned().unwrap_or_default();
    got.choices = choices.len();
    for (at, choice) in choices.iter().enumerate() {
        if choice["index"] != at {
            got.fault(format!("choice {at} has index {}", choice["index"]));
        }
    }
    let Some(choice) = choices.first() else { return got };
    let message = &choice["message"];
    if message["role"] != "assistant" {
        got.fault("the message's role is not assistant");
    }
    got.finish = choice["finish_reason"].as_str().map(str::to_owned);
    read_parts(&mut got, message);
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        if call["type"] != "function" || !function["arguments"].is_string() {
            got.fault(format!("bad tool call {call}"));
        }
        got.tools.push(GotTool {
            id: text(&call["id"]),
            name: text(&function["name"]),
            arguments: text(&function["arguments"]),
        });
    }
    got.citations += body["citations"].as_array().map_or(0, Vec::len);
    got
}

/// Puts a stream together.
pub fn stream(body: &[u8]) -> Got {
    let mut got = Got::default();
    let mut reader = Reader::default();
    let events = super::events(body);
    if events.last().is_none_or(|(_, data)| data != "[DONE]") {
        got.fault("the stream does not end with [DONE]");
    }
    for (name, data) in events {
        if !name.is_empty() {
            got.fault(format!("an event is named {name}"));
        }
        match serde_json::from_str::<Value>(&data) {
            Ok(chunk) => reader.chunk(&chunk, &mut got),
            Err(_) if data == "[DONE]" => reader.done = true,
            Err(err) => got.fault(format!("an event is no JSON ({err}): {data}")),
        }
    }
    reader.end(&mut got);
    got
}

#[derive(Default)]
struct Reader {
    id: Option<Value>,
    tools: BTreeMap<u64, GotTool>,
    seen: BTreeMap<u64, Option<String>>,
    citations: usize,
    done: bool,
}

impl Reader {
    fn chunk(&mut self, chunk: &Value, got: &mut Got) {
        if self.done {
            got.fault("an event comes after [DONE]");
        }
        if !chunk["error"].is_null() {
            got.error = Some(chunk["error"].clone());
            return;
        }
        if chunk["object"] != "chat.completion.chunk" {
            got.fault(format!("object is {}", chunk["object"]));
        }
        if self.id.get_or_insert_with(|| chunk["id"].clone()) != &chunk["id"] {
            got.fault("the id changes");
        }
        got.model = text(&chunk["model"]);
        if let Some(usage) = usage(&chunk["usage"]) {
            got.usage = Some(usage);
        }
        self.citations = self.citations.max(chunk["citations"].as_array().map_or(0, Vec::len));
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            self.choice(choice, got);
        }
    }

    fn choice(&mut self, choice: &Value, got: &mut Got) {
        let Some(index) = choice["index"].as_u64() else { return got.fault("a choice has no index") };
        let finish = self.seen.entry(index).or_default();
        if finish.is_some() && !is_empty(&choice["delta"]) {
            got.fault(format!("choice {index} goes on after its finish"));
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            *finish = Some(reason.to_owned());
        }
        if index > 0 {
            return;
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            got.finish = Some(reason.to_owned());
        }
        read_parts(got, &choice["delta"]);
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            self.tool(call, got);
        }
    }

    fn tool(&mut self, call: &Value, got: &mut Got) {
        let Some(index) = call["index"].as_u64() else { return got.fault("a tool call has no index") };
        let expected = self.tools.len() as u64;
        if !self.tools.contains_key(&index) && index != expected {
            got.fault(format!("tool call {index} comes where {expected} should"));
        }
        let tool = self.tools.entry(index).or_default();
        if let Some(id) = call["id"].as_str().filter(|id| !id.is_empty()) {
            if !tool.id.is_empty() && tool.id != id {
                got.faults.push(format!("tool call {index} changes its id"));
            }
            id.clone_into(&mut tool.id);
        }
        if let Some(name) = call["function"]["name"].as_str() {
            tool.name.push_str(name);
        }
        if let Some(arguments) = call["function"]["arguments"].as_str() {
            tool.arguments.push_str(arguments);
        }
    }

    fn end(self, got: &mut Got) {
        got.choices = self.seen.len();
        got.citations += self.citations;
        got.tools = self.tools.into_values().collect();
        for tool in got.tools.clone() {
            if tool.id.is_empty() || tool.name.is_empty() {
                got.fault(format!("a tool call has no id or name: {tool:?}"));
            }
        }
        if got.error.is_none() && self.seen.values().any(Option::is_none) {
            got.fault("a choice has no finish reason");
        }
    }
}

fn read_parts(got: &mut Got, message: &Value) {
    got.text.push_str(&text(&message["content"]));
    got.refusal.push_str(&text(&message["refusal"]));
    got.reasoning.push_str(&text(&message["reasoning_content"]));
    got.citations += message["annotations"].as_array().map_or(0, Vec::len);
    // Those of the web stand among the annotations too.
    let is_other = |citation: &&Value| citation.is_object() && citation["url"].is_null();
    let own = &message["provider_specific_fields"];
    got.citations += Some(&own["citation"]).filter(is_other).iter().count();
    let lists = own["citations"].as_array().into_iter().flatten();
    got.citations += lists.filter_map(Value::as_array).flatten().filter(is_other).count();
    for block in message["thinking_blocks"].as_array().into_iter().flatten() {
        got.signatures.extend(block["signature"].as_str().filter(|text| !text.is_empty()).map(str::to_owned));
    }
}

pub(super) fn usage(usage: &Value) -> Option<GotUsage> {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    usage["prompt_tokens"].as_u64().map(|input| GotUsage {
        input,
        output: number(&usage["completion_tokens"]),
        cached: number(&usage["prompt_tokens_details"]["cached_tokens"]),
        cache_write: number(&usage["cache_creation_input_tokens"])
            .max(number(&usage["prompt_tokens_details"]["cache_creation_tokens"]))
            .max(number(&usage["prompt_tokens_details"]["cache_write_tokens"])),
        reasoning: number(&usage["completion_tokens_details"]["reasoning_tokens"]),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Whether a delta says nothing: some providers send one with empty fields after the finish.
fn is_empty(delta: &Value) -> bool {
    delta.as_object().is_none_or(|fields| {
        fields.iter().all(|(key, value)| {
            key == "role" || value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty)
        })
    })
}
