//! A stream for a client.

use bytes::{BufMut, BytesMut};
use gatewright_core::chat::{Delta, Event};
use gatewright_core::{Encode, ReplyStyle, Usage};
use serde_json::{Value, json};

use super::reply_write::completion_id;
use super::{logprobs, prompt};
use crate::json::{put_json, put_number, put_text, put_value};
use crate::openai::relay::DONE;
use crate::openai::{finish, usage};

/// Writes the events of one stream.
pub(super) struct Writer {
    style: ReplyStyle,
    /// The prompt, where the client reads it again.
    echoed: Option<String>,
    /// What every chunk begins with, up to its choices.
    head: Vec<u8>,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

struct Choice {
    index: u32,
    /// Characters so far.
    written: usize,
    /// Likelihoods of the text that comes next.
    tokens: Option<Value>,
    /// Parts whose text is the completion's.
    parts: Vec<u32>,
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(style: &ReplyStyle) -> Self {
        let mut writer = Self {
            style: style.clone(),
            echoed: prompt::echoed(style.asked.as_ref()),
            head: Vec::new(),
            choices: Vec::new(),
            usage: None,
        };
        writer.begin("", 0);
        writer
    }

    fn begin(&mut self, id: &str, created: u64) {
        let created = if created == 0 { self.style.created } else { created };
        let head = json!({
            "id": completion_id(id, self.style.attempt),
            "object": "text_completion",
            "created": created,
            "model": &*self.style.model,
        });
        let mut text = head.to_string();
        text.pop();
        self.head = format!("data: {text},\"choices\":[").into_bytes();
    }

    fn choice(&mut self, index: u32, out: &mut BytesMut) -> usize {
        if let Some(place) = self.choices.iter().position(|choice| choice.index == index) {
            return place;
        }
        self.choices.push(Choice { index, written: 0, tokens: None, parts: Vec::new() });
        let place = self.choices.len() - 1;
        if let Some(echoed) = self.echoed.clone() {
            self.text(place, &echoed, out);
        }
        place
    }

    fn text(&mut self, place: usize, text: &str, out: &mut BytesMut) {
        let Some(choice) = self.choices.get_mut(place) else { return };
        let tokens = choice.tokens.take().and_then(|chat| logprobs::from_chat(&chat, choice.written));
        choice.written += text.chars().count();
        let index = choice.index;
        self.chunk(index, (text, tokens.as_ref()), "null", out);
    }

    fn chunk(&self, index: u32, (text, tokens): (&str, Option<&Value>), finish: &str, out: &mut BytesMut) {
        out.put_slice(&self.head);
        out.put_slice(b"{\"text\":");
        put_text(out, text);
        out.put_slice(b",\"index\":");
        put_number(out, index.into());
        out.put_slice(b",\"logprobs\":");
        put_value(out, tokens.unwrap_or(&Value::Null));
        out.put_slice(b",\"finish_reason\":");
        out.put_slice(finish.as_bytes());
        out.put_slice(b"}]}\n\n");
    }

    fn end(&mut self, out: &mut BytesMut) {
        if let Some(used) = self.usage.take().filter(|_| self.style.include_usage) {
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
        use gatewright_core::chat::PartKind;
        match event {
            Event::Start { id, created, .. } => {
                self.begin(id, *created);
                self.choice(0, out);
            }
            Event::PartStart { choice, index, kind: PartKind::Text | PartKind::Refusal } => {
                let place = self.choice(*choice, out);
                if let Some(choice) = self.choices.get_mut(place) {
                    choice.parts.push(*index);
                }
            }
            Event::PartDelta { choice, index, delta: Delta::Text(text) } => {
                let place = self.choice(*choice, out);
                if self.choices.get(place).is_some_and(|choice| choice.parts.contains(index)) {
                    self.text(place, text, out);
                }
            }
            Event::Logprobs { choice, value } => {
                let place = self.choice(*choice, out);
                if let Some(choice) = self.choices.get_mut(place) {
                    choice.tokens = Some(value.clone());
                }
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { choice, reason, .. } => {
                let place = self.choice(*choice, out);
                let tokens = self.choices.get_mut(place).and_then(|choice| choice.tokens.take());
                let written = self.choices.get(place).map_or(0, |choice| choice.written);
                let tokens = tokens.and_then(|chat| logprobs::from_chat(&chat, written));
                let finish = format!("\"{}\"", finish::word(*reason));
                self.chunk(*choice, ("", tokens.as_ref()), &finish, out);
            }
            Event::End => self.end(out),
            // Only text continues a text.
            Event::PartStart { .. } | Event::PartDelta { .. } | Event::PartEnd { .. } | Event::Ping => {}
        }
    }
}
