//! What was asked and what was answered, as the conventions' messages: only where that is switched on, and never much.

use gatewright_core::chat::{
    Answer, Chat, Choice, Finish, Media, MediaKind, MediaSource, Part, Role, Tool, Turn,
};
use gatewright_core::{Call, Codec, End, Frame, Operation, Outcome};
use gatewright_dialects::{Said, Transcript};
use serde_json::{Value, json};

use crate::attributes::Attributes;
use crate::{Detail, open_inference, semconv};

/// What each part takes besides its text, so that there cannot be any number of empty ones.
const PART: usize = 32;

/// So many bytes of a stream are collected for each byte that is told of it: a few letters come in an event of hundreds.
const WIRE: usize = 32;

/// The answer of one call, as it passes.
pub(crate) struct Captured {
    transcript: Transcript,
    codec: &'static dyn Codec,
    most: usize,
    asked_too_much: bool,
}

/// The room for one side of a conversation.
pub(crate) struct Room {
    left: usize,
    cut: bool,
}

// === impl Captured ===

impl Captured {
    /// Tells what was asked, and will tell what is answered. Nothing where it is not to be told: not switched on, or taken
    /// back by the key, its team or the client.
    pub(crate) fn of(call: &Call, detail: &Detail, told: &mut Attributes) -> Option<Self> {
        if !detail.content || call.operation != Operation::Chat || is_kept_quiet(call) {
            return None;
        }
        let chat = call.chat().ok()?;
        let mut room = Room::new(detail.content_bytes);
        tell_question(chat, &mut room, told);
        if detail.open_inference {
            let mut room = Room::new(detail.content_bytes);
            open_inference::tell_question(chat, &mut room, told);
        }
        let (most, asked_too_much) = (detail.content_bytes, room.cut);
        Some(Self {
            transcript: Transcript::new(most.saturating_mul(WIRE)),
            codec: call.codec,
            most,
            asked_too_much,
        })
    }

    pub(crate) fn take(&mut self, frame: &Frame) {
        self.transcript.take(frame);
    }

    /// Tells what was answered as far as it came.
    pub(crate) fn read(&self, streams: bool, outcome: &Outcome<'_>, told: &mut Attributes) -> Answer {
        let read = self.transcript.read(self.codec, Operation::Chat, streams);
        let answer = match read.said {
            Said::Answer(answer) => *answer,
            Said::Json(_) | Said::Nothing => Answer::default(),
        };
        let mut room = Room::new(self.most);
        let whole = matches!(outcome.end, End::Complete);
        let messages: Vec<Value> =
            answer.choices.iter().map(|choice| message_of(choice, whole, &mut room)).collect();
        told.put(semconv::OUTPUT_MESSAGES, &Value::Array(messages).to_string());
        if room.cut || self.asked_too_much || self.transcript.is_truncated() {
            told.put(semconv::CONTENT_CUT, true);
        }
        answer
    }
}

// === impl Room ===

impl Room {
    pub(crate) fn new(left: usize) -> Self {
        Self { left, cut: false }
    }

    /// As much of a text as there is room for.
    pub(crate) fn text<'a>(&mut self, text: &'a str) -> &'a str {
        self.left = self.left.saturating_sub(PART);
        let end = text.floor_char_boundary(self.left);
        self.left -= end;
        self.cut |= end < text.len();
        text.get(..end).unwrap_or_default()
    }

    /// Whether there is any room; where there is none, something is left out.
    pub(crate) fn is_open(&mut self) -> bool {
        self.cut |= self.left == 0;
        self.left > 0
    }
}

/// Whether somebody who may say so wants nothing of what was said to be kept.
fn is_kept_quiet(call: &Call) -> bool {
    let wishes = &call.controls.record;
    wishes.redact || wishes.skip || call.caller.recording.as_ref().is_some_and(|caller| caller.redact)
}

/// The newest turns have the room first: they are what the answer is about.
fn tell_question(chat: &Chat, room: &mut Room, told: &mut Attributes) {
    let (instructions, turns): (Vec<&Turn>, Vec<&Turn>) =
        chat.turns.iter().partition(|turn| matches!(turn.role, Role::System | Role::Developer));
    let mut messages = Vec::new();
    for turn in turns.into_iter().rev() {
        if !room.is_open() {
            break;
        }
        messages.push(json!({"role": role(turn), "parts": parts(&turn.parts, room)}));
    }
    messages.reverse();
    told.put(semconv::INPUT_MESSAGES, &Value::Array(messages).to_string());
    let instructions: Vec<Value> = instructions.iter().flat_map(|turn| parts(&turn.parts, room)).collect();
    if !instructions.is_empty() {
        told.put(semconv::SYSTEM_INSTRUCTIONS, &Value::Array(instructions).to_string());
    }
    let mut tools = Vec::new();
    for tool in &chat.tools {
        if room.is_open() {
            tools.extend(definition(tool, room));
        }
    }
    if !tools.is_empty() {
        told.put(semconv::TOOL_DEFINITIONS, &Value::Array(tools).to_string());
    }
}

fn message_of(choice: &Choice, whole: bool, room: &mut Room) -> Value {
    let reason = if whole { reason(choice.finish) } else { "error" };
    json!({"role": "assistant", "parts": parts(&choice.parts, room), "finish_reason": reason})
}

/// Results of tools are turns of the user's here, and of the tool's there.
pub(crate) fn role(turn: &Turn) -> &'static str {
    match (turn.role, turn.parts.first()) {
        (_, Some(Part::ToolResult(_))) => "tool",
        (Role::System | Role::Developer, _) => "system",
        (Role::User, _) => "user",
        (Role::Assistant, _) => "assistant",
    }
}

fn parts(parts: &[Part], room: &mut Room) -> Vec<Value> {
    let mut told = Vec::new();
    for part in parts {
        if room.is_open() {
            told.extend(one(part, room));
        }
    }
    told
}

fn one(part: &Part, room: &mut Room) -> Option<Value> {
    Some(match part {
        Part::Text { text, .. } => json!({"type": "text", "content": room.text(text)}),
        Part::Refusal(text) => json!({"type": "refusal", "content": room.text(text)}),
        Part::Reasoning { text, .. } => json!({"type": "reasoning", "content": room.text(text)}),
        Part::ToolCall(call) => {
            let arguments = room.text(&call.arguments);
            let arguments = serde_json::from_str(arguments).unwrap_or_else(|_| json!(arguments));
            json!({"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments})
        }
        Part::ToolResult(result) => {
            json!({"type": "tool_call_response", "id": result.id, "response": parts(&result.parts, room)})
        }
        Part::Media(media) => medium(media, room),
        // Opaque to everybody but the provider, or known to one dialect alone.
        Part::RedactedReasoning { .. } | Part::Other(_) => return None,
    })
}

/// Bytes of media are told of, not told.
fn medium(media: &Media, room: &mut Room) -> Value {
    let modality = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    };
    match &media.source {
        MediaSource::Url(url) => json!({"type": "uri", "modality": modality, "uri": room.text(url)}),
        MediaSource::Base64 { media_type, .. } => {
            json!({"type": "blob", "modality": modality, "mime_type": room.text(media_type), "content": ""})
        }
        MediaSource::Text(text) => json!({"type": "text", "content": room.text(text)}),
        MediaSource::File(id) => json!({"type": "file", "modality": modality, "file_id": room.text(id)}),
    }
}

/// A schema that has no room is left out whole: half of one is none.
fn definition(tool: &Tool, room: &mut Room) -> Option<Value> {
    let whole = match tool {
        Tool::Function { name, description, parameters, .. } => {
            json!({"type": "function", "name": name, "description": description, "parameters": parameters})
        }
        Tool::Hosted(value) => value.clone(),
    };
    let text = whole.to_string();
    (room.text(&text).len() == text.len()).then_some(whole)
}

fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence | Finish::Pause => "stop",
        Finish::Length | Finish::ContextWindow => "length",
        Finish::ToolCalls | Finish::FunctionCall => "tool_call",
        Finish::ContentFilter | Finish::Refusal => "content_filter",
    }
}
