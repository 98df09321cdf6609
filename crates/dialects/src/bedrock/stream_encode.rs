//! Canonical events into a client's stream. Blocks are numbered as parts are, and may be open side by side.

use bytes::BytesMut;
use gatewright_core::chat::{Delta, Event, Finish, PartKind};
use gatewright_core::{Encode, Usage};
use serde::Serialize;
use serde_json::{Value, json};

use super::reply_encode::Metrics;
use super::usage::UsageOut;
use super::{citations, words};
use crate::aws_events::{self, Kind};
use crate::json::json as bytes_of;

/// Writes one stream.
#[derive(Default)]
pub(super) struct Encoder {
    started: bool,
    ended: bool,
    /// Parts whose block was begun on the wire.
    written: Vec<u32>,
    usage: Usage,
    finish: Finish,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta<'a> {
    content_block_index: u32,
    delta: WireDelta<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum WireDelta<'a> {
    Text(&'a str),
    ToolUse { input: &'a str },
    ReasoningContent(ReasoningDelta<'a>),
    Citation(Value),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum ReasoningDelta<'a> {
    Text(&'a str),
    Signature(&'a str),
    RedactedContent(&'a str),
}

#[derive(Serialize)]
struct Metadata {
    usage: UsageOut,
    metrics: Metrics,
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { .. } => self.start(out),
            // The dialect has one choice, and its clients cannot ask for more.
            Event::PartStart { choice: 0, index, kind } => self.part_start(*index, kind, out),
            Event::PartDelta { choice: 0, index, delta } => self.part_delta(*index, delta, out),
            Event::PartEnd { choice: 0, index } => self.part_end(*index, out),
            Event::Finish { choice: 0, reason, .. } => self.finish = *reason,
            Event::Usage(usage) => self.usage = *usage,
            Event::End => self.end(out),
            Event::PartStart { .. }
            | Event::PartDelta { .. }
            | Event::PartEnd { .. }
            | Event::Finish { .. }
            | Event::Logprobs { .. }
            | Event::Ping => {}
        }
    }
}

// === impl Encoder ===

impl Encoder {
    fn start(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.started, true) {
            write(out, "messageStart", &json!({ "role": "assistant" }));
        }
    }

    fn part_start(&mut self, index: u32, kind: &PartKind, out: &mut BytesMut) {
        self.start(out);
        match kind {
            PartKind::ToolCall { id, name } => {
                let start = json!({ "toolUse": { "toolUseId": id, "name": name } });
                write(out, "contentBlockStart", &json!({ "contentBlockIndex": index, "start": start }));
                self.written.push(index);
            }
            PartKind::RedactedReasoning { data } => {
                self.delta(index, WireDelta::ReasoningContent(ReasoningDelta::RedactedContent(data)), out);
            }
            // What is empty in the end needs no block.
            PartKind::Text | PartKind::Reasoning | PartKind::Refusal | PartKind::Other(_) => {}
        }
    }

    fn part_delta(&mut self, index: u32, delta: &Delta, out: &mut BytesMut) {
        let delta = match delta {
            Delta::Text(text) => WireDelta::Text(text),
            Delta::Arguments(input) => WireDelta::ToolUse { input },
            Delta::Reasoning(text) => WireDelta::ReasoningContent(ReasoningDelta::Text(text)),
            Delta::Signature(signature) => WireDelta::ReasoningContent(ReasoningDelta::Signature(signature)),
            Delta::Citation(citation) => match citations::wire(citation) {
                Some(citation) => WireDelta::Citation(citation),
                None => return,
            },
            Delta::Other(_) => return,
        };
        self.delta(index, delta, out);
    }

    fn delta(&mut self, index: u32, delta: WireDelta<'_>, out: &mut BytesMut) {
        if !self.written.contains(&index) {
            self.written.push(index);
        }
        write(out, "contentBlockDelta", &BlockDelta { content_block_index: index, delta });
    }

    fn part_end(&mut self, index: u32, out: &mut BytesMut) {
        if let Some(at) = self.written.iter().position(|written| *written == index) {
            self.written.remove(at);
            write(out, "contentBlockStop", &json!({ "contentBlockIndex": index }));
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.start(out);
        for index in std::mem::take(&mut self.written) {
            write(out, "contentBlockStop", &json!({ "contentBlockIndex": index }));
        }
        write(out, "messageStop", &json!({ "stopReason": words::stop_reason(self.finish) }));
        let metrics = Metrics { latency_ms: 0 };
        write(out, "metadata", &Metadata { usage: UsageOut::new(&self.usage), metrics });
        self.ended = true;
    }
}

fn write(out: &mut BytesMut, name: &str, payload: &impl Serialize) {
    aws_events::write(out, Kind::Event, name, &bytes_of(payload));
}
