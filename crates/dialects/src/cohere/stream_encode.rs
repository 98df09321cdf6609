//! Canonical events into a client's stream.

use bytes::BytesMut;
use gatewright_core::chat::{Delta, Event, Finish, PartKind};
use gatewright_core::{Encode, ReplyStyle, Usage};
use serde_json::Value;

use super::message_encode::{Block, Call, Function as CallFunction};
use super::usage::UsageOut;
use super::wire_out::{
    Argued, Arguments, Begun, Called, Change, Cited, Empty, End, Function, Out, Piecemeal, Planned, Said,
};
use super::{citation, logprobs, plan, words};
use crate::sse;

/// Writes one stream.
pub(super) struct Encoder {
    /// Names the answer where its upstream does not.
    id: String,
    started: bool,
    blocks: u32,
    calls: u32,
    citations: u32,
    parts: Vec<Open>,
    usage: Usage,
    finish: Finish,
}

/// A part that is not whole yet.
struct Open {
    part: u32,
    wire: u32,
    kind: Kind,
}

enum Kind {
    /// With its text so far, of which a citation repeats a piece.
    Text(String),
    Thought,
    Call {
        argued: bool,
    },
}

/// An event of no delta.
const NOTHING: Option<()> = None;

impl Encode for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start { id, .. } => self.start(id, out),
            // The dialect has one choice, and its clients cannot ask for more.
            Event::PartStart { choice: 0, index, kind } => self.part_start(*index, kind, out),
            Event::PartDelta { choice: 0, index, delta } => self.part_delta(*index, delta, out),
            Event::PartEnd { choice: 0, index } => self.part_end(*index, out),
            Event::Logprobs { choice: 0, value } => self.likelihoods(value, out),
            Event::Finish { choice: 0, reason, .. } => self.finish = *reason,
            Event::Usage(usage) => self.usage = *usage,
            Event::End => self.end(out),
            Event::PartStart { .. }
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
            id: style.attempt.to_string(),
            started: false,
            blocks: 0,
            calls: 0,
            citations: 0,
            parts: Vec::new(),
            usage: Usage::default(),
            finish: Finish::Stop,
        }
    }

    fn start(&mut self, id: &str, out: &mut BytesMut) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let id = if id.is_empty() { &self.id } else { id };
        let message = Empty { role: "assistant", content: [], tool_plan: "", tool_calls: [], citations: [] };
        let kind = "message-start";
        let delta = Some(Change { message });
        sse::put(out, kind, &Out { kind, id: Some(id), index: None, delta, logprobs: None });
    }

    fn part_start(&mut self, part: u32, kind: &PartKind, out: &mut BytesMut) {
        self.start("", out);
        match kind {
            PartKind::Text | PartKind::Refusal => {
                self.block(part, Kind::Text(String::new()), Block::Text { text: "" }, out);
            }
            PartKind::Reasoning => self.block(part, Kind::Thought, Block::Thinking { thinking: "" }, out),
            PartKind::ToolCall { id, name } => {
                let wire = self.calls;
                self.calls += 1;
                let function = CallFunction { name, arguments: "" };
                let tool_calls = Call { id: Some(id), kind: "function", function };
                put(out, "tool-call-start", wire, Some(Change { message: Called { tool_calls } }));
                self.parts.push(Open { part, wire, kind: Kind::Call { argued: false } });
            }
            PartKind::Other(block) => {
                if let Some(tool_plan) = plan::of(block) {
                    let kind = "tool-plan-delta";
                    let delta = Some(Change { message: Planned { tool_plan } });
                    sse::put(out, kind, &Out { kind, id: None, index: None, delta, logprobs: None });
                }
            }
            PartKind::RedactedReasoning { .. } => {}
        }
    }

    fn block(&mut self, part: u32, kind: Kind, content: Block<'_>, out: &mut BytesMut) {
        let wire = self.blocks;
        self.blocks += 1;
        put(out, "content-start", wire, Some(Change { message: Begun { content } }));
        self.parts.push(Open { part, wire, kind });
    }

    fn part_delta(&mut self, part: u32, delta: &Delta, out: &mut BytesMut) {
        let Some(open) = self.parts.iter_mut().rev().find(|open| open.part == part) else { return };
        let wire = open.wire;
        match (&mut open.kind, delta) {
            (Kind::Text(said), Delta::Text(text)) => {
                said.push_str(text);
                say(out, wire, Piecemeal::Text(text));
            }
            (Kind::Thought, Delta::Reasoning(text)) => say(out, wire, Piecemeal::Thinking(text)),
            (Kind::Call { argued }, Delta::Arguments(text)) => {
                *argued |= !text.is_empty();
                argue(out, wire, text);
            }
            (Kind::Text(said), Delta::Citation(citation)) => {
                let block = usize::try_from(wire).ok();
                for citations in &citation::written(std::slice::from_ref(citation), said, block) {
                    let message = Cited { citations };
                    put(out, "citation-start", self.citations, Some(Change { message }));
                    put(out, "citation-end", self.citations, NOTHING);
                    self.citations += 1;
                }
            }
            _ => {}
        }
    }

    fn part_end(&mut self, part: u32, out: &mut BytesMut) {
        let Some(at) = self.parts.iter().rposition(|open| open.part == part) else { return };
        let Open { wire, kind, .. } = self.parts.remove(at);
        match kind {
            Kind::Text(_) | Kind::Thought => put(out, "content-end", wire, NOTHING),
            Kind::Call { argued } => {
                // A call without arguments still has to parse as JSON.
                if !argued {
                    argue(out, wire, "{}");
                }
                put(out, "tool-call-end", wire, NOTHING);
            }
        }
    }

    /// Beside an empty piece of the text that they are of.
    fn likelihoods(&mut self, value: &Value, out: &mut BytesMut) {
        self.start("", out);
        let wire = self.blocks.saturating_sub(1);
        for piece in logprobs::written(value) {
            let message = Said { content: Piecemeal::Text("") };
            let event = Out::at("content-delta", wire, Some(Change { message }));
            sse::put(out, event.kind, &Out { logprobs: Some(piece), ..event });
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.start("", out);
        while let Some(part) = self.parts.first().map(|open| open.part) {
            self.part_end(part, out);
        }
        put_end(out, words::finish_reason(self.finish), None, Some(UsageOut::from(&self.usage)));
    }
}

/// The last event of a stream.
pub(super) fn put_end(
    out: &mut BytesMut,
    finish_reason: &'static str,
    error: Option<&str>,
    usage: Option<UsageOut>,
) {
    let kind = "message-end";
    let delta = Some(End { finish_reason, error, usage });
    sse::put(out, kind, &Out { kind, id: None, index: None, delta, logprobs: None });
}

fn say(out: &mut BytesMut, wire: u32, content: Piecemeal<'_>) {
    put(out, "content-delta", wire, Some(Change { message: Said { content } }));
}

fn argue(out: &mut BytesMut, wire: u32, arguments: &str) {
    let message = Argued { tool_calls: Arguments { function: Function { arguments } } };
    put(out, "tool-call-delta", wire, Some(Change { message }));
}

fn put<D: serde::Serialize>(out: &mut BytesMut, kind: &'static str, index: u32, delta: Option<D>) {
    sse::put(out, kind, &Out::at(kind, index, delta));
}
