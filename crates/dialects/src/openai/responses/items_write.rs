//! Turns as items of a conversation.

use gatewright_core::Losses;
use gatewright_core::chat::{Part, Role, Tool, ToolCall, ToolResult, Turn};
use serde_json::{Map, Value, json};

use super::{content, custom, tools};

/// Writes turns for an upstream.
pub(super) struct Items<'a> {
    tools: &'a [Tool],
    losses: &'a mut Losses,
    out: Vec<Value>,
}

impl<'a> Items<'a> {
    pub(super) fn new(tools: &'a [Tool], losses: &'a mut Losses) -> Self {
        Self { tools, losses, out: Vec::new() }
    }

    /// The instructions, where the conversation begins with them, and all other turns as items.
    pub(super) fn write(mut self, turns: &[Turn]) -> (Option<String>, Vec<Value>) {
        let (first, rest) = match turns.split_first() {
            Some((first, rest)) if instructs(first) => (Some(self.instructions(first)), rest),
            _ => (None, turns),
        };
        for turn in rest {
            self.report(turn);
            match turn.role {
                Role::System => self.message("system", &turn.parts),
                Role::Developer => self.message("developer", &turn.parts),
                Role::User => self.user(turn),
                Role::Assistant => self.model(turn),
            }
        }
        (first, self.out)
    }

    fn instructions(&mut self, turn: &Turn) -> String {
        self.report(turn);
        let mut texts = Vec::new();
        for part in &turn.parts {
            if let Part::Text { text, cache, .. } = part {
                self.losses.add_if(cache.is_some(), "messages.cache_control");
                texts.push(text.as_str());
            }
        }
        texts.join("\n\n")
    }

    fn report(&mut self, turn: &Turn) {
        self.losses.add_if(turn.name.is_some(), "messages.name");
        for (key, value) in &turn.extra {
            if !matches!(value, Value::Null) {
                self.losses.add(format!("messages.{key}"));
            }
        }
    }

    fn message(&mut self, role: &str, parts: &[Part]) {
        let content: Vec<Value> = parts.iter().filter_map(|part| content::input(part, self.losses)).collect();
        self.out.push(json!({"type": "message", "role": role, "content": content}));
    }

    /// Results of tools come first: they must follow the calls directly.
    fn user(&mut self, turn: &Turn) {
        let mut rest: Vec<Part> = Vec::new();
        let mut any = false;
        for part in &turn.parts {
            match part {
                Part::ToolResult(result) => {
                    any = true;
                    self.result(result);
                }
                part => rest.push(part.clone()),
            }
        }
        if !rest.is_empty() || !any {
            self.message("user", &rest);
        }
    }

    fn result(&mut self, result: &ToolResult) {
        // The words of a failed tool travel; that it failed has no place in this dialect.
        self.losses.add_if(result.is_error, "messages.tool_result.is_error");
        self.losses.add_if(result.cache.is_some(), "messages.cache_control");
        let parts: Vec<Value> =
            result.parts.iter().filter_map(|part| content::input(part, self.losses)).collect();
        let output = match result.parts.as_slice() {
            [] => "".into(),
            [Part::Text { text, .. }] => text.as_str().into(),
            _ => Value::Array(parts),
        };
        let kind =
            if self.answers_custom(&result.id) { "custom_tool_call_output" } else { "function_call_output" };
        self.out.push(json!({"type": kind, "call_id": result.id, "output": output}));
    }

    fn answers_custom(&self, id: &str) -> bool {
        self.out.iter().any(|item| item["type"] == "custom_tool_call" && item["call_id"] == id)
    }

    fn model(&mut self, turn: &Turn) {
        let mut said: Vec<Value> = Vec::new();
        for part in &turn.parts {
            let item = match part {
                Part::Text { text, cache, .. } => {
                    self.losses.add_if(cache.is_some(), "messages.cache_control");
                    said.push(json!({"type": "output_text", "text": text, "annotations": []}));
                    continue;
                }
                Part::Refusal(text) => {
                    said.push(json!({"type": "refusal", "refusal": text}));
                    continue;
                }
                part => self.item(part),
            };
            // What stands between texts parts them.
            self.say(&mut said);
            self.out.extend(item);
        }
        self.say(&mut said);
    }

    fn say(&mut self, said: &mut Vec<Value>) {
        if !said.is_empty() {
            let content = std::mem::take(said);
            self.out.push(json!({"type": "message", "role": "assistant", "content": content}));
        }
    }

    fn item(&mut self, part: &Part) -> Option<Value> {
        match part {
            Part::ToolCall(call) => {
                self.losses.add_if(call.cache.is_some(), "messages.cache_control");
                Some(self.call(call))
            }
            // Reasoning that nothing proves is refused when it comes back.
            Part::Reasoning { text, signature } => {
                self.losses.add_if(signature.is_none(), "messages.thinking");
                signature.as_ref().map(|sealed| reasoning(Some(text), Some(sealed)))
            }
            Part::RedactedReasoning { data } => Some(reasoning(None, Some(data))),
            Part::Other(value) if is_own(value) => Some(value.clone()),
            Part::Other(_) => {
                self.losses.add("server_tool_blocks");
                None
            }
            Part::Media(_) => {
                self.losses.add("messages.assistant.media");
                None
            }
            Part::Text { .. } | Part::Refusal(_) | Part::ToolResult(_) => None,
        }
    }

    fn call(&self, call: &ToolCall) -> Value {
        let ToolCall { id, name, arguments, .. } = call;
        if tools::is_custom(self.tools, name) {
            return json!({"type": "custom_tool_call", "call_id": id, "name": name, "input": custom::input(arguments)});
        }
        let arguments = if arguments.is_empty() { "{}" } else { arguments };
        json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
    }
}

/// Whether a turn can stand in `instructions`, which hold nothing but text.
fn instructs(turn: &Turn) -> bool {
    turn.role == Role::System && turn.parts.iter().all(|part| matches!(part, Part::Text { .. }))
}

/// Reasoning as an item: a summary where it is in clear, if only an empty one.
pub(super) fn reasoning(text: Option<&str>, sealed: Option<&str>) -> Value {
    let summary: Vec<Value> = text.iter().map(|text| json!({"type": "summary_text", "text": text})).collect();
    let mut item = Map::new();
    item.insert("type".into(), "reasoning".into());
    item.insert("summary".into(), summary.into());
    item.extend(sealed.map(|sealed| ("encrypted_content".to_owned(), sealed.into())));
    Value::Object(item)
}

/// Whether something that no canonical part stands for is an item of this dialect: what hosted tools did, and
/// references to what the provider keeps.
pub(in crate::openai) fn is_own(value: &Value) -> bool {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    kind.ends_with("_call")
        || kind.ends_with("_call_output")
        || matches!(
            kind,
            "item_reference"
                | "mcp_list_tools"
                | "mcp_approval_request"
                | "mcp_approval_response"
                | "compaction"
        )
}
