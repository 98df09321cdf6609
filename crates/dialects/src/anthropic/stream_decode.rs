//! An upstream's events into canonical ones.

use std::borrow::Cow;

use gatewright_core::chat::{Delta, Event, Finish, PartKind};
use gatewright_core::{Decode, Error, ErrorKind, RawEvent, Result};
use serde_json::Value;
use serde_json::value::RawValue;

use super::usage::UsageIn;
use super::wire_in::{
    Block, BlockDelta, BlockStart, BlockStop, Message, MessageDelta, MessageStart, Stop, Typed, read,
};
use super::words::{self, JSON_TOOL};
use super::{error, reply_decode};

/// Reads one stream.
#[derive(Default)]
pub(super) struct Decoder {
    usage: UsageIn,
    open: Vec<Open>,
    parts: u32,
    calls: u32,
    answers: u32,
    finished: bool,
    ended: bool,
}

/// A block that is not whole yet.
struct Open {
    wire: u32,
    part: u32,
    kind: Kind,
}

enum Kind {
    Text,
    Reasoning,
    /// Its arguments, where they came with its start; and whether any came after.
    Call {
        given: Option<String>,
        told: bool,
    },
    /// The call that stands for JSON output.
    JsonAnswer {
        given: Option<String>,
        told: bool,
    },
    Other,
}

impl Decode for Decoder {
    fn event(&mut self, event: RawEvent<'_>, out: &mut Vec<Event>) -> Result<()> {
        let name = match event.name {
            // Some compatible providers leave the names out.
            "" => read::<Typed<'_>>(event.data)?.kind,
            name => Cow::Borrowed(name),
        };
        if self.ended {
            return Ok(());
        }
        match &*name {
            "content_block_delta" => self.delta(event.data, out),
            "content_block_start" => self.start(event.data, out),
            "content_block_stop" => self.stop(event.data, out),
            "message_start" => self.begin(event.data, out),
            "message_delta" => self.message(event.data, out),
            "message_stop" => self.end(out),
            "ping" => {
                out.push(Event::Ping);
                Ok(())
            }
            "error" => Err(error::from_event(event.data)),
            _ => Ok(()),
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) -> Result<()> {
        if self.finished {
            return self.end(out);
        }
        Err(cut())
    }
}

/// The stream ended before the model did.
pub(crate) fn cut() -> Error {
    Error::new(ErrorKind::Connection, "the provider closed the stream before the answer was whole")
}

// === impl Decoder ===

impl Decoder {
    fn begin(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let Message { id, model, usage } = read::<MessageStart>(data)?.message;
        let tier = usage.as_ref().and_then(|usage| usage.service_tier.as_deref()).map(words::tier_in);
        let extra = tier.map(|tier| ("service_tier".to_owned(), Value::from(tier))).into_iter().collect();
        out.push(Event::Start { id, model, created: 0, extra });
        if let Some(usage) = usage {
            self.usage.merge(usage);
            // Said at once, so that a stream that breaks off is still billed for its input.
            out.push(Event::Usage(self.usage.usage()));
        }
        Ok(())
    }

    fn start(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let start: BlockStart<'_> = read(data)?;
        let raw = start.content_block.get().as_bytes();
        let index = self.parts;
        self.parts += 1;
        let kind = read::<Typed<'_>>(raw)?.kind;
        if !matches!(&*kind, "text" | "thinking" | "redacted_thinking" | "tool_use") {
            out.push(Event::PartStart { choice: 0, index, kind: PartKind::Other(read(raw)?) });
            self.open.push(Open { wire: start.index, part: index, kind: Kind::Other });
            return Ok(());
        }
        let mut block: Block<'_> = read(raw)?;
        let given = block.input.map(RawValue::get).filter(|input| !is_empty_object(input)).map(str::to_owned);
        let (open, kind) = match &*kind {
            "thinking" => (Kind::Reasoning, PartKind::Reasoning),
            "redacted_thinking" => {
                (Kind::Other, PartKind::RedactedReasoning { data: std::mem::take(&mut block.data) })
            }
            "tool_use" if block.name == JSON_TOOL => {
                self.answers += 1;
                (Kind::JsonAnswer { given, told: false }, PartKind::Text)
            }
            "tool_use" => {
                self.calls += 1;
                let (id, name) = (std::mem::take(&mut block.id), std::mem::take(&mut block.name));
                (Kind::Call { given, told: false }, PartKind::ToolCall { id, name })
            }
            _ => (Kind::Text, PartKind::Text),
        };
        out.push(Event::PartStart { choice: 0, index, kind });
        first_deltas(block, index, &open, out);
        self.open.push(Open { wire: start.index, part: index, kind: open });
        Ok(())
    }

    fn delta(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let BlockDelta { index, delta } = read(data)?;
        let Some(open) = self.open.iter_mut().rev().find(|open| open.wire == index) else { return Ok(()) };
        let delta = match &*delta.kind {
            "text_delta" => Delta::Text(delta.text),
            "thinking_delta" => Delta::Reasoning(delta.thinking),
            "signature_delta" => Delta::Signature(delta.signature),
            "input_json_delta" => match &mut open.kind {
                Kind::Call { told, .. } => {
                    *told |= !delta.partial_json.is_empty();
                    Delta::Arguments(delta.partial_json)
                }
                Kind::JsonAnswer { told, .. } => {
                    *told |= !delta.partial_json.is_empty();
                    Delta::Text(delta.partial_json)
                }
                Kind::Text | Kind::Reasoning | Kind::Other => Delta::Other(other(data)?),
            },
            "citations_delta" => match delta.citation {
                Some(citation) => Delta::Citation(citation),
                None => return Ok(()),
            },
            _ => Delta::Other(other(data)?),
        };
        out.push(Event::PartDelta { choice: 0, index: open.part, delta });
        Ok(())
    }

    fn stop(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let BlockStop { index } = read(data)?;
        let Some(at) = self.open.iter().rposition(|open| open.wire == index) else { return Ok(()) };
        let open = self.open.remove(at);
        close(open, out);
        Ok(())
    }

    fn message(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let MessageDelta { delta, usage } = read(data)?;
        if let Some(usage) = usage {
            self.usage.merge(usage);
            out.push(Event::Usage(self.usage.usage()));
        }
        let Some(Stop { stop_reason: Some(reason), stop_sequence, stop_details }) = delta else {
            return Ok(());
        };
        self.open.drain(..).for_each(|open| close(open, out));
        if let Some(text) = reply_decode::refusal(stop_details.as_ref()) {
            let index = self.parts;
            self.parts += 1;
            out.push(Event::PartStart { choice: 0, index, kind: PartKind::Refusal });
            out.push(Event::PartDelta { choice: 0, index, delta: Delta::Text(text) });
            out.push(Event::PartEnd { choice: 0, index });
        }
        let reason = match words::finish(&reason) {
            // The only call was the JSON answer, which nobody has to run.
            Finish::ToolCalls if self.answers > 0 && self.calls == 0 => Finish::Stop,
            reason => reason,
        };
        if !std::mem::replace(&mut self.finished, true) {
            out.push(Event::Finish { choice: 0, reason, stop_sequence });
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<()> {
        if !self.finished {
            return Err(cut());
        }
        if !std::mem::replace(&mut self.ended, true) {
            // Blocks that began after the reason to stop.
            self.open.drain(..).for_each(|open| close(open, out));
            out.push(Event::End);
        }
        Ok(())
    }
}

/// What a block's start already holds; usually nothing.
fn first_deltas(block: Block<'_>, index: u32, kind: &Kind, out: &mut Vec<Event>) {
    let mut push = |delta| out.push(Event::PartDelta { choice: 0, index, delta });
    match kind {
        Kind::Text => {
            if !block.text.is_empty() {
                push(Delta::Text(block.text));
            }
            block.citations.into_iter().flatten().for_each(|citation| push(Delta::Citation(citation)));
        }
        Kind::Reasoning => {
            if !block.thinking.is_empty() {
                push(Delta::Reasoning(block.thinking));
            }
            if !block.signature.is_empty() {
                push(Delta::Signature(block.signature));
            }
        }
        Kind::Call { .. } | Kind::JsonAnswer { .. } | Kind::Other => {}
    }
}

/// A call without arguments comes without deltas, and some providers give all arguments in the start.
fn close(open: Open, out: &mut Vec<Event>) {
    let index = open.part;
    let whole = |given: Option<String>| given.unwrap_or_else(|| "{}".to_owned());
    let rest = match open.kind {
        Kind::Call { given, told: false } => Some(Delta::Arguments(whole(given))),
        Kind::JsonAnswer { given, told: false } => Some(Delta::Text(whole(given))),
        _ => None,
    };
    if let Some(delta) = rest {
        out.push(Event::PartDelta { choice: 0, index, delta });
    }
    out.push(Event::PartEnd { choice: 0, index });
}

fn is_empty_object(input: &str) -> bool {
    let inner = input.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    input == "null" || inner.is_some_and(|inner| inner.trim().is_empty())
}

fn other(data: &[u8]) -> Result<Value> {
    let mut event: Value = read(data)?;
    Ok(event.get_mut("delta").map(Value::take).unwrap_or_default())
}
