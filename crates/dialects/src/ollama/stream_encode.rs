//! Canonical events into a client's lines. A call is told whole, with its arguments as an object.

use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};
use gatewright_core::chat::{Delta, Event, Finish, PartKind, ToolCall};
use gatewright_core::{Encode, ReplyStyle, Usage};
use serde_json::Value;

use super::message::Call;
use super::reply_encode::{End, LineOut, MessageOut};
use super::{time, words};
use crate::json::put_json;

/// Writes one stream.
pub(super) struct Encoder {
    model: Arc<str>,
    moment: String,
    /// Calls that are not whole yet, by their parts.
    calls: Vec<(u32, ToolCall)>,
    usage: Usage,
    finish: Finish,
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            // The dialect has one choice, and its clients cannot ask for more.
            Event::PartStart { choice: 0, index, kind: PartKind::ToolCall { id, name } } => {
                let (id, name) = (id.clone(), name.clone());
                self.calls.push((*index, ToolCall { id, name, arguments: String::new(), cache: None }));
            }
            Event::PartDelta { choice: 0, index, delta } => self.delta(*index, delta, out),
            Event::PartEnd { choice: 0, index } => self.call(*index, out),
            Event::Logprobs { choice: 0, value } => {
                self.line(MessageOut::default(), value.get("content"), None, out);
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Finish { choice: 0, reason, .. } => self.finish = *reason,
            Event::End => self.end(out),
            Event::Start { .. }
            | Event::PartStart { .. }
            | Event::PartDelta { .. }
            | Event::PartEnd { .. }
            | Event::Logprobs { .. }
            | Event::Finish { .. }
            | Event::Ping => {}
        }
    }
}

// === impl Encoder ===

impl Encoder {
    /// An encoder for one stream.
    pub(super) fn new(style: &ReplyStyle) -> Self {
        Self {
            model: style.model.clone(),
            moment: time::written(style.created),
            calls: Vec::new(),
            usage: Usage::default(),
            finish: Finish::Stop,
        }
    }

    fn delta(&mut self, part: u32, delta: &Delta, out: &mut BytesMut) {
        let message = match delta {
            Delta::Text(content) => MessageOut { content, ..MessageOut::default() },
            Delta::Reasoning(thinking) => MessageOut { thinking, ..MessageOut::default() },
            Delta::Arguments(more) => {
                if let Some((_, call)) = self.calls.iter_mut().find(|(index, _)| *index == part) {
                    call.arguments.push_str(more);
                }
                return;
            }
            Delta::Signature(_) | Delta::Citation(_) | Delta::Other(_) => return,
        };
        self.line(message, None, None, out);
    }

    fn call(&mut self, part: u32, out: &mut BytesMut) {
        if let Some(at) = self.calls.iter().position(|(index, _)| *index == part) {
            let (_, call) = self.calls.remove(at);
            let message = MessageOut { tool_calls: vec![Call::new(&call)], ..MessageOut::default() };
            self.line(message, None, None, out);
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        while let Some(part) = self.calls.first().map(|(part, _)| *part) {
            self.call(part, out);
        }
        let end = End::new(words::done_reason(self.finish), &self.usage);
        self.line(MessageOut::default(), None, Some(end), out);
    }

    fn line(&self, message: MessageOut<'_>, logprobs: Option<&Value>, end: Option<End>, out: &mut BytesMut) {
        let done = end.is_some();
        let line = LineOut { model: &self.model, created_at: &self.moment, message, logprobs, done, end };
        put_json(out, &line);
        out.put_u8(b'\n');
    }
}
