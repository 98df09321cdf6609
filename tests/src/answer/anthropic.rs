//! Reads Anthropic Messages as Anthropic's client libraries do.

use serde_json::{Value, json};

use super::{Got, GotTool, GotUsage};

/// Reads a whole answer.
pub fn whole(body: &Value) -> Got {
    let mut got = Got {
        model: text(&body["model"]),
        finish: body["stop_reason"].as_str().map(str::to_owned),
        usage: usage(&body["usage"]),
        choices: 1,
        ..Got::default()
    };
    if body["type"] != "message" || body["role"] != "assistant" || text(&body["id"]).is_empty() {
        got.fault("not a message of the assistant with an id");
    }
    if body.get("stop_sequence").is_none() {
        got.fault("no stop_sequence");
    }
    for block in body["content"].as_array().into_iter().flatten() {
        read_block(&mut got, block);
    }
    got
}

/// Puts a stream together.
pub fn stream(body: &[u8]) -> Got {
    let mut got = Got { choices: 1, ..Got::default() };
    let mut reader = Reader::default();
    for (name, data) in super::events(body) {
        match serde_json::from_str::<Value>(&data) {
            Ok(event) if event["type"] == name.as_str() => reader.event(&event, &mut got),
            Ok(event) => got.fault(format!("an event named {name:?} has the type {}", event["type"])),
            Err(err) => got.fault(format!("an event is no JSON ({err}): {data}")),
        }
    }
    for block in &reader.blocks {
        read_block(&mut got, block);
    }
    if got.error.is_none() && !reader.stopped {
        got.fault("the stream does not end with message_stop");
    }
    if reader.open.is_some() && got.error.is_none() {
        got.fault("a block is not stopped");
    }
    got
}

#[derive(Default)]
struct Reader {
    started: bool,
    delta_seen: bool,
    stopped: bool,
    open: Option<usize>,
    blocks: Vec<Value>,
    arguments: String,
    usage: Value,
}

impl Reader {
    fn event(&mut self, event: &Value, got: &mut Got) {
        if self.stopped {
            got.fault("an event comes after message_stop");
        }
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => self.start(&event["message"], got),
            "content_block_start" => self.block_start(event, got),
            "content_block_delta" => self.block_delta(event, got),
            "content_block_stop" => self.block_stop(event, got),
            "message_delta" => self.message_delta(event, got),
            "message_stop" => {
                if !self.delta_seen {
                    got.fault("message_stop without message_delta");
                }
                self.stopped = true;
            }
            "ping" => {}
            "error" => got.error = Some(event["error"].clone()),
            other => got.fault(format!("an unknown event {other:?}")),
        }
    }

    fn start(&mut self, message: &Value, got: &mut Got) {
        if self.started || text(&message["id"]).is_empty() || message["role"] != "assistant" {
            got.fault("a second message_start, or one without id or role");
        }
        if !message["content"].is_array() || !message["usage"].is_object() {
            got.fault("message_start has no content or no usage");
        }
        self.started = true;
        got.model = text(&message["model"]);
        self.merge_usage(&message["usage"], got);
    }

    fn block_start(&mut self, event: &Value, got: &mut Got) {
        if !self.started || self.delta_seen || self.open.is_some() {
            got.fault("a block starts out of order");
        }
        if event["index"] != self.blocks.len() {
            got.fault(format!("block {} starts where {} should", event["index"], self.blocks.len()));
        }
        self.open = Some(self.blocks.len());
        self.arguments.clear();
        self.blocks.push(event["content_block"].clone());
    }

    fn block_delta(&mut self, event: &Value, got: &mut Got) {
        if self.open.is_none_or(|open| event["index"] != open) {
            got.fault("a delta for a block that is not open");
        }
        let Some(block) = self.blocks.last_mut() else { return };
        let delta = &event["delta"];
        let kind = delta["type"].as_str().unwrap_or_default();
        let fits = match kind {
            "text_delta" | "citations_delta" => block["type"] == "text",
            "thinking_delta" | "signature_delta" => block["type"] == "thinking",
            "input_json_delta" => ["tool_use", "server_tool_use"].iter().any(|name| block["type"] == *name),
            _ => false,
        };
        if !fits {
            return got.fault(format!("a {kind} in a block of type {}", block["type"]));
        }
        match kind {
            "text_delta" => append(&mut block["text"], &delta["text"]),
            "thinking_delta" => append(&mut block["thinking"], &delta["thinking"]),
            "signature_delta" => append(&mut block["signature"], &delta["signature"]),
            "citations_delta" => match &mut block["citations"] {
                Value::Array(list) => list.push(delta["citation"].clone()),
                slot => *slot = json!([delta["citation"]]),
            },
            _ => self.arguments.push_str(delta["partial_json"].as_str().unwrap_or_default()),
        }
    }

    fn block_stop(&mut self, event: &Value, got: &mut Got) {
        if self.open.is_none_or(|open| event["index"] != open) {
            got.fault("a block stops that is not open");
        }
        self.open = None;
        if let (false, Some(block)) = (self.arguments.is_empty(), self.blocks.last_mut()) {
            match serde_json::from_str(&self.arguments) {
                Ok(input) => block["input"] = input,
                Err(_) => block["input"] = self.arguments.clone().into(),
            }
        }
    }

    fn message_delta(&mut self, event: &Value, got: &mut Got) {
        if !self.started || self.open.is_some() {
            got.fault("message_delta before the last block is stopped");
        }
        self.delta_seen = true;
        got.finish = event["delta"]["stop_reason"].as_str().map(str::to_owned);
        if event["usage"]["output_tokens"].as_u64().is_none() {
            got.fault("message_delta has no usage");
        }
        self.merge_usage(&event["usage"], got);
    }

    /// As Anthropic's libraries do: what is told later wins, what is not told stays.
    fn merge_usage(&mut self, later: &Value, got: &mut Got) {
        if !self.usage.is_object() {
            self.usage = json!({});
        }
        for (key, value) in later.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            self.usage[key] = value.clone();
        }
        got.usage = usage(&self.usage);
    }
}

fn read_block(got: &mut Got, block: &Value) {
    match block["type"].as_str().unwrap_or_default() {
        "text" => {
            got.text.push_str(&text(&block["text"]));
            got.citations += block["citations"].as_array().map_or(0, Vec::len);
        }
        "thinking" => {
            got.reasoning.push_str(&text(&block["thinking"]));
            got.signatures
                .extend(block["signature"].as_str().filter(|text| !text.is_empty()).map(str::to_owned));
        }
        "tool_use" => {
            if text(&block["id"]).is_empty() || text(&block["name"]).is_empty() {
                got.fault(format!("a tool use has no id or name: {block}"));
            }
            got.tools.push(GotTool {
                id: text(&block["id"]),
                name: text(&block["name"]),
                arguments: block["input"].to_string(),
            });
        }
        "" => got.fault(format!("a block has no type: {block}")),
        _ => {}
    }
}

fn append(slot: &mut Value, more: &Value) {
    *slot = (text(slot) + &text(more)).into();
}

fn usage(usage: &Value) -> Option<GotUsage> {
    let number = |key: &str| usage[key].as_u64().unwrap_or_default();
    let (cached, cache_write) = (number("cache_read_input_tokens"), number("cache_creation_input_tokens"));
    usage["input_tokens"].as_u64().map(|input| GotUsage {
        input: input + cached + cache_write,
        output: number("output_tokens"),
        cached,
        cache_write,
        reasoning: usage["output_tokens_details"]["thinking_tokens"].as_u64().unwrap_or_default(),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
