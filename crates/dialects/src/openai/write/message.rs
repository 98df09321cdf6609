//! Turns as messages.

use gatewright_core::chat::{CacheMark, Part, Role, Tool, ToolResult, Turn};
use gatewright_core::{Losses, ModelFacts, ReasoningControl};
use serde_json::{Map, Value, json};

use super::{function_call, mark, media, reasoning_text, thinking_blocks};
use crate::openai::responses::is_item;

/// Writes turns for one model.
pub(super) struct Messages<'a> {
    tools: &'a [Tool],
    /// Whether prompt-cache marks are understood behind the upstream.
    marks: bool,
    /// Whether the model reads its own earlier reasoning.
    reasoning: bool,
    /// Whether the upstream opens documents by their address.
    links: bool,
    losses: &'a mut Losses,
    out: Vec<Value>,
}

impl<'a> Messages<'a> {
    pub(super) fn new(tools: &'a [Tool], model: &ModelFacts, losses: &'a mut Losses) -> Self {
        Self {
            tools,
            marks: takes_marks(model),
            reasoning: model.reasoning != ReasoningControl::None && !is_openai(model),
            links: model.document_links,
            losses,
            out: Vec::new(),
        }
    }

    /// All turns as messages.
    pub(super) fn write(mut self, turns: &[Turn]) -> Vec<Value> {
        for turn in turns {
            match turn.role {
                Role::System => self.speech("system", turn),
                Role::Developer => self.speech("developer", turn),
                Role::User => self.user(turn),
                Role::Assistant => self.model(turn),
            }
        }
        self.out
    }

    fn speech(&mut self, role: &str, turn: &Turn) {
        let content = self.content(&turn.parts.iter().collect::<Vec<_>>()).unwrap_or_else(|| "".into());
        self.push(role, content, turn, Map::new());
    }

    /// Results of tools are messages of their own and come first: they must follow the calls directly. Their media
    /// go into the user's message, because a `tool` message can hold only text.
    fn user(&mut self, turn: &Turn) {
        let mut rest: Vec<&Part> = Vec::new();
        let mut any = false;
        for part in &turn.parts {
            if let Part::ToolResult(result) = part {
                any = true;
                self.result(result, turn);
                let before = rest.len();
                rest.extend(result.parts.iter().filter(|part| matches!(part, Part::Media(_))));
                self.losses.add_if(rest.len() > before, "messages.tool_result.media");
            }
        }
        rest.extend(turn.parts.iter().filter(|part| !matches!(part, Part::ToolResult(_))));
        match self.content(&rest) {
            Some(content) => self.push("user", content, turn, Map::new()),
            None if !any => self.push("user", "".into(), turn, Map::new()),
            None => {}
        }
    }

    fn result(&mut self, result: &ToolResult, turn: &Turn) {
        // The words of a failed tool travel; that it failed has no place in this dialect.
        self.losses.add_if(result.is_error, "messages.tool_result.is_error");
        let mut fields = Map::new();
        fields.insert("tool_call_id".into(), result.id.as_str().into());
        self.mark(&mut fields, result.cache);
        let told: Vec<&Part> = result.parts.iter().filter(|part| !matches!(part, Part::Media(_))).collect();
        let content = match told.is_empty() && !result.parts.is_empty() {
            true => "see the attached media in the next message".into(),
            false => self.content(&told).unwrap_or_else(|| "".into()),
        };
        // The name and the extras of a turn that is more than one result belong to its user message.
        match turn.parts.len() {
            1 => self.push("tool", content, turn, fields),
            _ => self.push("tool", content, &Turn::new(Role::User, Vec::new()), fields),
        }
    }

    fn model(&mut self, turn: &Turn) {
        let mut fields = Map::new();
        let said = |part: &&Part| matches!(part, Part::Text { .. } | Part::Media(_) | Part::Other(_));
        let content = self.content(&turn.parts.iter().filter(said).collect::<Vec<_>>());
        self.thoughts(turn, &mut fields);
        let refusals = turn.parts.iter().filter_map(|part| match part {
            Part::Refusal(text) => Some(text.as_str()),
            _ => None,
        });
        let refusal: String = refusals.collect();
        if !refusal.is_empty() {
            fields.insert("refusal".into(), refusal.into());
        }
        let calls = self.calls(turn);
        if !calls.is_empty() {
            fields.insert("tool_calls".into(), calls.into());
        }
        let content = content.unwrap_or_else(|| if fields.is_empty() { "".into() } else { Value::Null });
        self.push("assistant", content, turn, fields);
    }

    /// Reasoning as far as the model reads it; only what is signed comes back in blocks.
    fn thoughts(&mut self, turn: &Turn, fields: &mut Map<String, Value>) {
        let (text, blocks) = (reasoning_text(&turn.parts), thinking_blocks(&turn.parts));
        let keeps_blocks = self.reasoning && self.marks;
        self.losses.add_if(text.is_some() && !self.reasoning, "messages.thinking");
        if !keeps_blocks {
            let has = |found: fn(&Part) -> bool| turn.parts.iter().any(found);
            let signed = has(|part| matches!(part, Part::Reasoning { signature: Some(_), .. }));
            self.losses.add_if(signed, "messages.thinking.signature");
            let redacted = has(|part| matches!(part, Part::RedactedReasoning { .. }));
            self.losses.add_if(redacted, "messages.redacted_thinking");
        }
        fields.extend(text.filter(|_| self.reasoning).map(|text| ("reasoning_content".into(), text.into())));
        fields
            .extend(blocks.filter(|_| keeps_blocks).map(|blocks| ("thinking_blocks".into(), blocks.into())));
    }

    fn mark(&mut self, wire: &mut Map<String, Value>, cache: Option<CacheMark>) {
        let Some(cache) = cache else { return };
        self.losses.add_if(!self.marks, "messages.cache_control");
        if self.marks {
            wire.insert("cache_control".into(), mark(cache));
        }
    }

    fn calls(&mut self, turn: &Turn) -> Vec<Value> {
        let calls = turn.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        });
        calls
            .map(|call| {
                let mut wire = match is_custom(self.tools, &call.name) {
                    false => function_call(call),
                    true => {
                        let custom = json!({"name": call.name, "input": call.arguments});
                        let fields =
                            [("id", call.id.as_str().into()), ("type", "custom".into()), ("custom", custom)];
                        fields
                            .into_iter()
                            .map(|(key, value): (&str, Value)| (key.to_owned(), value))
                            .collect()
                    }
                };
                self.mark(&mut wire, call.cache);
                Value::Object(wire)
            })
            .collect()
    }

    /// Content as a string where that says it all, else as parts; `None` where there is none.
    fn content(&mut self, parts: &[&Part]) -> Option<Value> {
        if let [Part::Text { text, cache, citations }] = parts
            && (cache.is_none() || !self.marks)
        {
            self.losses.add_if(cache.is_some(), "messages.cache_control");
            self.losses.add_if(!citations.is_empty(), "messages.citations");
            return Some(text.as_str().into());
        }
        let parts: Vec<Value> = parts.iter().filter_map(|part| self.part(part)).collect();
        (!parts.is_empty()).then(|| parts.into())
    }

    fn part(&mut self, part: &Part) -> Option<Value> {
        let (mut wire, cache) = match part {
            Part::Text { text, cache, citations } => {
                self.losses.add_if(!citations.is_empty(), "messages.citations");
                let mut wire = Map::new();
                wire.insert("type".into(), "text".into());
                wire.insert("text".into(), text.as_str().into());
                (wire, *cache)
            }
            Part::Media(media) => (media::part(media, self.links, self.losses)?, media.cache),
            Part::Other(value) if is_foreign(value) => {
                self.losses.add("server_tool_blocks");
                return None;
            }
            // Cohere's plan for its tools: nobody else reads one.
            Part::Other(value) if value.get("type").is_some_and(|kind| kind == "tool_plan") => {
                self.losses.add("messages.tool_plan");
                return None;
            }
            Part::Other(value) => return Some(value.clone()),
            Part::Refusal(text) => return Some(json!({"type": "refusal", "refusal": text})),
            Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Reasoning { .. }
            | Part::RedactedReasoning { .. } => {
                return None;
            }
        };
        self.mark(&mut wire, cache);
        Some(Value::Object(wire))
    }

    fn push(&mut self, role: &str, content: Value, turn: &Turn, fields: Map<String, Value>) {
        let mut message = Map::new();
        message.insert("role".into(), role.into());
        message.insert("content".into(), content);
        message.extend(turn.name.as_deref().map(|name| ("name".to_owned(), name.into())));
        message.extend(fields);
        for (key, value) in &turn.extra {
            message.entry(key.clone()).or_insert_with(|| value.clone());
        }
        self.out.push(Value::Object(message));
    }
}

/// Prompt-cache marks are advice, which nobody misses where it is not understood; strict servers refuse it. Models
/// of Anthropic's kind and Gemini take it through OpenRouter and other gateways.
pub(super) fn takes_marks(model: &ModelFacts) -> bool {
    let name = model.name.to_ascii_lowercase();
    matches!(model.reasoning, ReasoningControl::Budget | ReasoningControl::Adaptive)
        || ["claude", "gemini"].iter().any(|family| name.contains(family))
}

/// OpenAI's own models refuse fields of a message that they do not know, reasoning among them.
fn is_openai(model: &ModelFacts) -> bool {
    let name = model.name.rsplit('/').next().unwrap_or_default();
    let series = |name: &str| name.starts_with('o') && name.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    (name.starts_with("gpt-") && !name.starts_with("gpt-oss")) || name.starts_with("chatgpt-") || series(name)
}

/// Whether a tool is one of OpenAI's custom tools, whose input is no JSON.
pub(super) fn is_custom(tools: &[Tool], name: &str) -> bool {
    tools.iter().any(|tool| match tool {
        Tool::Hosted(value) => {
            value.get("custom").and_then(|custom| custom.get("name")).is_some_and(|n| n == name)
        }
        Tool::Function { .. } => false,
    })
}

/// Anthropic's blocks and Responses' items that no other dialect knows.
fn is_foreign(value: &Value) -> bool {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    kind.ends_with("_tool_result")
        || ["server_tool_use", "mcp_tool_use", "container_upload", "search_result", "document", "compaction"]
            .contains(&kind)
        || is_item(value)
}
