//! Canonical events into a client's stream.
//!
//! The dialect has one open block at a time, and its blocks are numbered in order. Canonical parts may be open side
//! by side: while a tool call is open, what belongs to another part is held until the call is whole. Text and
//! reasoning are simply continued in a new block when something else comes between. The last two events wait for
//! [`Event::End`], because usage may come after the reason to stop, and the client reads it there.

use bytes::BytesMut;
use gatewright_core::chat::{Delta, Event, Finish, PartKind};
use gatewright_core::{Encode, ReplyStyle, Usage};
use serde_json::Value;

use super::reply_encode::message_id;
use super::usage::UsageOut;
use super::wire_out::{Block, DeltaOut, Empty, Message, Out, Stop};
use super::words;
use crate::sse;

/// Writes one stream.
pub(super) struct Encoder {
    style: ReplyStyle,
    started: bool,
    ended: bool,
    /// The number of the next block.
    next: u32,
    /// The part whose block is open.
    open: Option<u32>,
    parts: Vec<PartState>,
    usage: Usage,
    finish: Finish,
    stop_sequence: Option<String>,
    refused: bool,
    tier: Option<String>,
}

/// A part that is not whole yet, or not written yet.
struct PartState {
    index: u32,
    kind: PartKind,
    /// What came while another part's block was open.
    held: Vec<Delta>,
    /// Whether its block was opened at least once.
    written: bool,
    ended: bool,
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, extra, .. } => {
                self.tier = extra.get("service_tier").and_then(Value::as_str).map(str::to_owned);
                self.start(id, out);
            }
            // The dialect has one choice, and its clients cannot ask for more.
            Event::PartStart { choice: 0, index, kind } => self.part_start(*index, kind, out),
            Event::PartDelta { choice: 0, index, delta } => self.part_delta(*index, delta, out),
            Event::PartEnd { choice: 0, index } => self.part_end(*index, out),
            Event::Finish { choice: 0, reason, stop_sequence } => {
                self.close_parts(out);
                self.finish = *reason;
                self.stop_sequence.clone_from(stop_sequence);
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Ping => sse::put(out, "ping", &Out::Ping),
            Event::End => self.end(out),
            Event::PartStart { .. }
            | Event::PartDelta { .. }
            | Event::PartEnd { .. }
            | Event::Finish { .. }
            | Event::Logprobs { .. } => {}
        }
    }
}

// === impl Encoder ===

impl Encoder {
    /// An encoder for one stream.
    pub(super) fn new(style: &ReplyStyle) -> Self {
        Self {
            style: style.clone(),
            started: false,
            ended: false,
            next: 0,
            open: None,
            parts: Vec::new(),
            usage: Usage::default(),
            finish: Finish::Stop,
            stop_sequence: None,
            refused: false,
            tier: None,
        }
    }

    fn start(&mut self, id: &str, out: &mut BytesMut) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let message = Message {
            id: &message_id(id, &self.style),
            kind: "message",
            role: "assistant",
            model: &self.style.model,
            content: [],
            stop_reason: None,
            stop_sequence: None,
            usage: UsageOut::new(&self.usage, self.tier.as_deref()),
        };
        sse::put(out, "message_start", &Out::MessageStart { message });
    }

    fn part_start(&mut self, index: u32, kind: &PartKind, out: &mut BytesMut) {
        self.start("", out);
        if let PartKind::Other(value) = kind
            && !words::is_own_block(value)
        {
            return;
        }
        self.refused |= *kind == PartKind::Refusal;
        self.parts.push(PartState {
            index,
            kind: kind.clone(),
            held: Vec::new(),
            written: false,
            ended: false,
        });
        // Text may turn out to be empty, and then it needs no block.
        if !flows(kind) {
            self.take_turn(index, out);
        }
    }

    fn part_delta(&mut self, index: u32, delta: &Delta, out: &mut BytesMut) {
        if self.open != Some(index) && !self.take_turn(index, out) {
            if let Some(part) = self.part(index) {
                part.held.push(delta.clone());
            }
            return;
        }
        write_delta(out, self.next, delta);
    }

    fn part_end(&mut self, index: u32, out: &mut BytesMut) {
        if let Some(part) = self.part(index) {
            part.ended = true;
        }
        self.settle(out);
    }

    /// Makes this part's block the open one, where it may.
    fn take_turn(&mut self, index: u32, out: &mut BytesMut) -> bool {
        let Some(at) = self.parts.iter().position(|part| part.index == index) else { return false };
        if let Some(open) = self.open {
            let may_wait = self.parts.iter().any(|part| part.index == open && flows(&part.kind));
            if !may_wait {
                return false;
            }
            self.close_block(out);
        }
        // Parts that came before and wait keep their place in the order.
        let waiting =
            self.parts.iter().take(at).any(|part| !part.ended && !part.written && !flows(&part.kind));
        if waiting {
            return false;
        }
        let Some(part) = self.parts.get_mut(at) else { return false };
        part.written = true;
        write_start(out, self.next, &part.kind);
        for delta in part.held.drain(..) {
            write_delta(out, self.next, &delta);
        }
        self.open = Some(index);
        true
    }

    /// Closes what is whole and lets what waits have its turn.
    fn settle(&mut self, out: &mut BytesMut) {
        loop {
            if let Some(open) = self.open {
                if !self.parts.iter().any(|part| part.index == open && part.ended) {
                    return;
                }
                self.close_block(out);
            }
            self.parts.retain(|part| {
                let empty = part.held.is_empty() && (part.written || flows(&part.kind));
                !(part.ended && empty)
            });
            let waits = |part: &&PartState| !part.held.is_empty() || (!part.written && !flows(&part.kind));
            let Some(next) = self.parts.iter().find(waits).map(|part| part.index) else { return };
            if !self.take_turn(next, out) {
                return;
            }
        }
    }

    fn close_parts(&mut self, out: &mut BytesMut) {
        for part in &mut self.parts {
            part.ended = true;
        }
        self.settle(out);
    }

    fn close_block(&mut self, out: &mut BytesMut) {
        if self.open.take().is_some() {
            sse::put(out, "content_block_stop", &Out::ContentBlockStop { index: self.next });
            self.next += 1;
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.start("", out);
        self.close_parts(out);
        self.ended = true;
        let finish = if self.refused && self.finish == Finish::Stop { Finish::Refusal } else { self.finish };
        let stop =
            Stop { stop_reason: words::stop_reason(finish), stop_sequence: self.stop_sequence.as_deref() };
        let usage = UsageOut::new(&self.usage, self.tier.as_deref());
        sse::put(out, "message_delta", &Out::MessageDelta { delta: stop, usage });
        sse::put(out, "message_stop", &Out::MessageStop);
    }

    fn part(&mut self, index: u32) -> Option<&mut PartState> {
        self.parts.iter_mut().find(|part| part.index == index)
    }
}

/// Whether a part may be continued in another block.
fn flows(kind: &PartKind) -> bool {
    matches!(kind, PartKind::Text | PartKind::Reasoning | PartKind::Refusal)
}

fn write_start(out: &mut BytesMut, index: u32, kind: &PartKind) {
    let content_block = match kind {
        PartKind::Text | PartKind::Refusal => Block::Text { text: "" },
        PartKind::Reasoning => Block::Thinking { thinking: "", signature: "" },
        PartKind::RedactedReasoning { data } => Block::RedactedThinking { data },
        PartKind::ToolCall { id, name } => Block::ToolUse { id, name, input: Empty {} },
        PartKind::Other(value) => Block::Own(value),
    };
    sse::put(out, "content_block_start", &Out::ContentBlockStart { index, content_block });
}

fn write_delta(out: &mut BytesMut, index: u32, delta: &Delta) {
    let delta = match delta {
        Delta::Text(text) => DeltaOut::Text { text },
        Delta::Arguments(partial_json) => DeltaOut::Arguments { partial_json },
        Delta::Reasoning(thinking) => DeltaOut::Reasoning { thinking },
        Delta::Signature(signature) => DeltaOut::Signature { signature },
        Delta::Citation(citation) => DeltaOut::Citation { citation },
        Delta::Other(value) => DeltaOut::Own(value),
    };
    sse::put(out, "content_block_delta", &Out::ContentBlockDelta { index, delta });
}
