//! Turns into `systemInstruction` and `contents`.
//!
//! A signature belongs to a part. In the canonical conversation it is reasoning without text that stands before the
//! call, or beside the text, that it belongs to.

use std::borrow::Cow;
use std::collections::HashMap;

use gatewright_core::Losses;
use gatewright_core::chat::{Chat, Part, Role, ToolResult, Turn};
use serde::Serialize;
use serde_json::{Value, json};

use super::part_out::{Answered, Made, PartOut};
use super::words::UNSIGNED;
use crate::{lost, signature};

/// A conversation as the API wants it: instructions apart, and the two speakers taking turns.
pub(super) struct Dialogue<'a> {
    /// What all system turns say.
    pub(super) system: Vec<PartOut<'a>>,
    /// What was said.
    pub(super) contents: Vec<Content<'a>>,
    /// The tools' names by their calls' ids: results must name the tool.
    names: HashMap<&'a str, &'a str>,
    ways: Ways,
}

/// What the model takes of an earlier answer.
#[derive(Clone, Copy)]
pub(super) struct Ways {
    /// Whether it thinks, so that it takes its thoughts back.
    pub(super) thinks: bool,
    /// Whether it refuses a call that has no signature.
    pub(super) checks_calls: bool,
}

/// What one speaker says.
#[derive(Serialize)]
pub(super) struct Content<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) role: &'static str,
    pub(super) parts: Vec<PartOut<'a>>,
}

pub(super) const USER: &str = "user";
pub(super) const MODEL: &str = "model";

// === impl Dialogue ===

impl<'a> Dialogue<'a> {
    /// Sorts the turns.
    pub(super) fn new(chat: &'a Chat, ways: Ways, losses: &mut Losses) -> Self {
        let mut dialogue = Self { system: Vec::new(), contents: Vec::new(), names: HashMap::new(), ways };
        for turn in &chat.turns {
            report(turn, losses);
            match turn.role {
                Role::System | Role::Developer => dialogue.instruct(turn, losses),
                Role::User => {
                    let parts = dialogue.user(turn, losses);
                    dialogue.say(USER, parts);
                }
                Role::Assistant => {
                    let parts = dialogue.model(turn, losses);
                    dialogue.say(MODEL, parts);
                }
            }
        }
        dialogue
    }

    fn instruct(&mut self, turn: &'a Turn, losses: &mut Losses) {
        for part in &turn.parts {
            match part {
                Part::Text { text, .. } if text.is_empty() => {}
                Part::Text { text, .. } => self.system.push(PartOut::text(text.as_str())),
                _ => losses.add("messages.system"),
            }
        }
    }

    fn say(&mut self, role: &'static str, mut parts: Vec<PartOut<'a>>) {
        match self.contents.last_mut() {
            Some(last) if last.role == role => last.parts.append(&mut parts),
            // A model that said nothing is left out; an empty question goes on, so that the provider's own refusal
            // reaches the client.
            _ if parts.is_empty() && role == MODEL => {}
            _ => {
                if parts.is_empty() {
                    parts.push(PartOut::text(""));
                }
                self.contents.push(Content { role, parts });
            }
        }
    }

    fn user(&self, turn: &'a Turn, losses: &mut Losses) -> Vec<PartOut<'a>> {
        let mut out = Vec::new();
        for part in &turn.parts {
            match part {
                Part::ToolResult(result) => self.result(result, turn, &mut out, losses),
                Part::Text { text, .. } if text.is_empty() => {}
                Part::Text { text, .. } | Part::Refusal(text) => out.push(PartOut::text(text.as_str())),
                Part::Media(media) => out.push(PartOut::media(media)),
                Part::Other(value) => out.extend(own(value, losses)),
                Part::ToolCall(_) | Part::Reasoning { .. } | Part::RedactedReasoning { .. } => {
                    losses.add("messages.user");
                }
            }
        }
        out
    }

    /// The result as an object. What a tool gives besides words stands behind it.
    fn result(
        &self,
        result: &'a ToolResult,
        turn: &'a Turn,
        out: &mut Vec<PartOut<'a>>,
        losses: &mut Losses,
    ) {
        let mut text = String::new();
        let mut rest = Vec::new();
        for part in &result.parts {
            match part {
                Part::Text { text: more, .. } => text.push_str(more),
                Part::Media(media) => rest.push(PartOut::media(media)),
                Part::Other(value) => rest.extend(own(value, losses)),
                _ => losses.add("messages.tool_result"),
            }
        }
        let known = self.names.get(result.id.as_str()).copied();
        let name = known.or(turn.name.as_deref()).unwrap_or(&result.id);
        out.push(PartOut::answered(Answered {
            id: &result.id,
            name,
            response: object(text, result.is_error),
        }));
        out.append(&mut rest);
    }

    fn model(&mut self, turn: &'a Turn, losses: &mut Losses) -> Vec<PartOut<'a>> {
        let mut said =
            Said { out: Vec::new(), pending: None, ways: self.ways, called: false, calls_later: false };
        for (at, part) in turn.parts.iter().enumerate() {
            let rest = turn.parts.get(at + 1..).unwrap_or_default();
            let taker = rest
                .iter()
                .find(|part| matches!(part, Part::ToolCall(_) | Part::Reasoning { signature: Some(_), .. }));
            said.calls_later = matches!(taker, Some(Part::ToolCall(_)));
            match part {
                Part::Text { text, .. } | Part::Refusal(text) => {
                    if rest.first().is_some_and(is_lone_signature) {
                        said.settle();
                    }
                    said.text(text);
                }
                Part::Media(media) => said.other([PartOut::media(media)]),
                Part::ToolCall(call) => {
                    self.names.insert(&call.id, &call.name);
                    let signature = said.for_call();
                    said.out.push(PartOut::call(call, signature.map(Cow::Borrowed)));
                }
                Part::Reasoning { text, signature } => said.thought(text, signature.as_deref(), losses),
                Part::RedactedReasoning { .. } => losses.add("messages.redacted_thinking"),
                Part::Other(value) => said.other(own(value, losses)),
                Part::ToolResult(_) => losses.add("messages.tool_result"),
            }
        }
        said.end()
    }
}

/// Whether it signs the text before it: what stands before that text is not the text's then.
fn is_lone_signature(part: &Part) -> bool {
    matches!(part, Part::Reasoning { text, signature: Some(_) } if text.is_empty())
}

/// One turn of the model as far as it is written.
struct Said<'a> {
    out: Vec<PartOut<'a>>,
    /// The signature that no part has yet.
    pending: Option<&'a str>,
    ways: Ways,
    /// Whether a tool was called before: of calls side by side only the first is signed.
    called: bool,
    /// Whether one is called behind the part at hand, and no other signature between: it is the call's then.
    calls_later: bool,
}

impl<'a> Said<'a> {
    fn text(&mut self, text: &'a str) {
        if text.is_empty() {
            return;
        }
        self.out.push(PartOut::text(text));
        // OpenAI's clients have the signatures before the texts.
        if !self.calls_later {
            self.settle();
        }
    }

    /// What is neither text nor call takes no signature from before it.
    fn other(&mut self, parts: impl IntoIterator<Item = PartOut<'a>>) {
        if !self.calls_later {
            self.settle();
        }
        self.out.extend(parts);
    }

    fn thought(&mut self, text: &'a str, signature: Option<&'a str>, losses: &mut Losses) {
        if !self.ways.thinks {
            return losses.add("messages.reasoning");
        }
        let own = signature.and_then(signature::as_gemini);
        losses.add_if(signature.is_some() && own.is_none(), "messages.thinking.signature");
        let signature = own;
        if signature.is_some() {
            self.settle();
        }
        match (text.is_empty(), signature) {
            (true, signature) => {
                self.pending = signature.or(self.pending);
                if !self.calls_later && self.last_text().is_some() {
                    self.settle();
                }
            }
            // Its text was shown before a call, and the signature is the call's.
            (false, Some(signature)) if self.calls_later => {
                self.out.push(PartOut::thought(text, None));
                self.pending = Some(signature);
            }
            (false, signature) => self.out.push(PartOut::thought(text, signature.map(Cow::Borrowed))),
        }
    }

    fn for_call(&mut self) -> Option<&'a str> {
        let first = !std::mem::replace(&mut self.called, true);
        let unsigned = (first && self.ways.checks_calls).then_some(UNSIGNED);
        self.pending.take().or(unsigned)
    }

    /// Gives a signature that no call took to the text before it.
    fn settle(&mut self) {
        let Some(signature) = self.pending.take() else { return };
        match self.last_text() {
            Some(text) => text.thought_signature = Some(Cow::Borrowed(signature)),
            None => self.out.push(PartOut::signature(signature)),
        }
    }

    /// The text that was said last, where it has no signature yet.
    fn last_text(&mut self) -> Option<&mut Made<'a>> {
        match self.out.last_mut()? {
            PartOut::Made(made)
                if made.text.is_some() && !made.thought && made.thought_signature.is_none() =>
            {
                Some(made)
            }
            _ => None,
        }
    }

    fn end(mut self) -> Vec<PartOut<'a>> {
        self.settle();
        self.out
    }
}

/// The API takes objects only: words stand under the name that it documents for them.
fn object(text: String, is_error: bool) -> Value {
    if is_error {
        return json!({"error": text});
    }
    let structured = text.starts_with(['{', '[']).then(|| serde_json::from_str(&text).ok()).flatten();
    match structured {
        Some(Value::Object(object)) => Value::Object(object),
        Some(list) => json!({"output": list}),
        None => json!({"output": text}),
    }
}

/// What only one dialect knows goes back to it alone.
fn own<'a>(value: &'a Value, losses: &mut Losses) -> Option<PartOut<'a>> {
    if is_own(value) {
        return Some(PartOut::Own(value));
    }
    let kind = value.get("type").and_then(Value::as_str).unwrap_or("other");
    losses.add(format!("messages.{kind}"));
    None
}

/// Whether it is one of this dialect's parts.
pub(super) fn is_own(value: &Value) -> bool {
    const OWN: [&str; 6] = [
        "executableCode",
        "codeExecutionResult",
        "executable_code",
        "code_execution_result",
        "toolCall",
        "toolResponse",
    ];
    OWN.iter().any(|key| value.get(key).is_some())
}

fn report(turn: &Turn, losses: &mut Losses) {
    // A result's name is the tool's, and that is told.
    let is_result = turn.parts.iter().any(|part| matches!(part, Part::ToolResult(_)));
    losses.add_if(turn.name.is_some() && !is_result, "messages.name");
    lost::fields(turn, losses);
}
