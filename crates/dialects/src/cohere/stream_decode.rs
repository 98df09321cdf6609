//! An upstream's events into canonical ones.
//!
//! Content, plan and calls are numbered each for themselves on the wire. A text stays open until something else begins,
//! because citations may follow its end.

use gatewright_core::chat::{Delta, Event, PartKind};
use gatewright_core::{Decode, Error, ErrorKind, RawEvent, Result};

use super::usage::UsageIn;
use super::wire_in::{
    Call, CallOf, Change, CitationOf, Content, ContentOf, End, Function, MessageEnd, MessageStart, PlanOf,
    name, read,
};
use super::{error, logprobs, plan, words};

/// Reads one stream.
#[derive(Default)]
pub(super) struct Decoder {
    parts: u32,
    /// The plan so far: a block of its own is whole at once.
    plan: String,
    /// The text or thought that is told.
    told: Option<Told>,
    calls: Vec<OpenCall>,
    ended: bool,
}

/// A part that is told in pieces.
struct Told {
    part: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The content block with this number.
    Text(u32),
    Thought(u32),
}

struct OpenCall {
    wire: u32,
    part: u32,
    argued: bool,
}

impl Decode for Decoder {
    fn event(&mut self, event: RawEvent<'_>, out: &mut Vec<Event>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let data = event.data;
        match &*name(event.name, data) {
            "content-delta" | "content-start" => self.content(data, out),
            "tool-call-delta" => self.arguments(data, out),
            "tool-plan-delta" => self.plan(data),
            "message-start" => {
                let MessageStart { id } = read(data)?;
                out.push(Event::Start { id, model: String::new(), created: 0, extra: Default::default() });
                Ok(())
            }
            "tool-call-start" => self.call(data, out),
            "tool-call-end" => {
                let index = read::<Change<CallOf>>(data)?.index;
                if let Some(at) = self.calls.iter().position(|call| call.wire == index) {
                    close_call(self.calls.remove(at), out);
                }
                Ok(())
            }
            "citation-start" => self.citation(data, out),
            "message-end" => self.end(data, out),
            "" | "error" => error::told(data).map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }

    fn close(&mut self, _: &mut Vec<Event>) -> Result<()> {
        if self.ended { Ok(()) } else { Err(cut()) }
    }
}

/// The stream ended before the model did.
pub(super) fn cut() -> Error {
    Error::new(ErrorKind::Connection, "the provider closed the stream before the answer was whole")
}

// === impl Decoder ===

impl Decoder {
    fn content(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let mut change: Change<ContentOf> = read(data)?;
        let (index, likely) = (change.index, change.logprobs.take());
        let Some(Content { text, thinking }) = change.message().and_then(|message| message.content) else {
            return Ok(());
        };
        let (kind, said) = match thinking {
            Some(thinking) => (Kind::Thought(index), thinking),
            None => (Kind::Text(index), text.unwrap_or_default()),
        };
        self.tell(kind, said, out);
        if let Some(piece) = likely {
            out.push(Event::Logprobs { choice: 0, value: logprobs::read(&[piece]) });
        }
        Ok(())
    }

    fn plan(&mut self, data: &[u8]) -> Result<()> {
        let change: Change<PlanOf> = read(data)?;
        if let Some(plan) = change.message().and_then(|message| message.tool_plan) {
            self.plan.push_str(&plan);
        }
        Ok(())
    }

    /// A piece of a text or thought, which begins with it where it is not the one that is told.
    fn tell(&mut self, kind: Kind, said: String, out: &mut Vec<Event>) {
        let part = match &self.told {
            Some(told) if told.kind == kind => told.part,
            _ => {
                self.settle(out);
                let part = self.next();
                let opened = match kind {
                    Kind::Text(_) => PartKind::Text,
                    Kind::Thought(_) => PartKind::Reasoning,
                };
                out.push(Event::PartStart { choice: 0, index: part, kind: opened });
                self.told = Some(Told { part, kind });
                part
            }
        };
        if said.is_empty() {
            return;
        }
        let delta = match kind {
            Kind::Text(_) => Delta::Text(said),
            Kind::Thought(_) => Delta::Reasoning(said),
        };
        out.push(Event::PartDelta { choice: 0, index: part, delta });
    }

    fn call(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let change: Change<CallOf> = read(data)?;
        let wire = change.index;
        let Some(Call { id, function }) = change.message().and_then(|message| message.tool_calls) else {
            return Ok(());
        };
        let Function { name, arguments } =
            function.unwrap_or(Function { name: String::new(), arguments: String::new() });
        self.settle(out);
        let part = self.next();
        out.push(Event::PartStart { choice: 0, index: part, kind: PartKind::ToolCall { id, name } });
        self.calls.push(OpenCall { wire, part, argued: false });
        self.argue(wire, arguments, out);
        Ok(())
    }

    fn arguments(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let change: Change<CallOf> = read(data)?;
        let wire = change.index;
        let function = change.message().and_then(|message| message.tool_calls?.function);
        if let Some(Function { arguments, .. }) = function {
            self.argue(wire, arguments, out);
        }
        Ok(())
    }

    fn argue(&mut self, wire: u32, arguments: String, out: &mut Vec<Event>) {
        if arguments.is_empty() {
            return;
        }
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.wire == wire) {
            call.argued = true;
            out.push(Event::PartDelta { choice: 0, index: call.part, delta: Delta::Arguments(arguments) });
        }
    }

    fn citation(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let change: Change<CitationOf> = read(data)?;
        let citation = change.message().and_then(|message| message.citations);
        if let (Some(Told { part, kind: Kind::Text(_) }), Some(citation)) = (&self.told, citation)
            && citation.is_about_text()
        {
            let delta =
                |citation| Event::PartDelta { choice: 0, index: *part, delta: Delta::Citation(citation) };
            out.extend(citation.read().map(delta));
        }
        Ok(())
    }

    fn end(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let MessageEnd { delta } = read(data)?;
        let (word, told, usage) = match delta {
            Some(End { finish_reason, error, usage }) => (finish_reason.unwrap_or_default(), error, usage),
            None => Default::default(),
        };
        out.extend(usage.as_ref().map(UsageIn::usage).map(Event::Usage));
        if let Some(failure) = words::failure(&word, told.as_deref()) {
            return Err(failure);
        }
        self.settle(out);
        self.calls.drain(..).for_each(|call| close_call(call, out));
        out.push(Event::Finish { choice: 0, reason: words::finish(&word), stop_sequence: None });
        out.push(Event::End);
        self.ended = true;
        Ok(())
    }

    /// Ends what is told.
    fn settle(&mut self, out: &mut Vec<Event>) {
        if !self.plan.is_empty() {
            let kind = PartKind::Other(plan::block(std::mem::take(&mut self.plan)));
            let index = self.next();
            out.push(Event::PartStart { choice: 0, index, kind });
            out.push(Event::PartEnd { choice: 0, index });
        }
        if let Some(told) = self.told.take() {
            out.push(Event::PartEnd { choice: 0, index: told.part });
        }
    }

    fn next(&mut self) -> u32 {
        let part = self.parts;
        self.parts += 1;
        part
    }
}

/// A call without arguments comes without deltas.
fn close_call(call: OpenCall, out: &mut Vec<Event>) {
    let OpenCall { part: index, argued, .. } = call;
    if !argued {
        out.push(Event::PartDelta { choice: 0, index, delta: Delta::Arguments("{}".to_owned()) });
    }
    out.push(Event::PartEnd { choice: 0, index });
}
