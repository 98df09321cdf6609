//! An upstream's events into canonical ones. Only tool calls are announced: text and reasoning begin with their first
//! piece.

use std::borrow::Cow;

use gatewright_core::chat::{Delta, Event, Extra, Finish, PartKind};
use gatewright_core::{Decode, RawEvent, Result};
use serde::Deserialize;
use serde_json::Value;

use super::usage::{Further, UsageIn};
use super::{citations, error, words};
use crate::anthropic::reply_decode::malformed;
use crate::anthropic::stream_decode::cut;
use crate::anthropic::words::JSON_TOOL;

/// Reads one stream.
#[derive(Default)]
pub(super) struct Decoder {
    started: bool,
    open: Vec<Open>,
    parts: u32,
    calls: u32,
    answers: u32,
    further: Further,
    finished: bool,
    ended: bool,
}

/// A block that is not whole yet.
struct Open {
    wire: u32,
    part: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    /// Reasoning that nobody may see: all that is told of it is told with its start.
    Redacted,
    /// Whether any arguments were told.
    Call {
        told: bool,
    },
    /// The call that stands for JSON output.
    JsonAnswer {
        told: bool,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart<'a> {
    #[serde(default)]
    content_block_index: u32,
    #[serde(borrow)]
    start: Start<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    #[serde(borrow)]
    tool_use: Option<ToolUseStart<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUseStart<'a> {
    tool_use_id: String,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta {
    #[serde(default)]
    content_block_index: u32,
    delta: WireDelta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDelta {
    text: Option<String>,
    tool_use: Option<ToolUseDelta>,
    reasoning_content: Option<ReasoningDelta>,
    citation: Option<Value>,
}

#[derive(Deserialize)]
struct ToolUseDelta {
    #[serde(default)]
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningDelta {
    text: Option<String>,
    signature: Option<String>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStop {
    #[serde(default)]
    content_block_index: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop<'a> {
    #[serde(borrow)]
    stop_reason: Cow<'a, str>,
    #[serde(default)]
    additional_model_response_fields: Further,
}

#[derive(Deserialize)]
struct Metadata {
    usage: Option<UsageIn>,
}

impl Decode for Decoder {
    fn event(&mut self, event: RawEvent<'_>, out: &mut Vec<Event>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        match event.name {
            "contentBlockDelta" => self.delta(event.data, out),
            "contentBlockStart" => self.start(event.data, out),
            "contentBlockStop" => {
                let BlockStop { content_block_index } = read(event.data)?;
                if let Some(at) = self.open.iter().rposition(|open| open.wire == content_block_index) {
                    close(self.open.remove(at), out);
                }
                Ok(())
            }
            "messageStart" => {
                self.begin(out);
                Ok(())
            }
            "messageStop" => self.stop(event.data, out),
            "metadata" => self.metadata(event.data, out),
            name if error::is_exception(name) => Err(error::from_event(event)),
            _ => Ok(()),
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) -> Result<()> {
        if !self.finished {
            return Err(cut());
        }
        self.end(out);
        Ok(())
    }
}

// === impl Decoder ===

impl Decoder {
    fn begin(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            let (id, model) = (String::new(), String::new());
            out.push(Event::Start { id, model, created: 0, extra: Extra::new() });
        }
    }

    fn start(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let BlockStart { content_block_index, start } = read(data)?;
        // Blocks of other kinds are made by tools that the provider runs; nobody here can say what they hold.
        let Some(ToolUseStart { tool_use_id, name }) = start.tool_use else { return Ok(()) };
        if name == JSON_TOOL {
            self.answers += 1;
            self.open(content_block_index, Kind::JsonAnswer { told: false }, PartKind::Text, out);
            return Ok(());
        }
        self.calls += 1;
        let kind = PartKind::ToolCall { id: tool_use_id, name: name.into_owned() };
        self.open(content_block_index, Kind::Call { told: false }, kind, out);
        Ok(())
    }

    fn open(&mut self, wire: u32, kind: Kind, part: PartKind, out: &mut Vec<Event>) {
        self.begin(out);
        let index = self.parts;
        self.parts += 1;
        out.push(Event::PartStart { choice: 0, index, kind: part });
        self.open.push(Open { wire, part: index, kind });
    }

    /// The part that pieces of this kind belong to; the first piece opens it.
    fn part(&mut self, wire: u32, kind: Kind, part: PartKind, out: &mut Vec<Event>) -> u32 {
        if let Some(open) = self.open.iter().rfind(|open| open.wire == wire && open.kind == kind) {
            return open.part;
        }
        self.open(wire, kind, part, out);
        self.parts - 1
    }

    fn delta(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let BlockDelta { content_block_index: wire, delta } = read(data)?;
        let (index, delta) = match delta {
            WireDelta { text: Some(text), .. } => {
                (self.part(wire, Kind::Text, PartKind::Text, out), Delta::Text(text))
            }
            WireDelta { tool_use: Some(ToolUseDelta { input }), .. } => {
                let Some(open) = self.open.iter_mut().rfind(|open| open.wire == wire) else { return Ok(()) };
                let delta = match &mut open.kind {
                    Kind::Call { told } => {
                        *told |= !input.is_empty();
                        Delta::Arguments(input)
                    }
                    Kind::JsonAnswer { told } => {
                        *told |= !input.is_empty();
                        Delta::Text(input)
                    }
                    Kind::Text | Kind::Reasoning | Kind::Redacted => return Ok(()),
                };
                (open.part, delta)
            }
            WireDelta { reasoning_content: Some(piece), .. } => {
                let delta = match piece {
                    ReasoningDelta { text: Some(text), .. } => Delta::Reasoning(text),
                    ReasoningDelta { signature: Some(signature), .. } => Delta::Signature(signature),
                    ReasoningDelta { redacted_content: Some(data), .. } => {
                        self.open(wire, Kind::Redacted, PartKind::RedactedReasoning { data }, out);
                        return Ok(());
                    }
                    ReasoningDelta { .. } => return Ok(()),
                };
                (self.part(wire, Kind::Reasoning, PartKind::Reasoning, out), delta)
            }
            WireDelta { citation: Some(citation), .. } => {
                let Some(citation) = citations::citation(&citation) else { return Ok(()) };
                (self.part(wire, Kind::Text, PartKind::Text, out), Delta::Citation(citation))
            }
            WireDelta { .. } => return Ok(()),
        };
        out.push(Event::PartDelta { choice: 0, index, delta });
        Ok(())
    }

    fn stop(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let MessageStop { stop_reason, additional_model_response_fields } = read(data)?;
        self.further = additional_model_response_fields;
        self.begin(out);
        self.open.drain(..).for_each(|open| close(open, out));
        let reason = match words::finish(&stop_reason) {
            // The only call was the JSON answer, which nobody has to run.
            Finish::ToolCalls if self.answers > 0 && self.calls == 0 => Finish::Stop,
            reason => reason,
        };
        if !std::mem::replace(&mut self.finished, true) {
            out.push(Event::Finish { choice: 0, reason, stop_sequence: None });
        }
        Ok(())
    }

    /// The last event, behind the reason to stop.
    fn metadata(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let Metadata { usage } = read(data)?;
        if let Some(usage) = usage {
            self.begin(out);
            out.push(Event::Usage(usage.usage(self.further)));
        }
        if self.finished {
            self.end(out);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.ended, true) {
            self.open.drain(..).for_each(|open| close(open, out));
            out.push(Event::End);
        }
    }
}

/// A call without arguments comes without pieces.
fn close(open: Open, out: &mut Vec<Event>) {
    let index = open.part;
    let rest = match open.kind {
        Kind::Call { told: false } => Some(Delta::Arguments("{}".to_owned())),
        Kind::JsonAnswer { told: false } => Some(Delta::Text("{}".to_owned())),
        Kind::Call { .. } | Kind::JsonAnswer { .. } | Kind::Text | Kind::Reasoning | Kind::Redacted => None,
    };
    if let Some(delta) = rest {
        out.push(Event::PartDelta { choice: 0, index, delta });
    }
    out.push(Event::PartEnd { choice: 0, index });
}

/// Reads an event's data.
fn read<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T> {
    serde_json::from_slice(data).map_err(|err| malformed(&err))
}
