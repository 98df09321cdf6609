//! A stream for a client.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use gatewright_core::chat::{Delta, Event, Finish, PartKind};
use gatewright_core::{Encode, ReplyStyle, Usage};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::reply::{annotation, home, is_own};
use crate::json::{put_json, put_key, put_number, put_text};
use crate::openai::relay::{DONE, answer_id};
use crate::openai::{finish, usage};
use crate::signature;

/// Writes the events of one stream.
pub(in crate::openai) struct Writer {
    model: Arc<str>,
    include_usage: bool,
    created: u64,
    older_functions: bool,
    /// Our id, for a stream that has none.
    id: String,
    /// What every chunk begins with, up to its choices.
    head: Vec<u8>,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Default)]
struct Choice {
    index: u32,
    calls: u32,
    /// Characters of text so far.
    written: usize,
    parts: Vec<Open>,
    /// Gemini's signature without a text that came last: the call behind it carries it too.
    signature: Option<String>,
}

struct Open {
    index: u32,
    kind: Kind,
}

enum Kind {
    Text { start: usize },
    Refusal,
    Reasoning { text: String },
    Call { number: u32, argued: bool },
    Audio,
    Other,
}

// === impl Writer ===

impl Writer {
    pub(in crate::openai) fn new(style: &ReplyStyle) -> Self {
        let mut writer = Self {
            model: style.model.clone(),
            include_usage: style.include_usage,
            created: style.created,
            older_functions: style.older_functions,
            id: answer_id(style.attempt),
            head: Vec::new(),
            choices: Vec::new(),
            usage: None,
        };
        writer.begin("", 0, &Map::new());
        writer
    }

    fn begin(&mut self, id: &str, created: u64, extra: &Map<String, Value>) {
        let created = if created == 0 { self.created } else { created };
        let mut head = Map::new();
        head.insert("id".into(), if id.is_empty() { &self.id } else { id }.into());
        head.insert("object".into(), "chat.completion.chunk".into());
        head.insert("created".into(), created.into());
        head.insert("model".into(), (&*self.model).into());
        for (key, value) in extra {
            if key != "choices" && key != "usage" {
                head.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        let mut text = Value::Object(head).to_string();
        text.pop();
        self.head = format!("data: {text},\"choices\":[").into_bytes();
    }

    fn open(&mut self, choice: u32, out: &mut BytesMut) {
        if self.choices.iter().any(|known| known.index == choice) {
            return;
        }
        self.choices.push(Choice { index: choice, ..Choice::default() });
        self.chunk(choice, |out| out.put_slice(br#""role":"assistant","content":"""#), out);
    }

    fn choice(&mut self, index: u32) -> Option<&mut Choice> {
        self.choices.iter_mut().find(|choice| choice.index == index)
    }

    fn part(&mut self, choice: u32, index: u32) -> Option<&mut Open> {
        self.choice(choice)?.parts.iter_mut().rev().find(|part| part.index == index)
    }

    /// One chunk whose delta's fields `fields` writes.
    fn chunk(&self, choice: u32, fields: impl FnOnce(&mut BytesMut), out: &mut BytesMut) {
        self.chunk_with(choice, fields, r#","finish_reason":null"#, out);
    }

    fn chunk_with(&self, choice: u32, fields: impl FnOnce(&mut BytesMut), rest: &str, out: &mut BytesMut) {
        out.put_slice(&self.head);
        out.put_slice(b"{\"index\":");
        put_number(out, choice.into());
        out.put_slice(b",\"delta\":{");
        fields(out);
        out.put_slice(b"}");
        out.put_slice(rest.as_bytes());
        out.put_slice(b"}]}\n\n");
    }

    fn text_field(&self, choice: u32, key: &'static str, text: &str, out: &mut BytesMut) {
        let fields = |out: &mut BytesMut| {
            put_key(out, key);
            put_text(out, text);
        };
        self.chunk(choice, fields, out);
    }

    fn field(&self, choice: u32, key: &'static str, value: &impl Serialize, out: &mut BytesMut) {
        let fields = |out: &mut BytesMut| {
            put_key(out, key);
            put_json(out, value);
        };
        self.chunk(choice, fields, out);
    }

    fn start_part(&mut self, choice: u32, index: u32, kind: &PartKind, out: &mut BytesMut) {
        let Some(known) = self.choice(choice) else { return };
        let signature = known.signature.take();
        let opened = match kind {
            PartKind::Text => Kind::Text { start: known.written },
            PartKind::Refusal => Kind::Refusal,
            PartKind::Reasoning => Kind::Reasoning { text: String::new() },
            PartKind::ToolCall { .. } => {
                known.calls += 1;
                Kind::Call { number: known.calls - 1, argued: false }
            }
            PartKind::Other(value) if value.get("type").is_some_and(|kind| kind == "audio") => Kind::Audio,
            PartKind::RedactedReasoning { .. } | PartKind::Other(_) => Kind::Other,
        };
        match (kind, &opened) {
            (PartKind::ToolCall { id, name }, Kind::Call { number, .. }) => {
                let function = json!({"name": name, "arguments": ""});
                if self.older_functions {
                    // The older form has one call only.
                    if *number == 0 {
                        self.field(choice, "function_call", &function, out);
                    }
                    return self.opened(choice, index, opened);
                }
                let mut call = json!({"index": number, "id": id, "type": "function", "function": function});
                if let Some(signature) = signature {
                    call["provider_specific_fields"] = json!({"thought_signature": signature});
                }
                self.field(choice, "tool_calls", &json!([call]), out);
            }
            (PartKind::RedactedReasoning { data }, _) => {
                let blocks = json!([{"type": "redacted_thinking", "data": data}]);
                self.field(choice, "thinking_blocks", &blocks, out);
            }
            (PartKind::Other(value), Kind::Other) => {
                self.field(choice, "provider_specific_fields", &json!({home(value): [value]}), out);
            }
            _ => {}
        }
        self.opened(choice, index, opened);
    }

    fn opened(&mut self, choice: u32, index: u32, kind: Kind) {
        if let Some(known) = self.choice(choice) {
            known.parts.push(Open { index, kind });
        }
    }

    fn delta(&mut self, choice: u32, index: u32, delta: &Delta, out: &mut BytesMut) {
        match delta {
            Delta::Text(text) => self.text(choice, index, text, out),
            Delta::Arguments(text) => self.arguments(choice, index, text, out),
            Delta::Reasoning(more) => {
                if let Some(Open { kind: Kind::Reasoning { text }, .. }) = self.part(choice, index) {
                    text.push_str(more);
                }
                self.text_field(choice, "reasoning_content", more, out);
            }
            Delta::Signature(signature) => {
                // The whole block, because a signature is worth nothing without its text.
                let thinking = match self.part(choice, index) {
                    Some(Open { kind: Kind::Reasoning { text }, .. }) => std::mem::take(text),
                    _ => String::new(),
                };
                if thinking.is_empty()
                    && let Some(known) = self.choice(choice)
                {
                    known.signature = signature::as_gemini(signature).map(str::to_owned);
                }
                let block = json!([{"type": "thinking", "thinking": thinking, "signature": signature}]);
                self.field(choice, "thinking_blocks", &block, out);
            }
            Delta::Citation(citation) => self.cite(choice, index, citation, out),
            Delta::Other(value) => {
                if let Some(Open { kind: Kind::Audio, .. }) = self.part(choice, index) {
                    self.field(choice, "audio", value, out);
                }
            }
        }
    }

    fn text(&mut self, choice: u32, index: u32, text: &str, out: &mut BytesMut) {
        if let Some(Open { kind: Kind::Refusal, .. }) = self.part(choice, index) {
            return self.text_field(choice, "refusal", text, out);
        }
        if let Some(known) = self.choice(choice) {
            known.written += text.chars().count();
        }
        self.text_field(choice, "content", text, out);
    }

    fn arguments(&mut self, choice: u32, index: u32, text: &str, out: &mut BytesMut) {
        let Some(Open { kind: Kind::Call { number, argued }, .. }) = self.part(choice, index) else { return };
        *argued |= !text.is_empty();
        let number = *number;
        if self.older_functions {
            if number == 0 {
                self.field(choice, "function_call", &json!({"arguments": text}), out);
            }
            return;
        }
        let fields = |out: &mut BytesMut| {
            out.put_slice(b"\"tool_calls\":[{\"index\":");
            put_number(out, number.into());
            out.put_slice(b",\"function\":{");
            put_key(out, "arguments");
            put_text(out, text);
            out.put_slice(b"}}]");
        };
        self.chunk(choice, fields, out);
    }

    fn cite(&mut self, choice: u32, index: u32, citation: &Value, out: &mut BytesMut) {
        let end = self.choice(choice).map_or(0, |known| known.written);
        let start = match self.part(choice, index) {
            Some(Open { kind: Kind::Text { start }, .. }) => *start,
            _ => end,
        };
        if let Some(annotation) = annotation(citation, (start, end)) {
            self.field(choice, "annotations", &json!([annotation]), out);
        }
        if is_own(citation) {
            self.field(choice, "provider_specific_fields", &json!({"citation": citation}), out);
        }
    }

    fn end_part(&mut self, choice: u32, index: u32, out: &mut BytesMut) {
        // A call without arguments still has to parse as JSON.
        if let Some(Open { kind: Kind::Call { argued: false, .. }, .. }) = self.part(choice, index) {
            self.arguments(choice, index, "{}", out);
        }
        if let Some(known) = self.choice(choice) {
            known.parts.retain(|part| part.index != index);
        }
    }

    fn shown(&self, reason: Finish) -> Finish {
        finish::shown(reason, self.older_functions)
    }

    fn end(&mut self, out: &mut BytesMut) {
        if let Some(used) = self.usage.take().filter(|_| self.include_usage) {
            out.put_slice(&self.head);
            out.put_slice(b"],\"usage\":");
            put_json(out, &usage::written(&used));
            out.put_slice(b"}\n\n");
        }
        out.put_slice(DONE);
    }
}

impl Encode for Writer {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start { id, created, extra, .. } => {
                self.begin(id, *created, extra);
                self.open(0, out);
            }
            Event::PartStart { choice, index, kind } => {
                self.open(*choice, out);
                self.start_part(*choice, *index, kind, out);
            }
            Event::PartDelta { choice, index, delta } => self.delta(*choice, *index, delta, out),
            Event::PartEnd { choice, index } => self.end_part(*choice, *index, out),
            Event::Logprobs { choice, value } => {
                self.open(*choice, out);
                let rest = format!(",\"logprobs\":{value},\"finish_reason\":null");
                self.chunk_with(*choice, |_| {}, &rest, out);
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { choice, reason, .. } => {
                self.open(*choice, out);
                let rest = format!(",\"finish_reason\":\"{}\"", finish::word(self.shown(*reason)));
                self.chunk_with(*choice, |_| {}, &rest, out);
            }
            Event::Ping => {}
            Event::End => self.end(out),
        }
    }
}
