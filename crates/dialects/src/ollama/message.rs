//! Turns into messages.

use gatewright_core::Losses;
use gatewright_core::chat::{Media, MediaKind, MediaSource, Part, Role, ToolCall, ToolResult, Turn};
use serde::Serialize;
use serde_json::{Map, Value};

use super::words;
use crate::json::tells;
use crate::lost;

/// One message.
#[derive(Default, Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thinking: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

/// A call of a tool as it goes.
#[derive(Serialize)]
pub(super) struct Call<'a> {
    id: &'a str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: Map<String, Value>,
}

/// Writes the turns of one conversation.
pub(super) struct Messages<'a, 'l> {
    /// Whether the model reads its own earlier thoughts.
    thinks: bool,
    losses: &'l mut Losses,
    /// The calls so far: a result names its tool.
    calls: Vec<&'a ToolCall>,
    out: Vec<Message<'a>>,
}

// === impl Call ===

impl<'a> Call<'a> {
    /// The call as one.
    pub(super) fn new(call: &'a ToolCall) -> Self {
        let function = Function { name: &call.name, arguments: words::arguments(&call.arguments) };
        Self { id: &call.id, function }
    }
}

// === impl Messages ===

impl<'a, 'l> Messages<'a, 'l> {
    /// A writer for one conversation.
    pub(super) fn new(thinks: bool, losses: &'l mut Losses) -> Self {
        Self { thinks, losses, calls: Vec::new(), out: Vec::new() }
    }

    /// All turns as messages.
    pub(super) fn write(mut self, turns: &'a [Turn]) -> Vec<Message<'a>> {
        for turn in turns {
            self.report(turn);
            match turn.role {
                Role::System | Role::Developer => self.say("system", &turn.parts),
                Role::User => self.user(turn),
                Role::Assistant => self.say("assistant", &turn.parts),
            }
        }
        self.out
    }

    /// Results of tools are messages of their own and come first.
    fn user(&mut self, turn: &'a Turn) {
        let results = turn.parts.iter().filter_map(|part| match part {
            Part::ToolResult(result) => Some(result),
            _ => None,
        });
        let before = self.out.len();
        results.for_each(|result| self.result(result));
        let answers = self.out.len() > before;
        if !answers || turn.parts.iter().any(|part| !matches!(part, Part::ToolResult(_))) {
            self.say("user", &turn.parts);
        }
    }

    fn result(&mut self, result: &'a ToolResult) {
        // The words of a failed tool travel; that it failed has no place in this dialect.
        self.losses.add_if(result.is_error, "messages.tool_result.is_error");
        let named = self.calls.iter().rev().find(|call| call.id == result.id);
        let tool_name = named.map(|call| call.name.as_str());
        self.say("tool", &result.parts);
        if let Some(message) = self.out.last_mut() {
            message.tool_name = tool_name;
            message.tool_call_id = Some(&result.id);
        }
    }

    fn say(&mut self, role: &'static str, parts: &'a [Part]) {
        let mut message = Message { role, ..Message::default() };
        for part in parts {
            self.add(part, &mut message);
        }
        self.out.push(message);
    }

    fn add(&mut self, part: &'a Part, message: &mut Message<'a>) {
        match part {
            Part::Text { text, citations, .. } => {
                self.losses.add_if(!citations.is_empty(), "messages.citations");
                append(&mut message.content, text);
            }
            Part::Refusal(text) => append(&mut message.content, text),
            Part::Reasoning { text, signature } => {
                self.losses.add_if(!self.thinks, "messages.thinking");
                self.losses.add_if(self.thinks && signature.is_some(), "messages.thinking.signature");
                if self.thinks {
                    append(&mut message.thinking, text);
                }
            }
            Part::RedactedReasoning { .. } => self.losses.add("messages.redacted_thinking"),
            Part::ToolCall(call) => {
                self.calls.push(call);
                message.tool_calls.push(Call::new(call));
            }
            Part::Media(media) => self.media(media, message),
            Part::ToolResult(_) => {}
            Part::Other(value) => {
                let kind = value.get("type").and_then(Value::as_str).unwrap_or("other");
                self.losses.add(format!("messages.{kind}"));
            }
        }
    }

    /// Pictures are bytes alone, and the server fetches none. A document's text is read as text.
    fn media(&mut self, media: &'a Media, message: &mut Message<'a>) {
        let lost = match (media.kind, &media.source) {
            (MediaKind::Image, MediaSource::Base64 { data, .. }) => {
                let detail = media.extra.get("detail").and_then(Value::as_str);
                self.losses.add_if(detail.is_some_and(|word| word != "auto"), "messages.image_url.detail");
                return message.images.push(data);
            }
            (_, MediaSource::Text(text)) => {
                self.losses.add_if(media.name.is_some(), "messages.document.title");
                return append(&mut message.content, text);
            }
            (kind, source) => lost::medium(kind, source),
        };
        self.losses.add(lost);
    }

    fn report(&mut self, turn: &Turn) {
        self.losses.add_if(turn.name.is_some(), "messages.name");
        let told = turn.extra.iter().filter(|(_, value)| tells(value));
        told.for_each(|(key, _)| self.losses.add(format!("messages.{key}")));
    }
}

/// A message has one text: several are a line each, unless white space parts them already.
fn append(all: &mut String, text: &str) {
    let parted = all.ends_with(char::is_whitespace) || text.starts_with(char::is_whitespace);
    if !all.is_empty() && !text.is_empty() && !parted {
        all.push('\n');
    }
    all.push_str(text);
}
