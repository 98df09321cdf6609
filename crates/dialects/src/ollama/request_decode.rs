//! A client's request into the canonical conversation.

use gatewright_core::chat::{
    Chat, Effort, Extra, Media, MediaKind, MediaSource, Output, Part, Reasoning, Role, Tool, ToolResult, Turn,
};
use gatewright_core::{Error, ErrorKind, Json, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::options;
use super::words::CallIn;

#[derive(Deserialize)]
struct MessageIn {
    role: String,
    #[serde(default)]
    content: String,
    thinking: Option<String>,
    #[serde(default)]
    images: Option<Vec<String>>,
    #[serde(default)]
    tool_calls: Option<Vec<CallIn>>,
    tool_name: Option<String>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct ToolIn {
    function: FunctionIn,
}

#[derive(Deserialize)]
struct FunctionIn {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
}

/// Reads messages one by one; gives names to calls that have none, and finds the call that a result answers.
#[derive(Default)]
struct Reader {
    calls: u32,
    /// Calls without a result yet: tool and id.
    open: Vec<(String, String)>,
}

/// Reads the request.
pub(super) fn request(body: &Json) -> Result<Chat> {
    let mut chat = Chat { stream: streams(body)?, ..Chat::default() };
    let messages: Vec<MessageIn> =
        body.get("messages")?.ok_or_else(|| invalid("messages", "field required"))?;
    let mut reader = Reader::default();
    chat.turns = messages.into_iter().map(|message| reader.turn(message)).collect::<Result<_>>()?;
    for key in body.keys() {
        field(body, &key, &mut chat)?;
    }
    Ok(chat)
}

/// Whether the answer comes as a stream: it does where nothing is said.
pub(super) fn streams(body: &Json) -> Result<bool> {
    Ok(body.get("stream")?.unwrap_or(true))
}

fn field(body: &Json, key: &str, chat: &mut Chat) -> Result<()> {
    match key {
        "model" | "messages" | "stream" => {}
        "options" => {
            let own = options::read(body.get(key)?.unwrap_or_default(), chat);
            if !own.is_empty() {
                chat.extra.insert(key.to_owned(), Value::Object(own));
            }
        }
        "tools" => {
            let tools: Vec<ToolIn> = body.get(key)?.unwrap_or_default();
            chat.tools = tools.into_iter().map(ToolIn::read).collect();
        }
        "format" => chat.output = output(body.get(key)?),
        "think" => chat.reasoning = reasoning(body.get(key)?),
        "logprobs" => chat.sampling.logprobs = body.get(key)?,
        "top_logprobs" => chat.sampling.top_logprobs = body.get(key)?,
        _ => {
            if let Some(value) = body.get(key)? {
                chat.extra.insert(key.to_owned(), value);
            }
        }
    }
    Ok(())
}

fn output(format: Option<Value>) -> Output {
    match format {
        Some(Value::String(word)) if word == "json" => Output::JsonObject,
        // Other dialects want a name for a schema.
        Some(schema @ Value::Object(_)) => {
            Output::JsonSchema { name: "response".to_owned(), description: None, schema, strict: None }
        }
        _ => Output::Text,
    }
}

fn reasoning(think: Option<Value>) -> Option<Reasoning> {
    match think? {
        Value::Bool(on) => Some(Reasoning { off: !on, adaptive: on, ..Reasoning::default() }),
        Value::String(word) => Some(Reasoning { effort: Effort::parse(&word), ..Reasoning::default() }),
        _ => None,
    }
}

fn invalid(field: &'static str, what: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("{field}: {what}")).with_param(field)
}

// === impl Reader ===

impl Reader {
    fn turn(&mut self, message: MessageIn) -> Result<Turn> {
        let MessageIn { role, content, thinking, images, tool_calls, tool_name, tool_call_id } = message;
        let mut parts = Vec::new();
        let thought = thinking.filter(|text| !text.is_empty());
        parts.extend(thought.map(|text| Part::Reasoning { text, signature: None }));
        parts.extend((!content.is_empty()).then(|| Part::text(content)));
        parts.extend(images.into_iter().flatten().map(picture));
        for call in tool_calls.into_iter().flatten() {
            self.calls += 1;
            let call = call.read(|| format!("call_{}", self.calls));
            self.open.push((call.name.clone(), call.id.clone()));
            parts.push(Part::ToolCall(call));
        }
        let role = match role.as_str() {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => {
                let id = self.answered(tool_call_id, tool_name.as_deref());
                let result = ToolResult { id, parts, is_error: false, cache: None };
                return Ok(Turn::new(Role::User, vec![Part::ToolResult(result)]));
            }
            other => return Err(invalid("messages", &format!("unknown role '{other}'"))),
        };
        Ok(Turn::new(role, parts))
    }

    /// The id of the call that a result answers: the one that it names, else the first open one of its tool.
    fn answered(&mut self, id: Option<String>, tool: Option<&str>) -> String {
        let at = match &id {
            Some(id) => self.open.iter().position(|(_, open)| open == id),
            None => self.open.iter().position(|(name, _)| tool.is_none_or(|tool| tool == name)),
        };
        let open = at.map(|at| self.open.remove(at).1);
        id.or(open).or_else(|| tool.map(str::to_owned)).unwrap_or_default()
    }
}

impl ToolIn {
    fn read(self) -> Tool {
        let FunctionIn { name, description, parameters } = self.function;
        Tool::Function { name, description, parameters, strict: None, cache: None, extra: Extra::new() }
    }
}

/// Bytes alone: what they are is told by how they begin.
fn picture(data: String) -> Part {
    let kinds = [("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp")];
    let kind = kinds.iter().find(|(begin, _)| data.starts_with(begin)).map_or("image/png", |(_, kind)| kind);
    let source = MediaSource::Base64 { media_type: kind.to_owned(), data };
    Part::Media(Media { kind: MediaKind::Image, source, name: None, cache: None, extra: Map::new() })
}
