//! An upstream's lines into canonical events.

use gatewright_core::chat::{Delta, Event, Extra, PartKind};
use gatewright_core::{Decode, Error, ErrorKind, RawEvent, Result};

use super::reply_decode::{Line, Message, logprobs};
use super::words;

/// Reads one stream.
#[derive(Default)]
pub(super) struct Decoder {
    started: bool,
    parts: u32,
    calls: u32,
    /// The text or thought that is told.
    told: Option<(u32, Kind)>,
    ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
}

impl Decode for Decoder {
    fn event(&mut self, event: RawEvent<'_>, out: &mut Vec<Event>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let mut line = Line::read(event.data)?;
        if !std::mem::replace(&mut self.started, true) {
            let model = line.model.as_ref().to_owned();
            out.push(Event::Start { id: String::new(), model, created: 0, extra: Extra::new() });
        }
        if let Some(message) = line.message.take() {
            self.message(message, &line.created_at, out);
        }
        if let Some(tokens) = line.logprobs.take().filter(|tokens| !tokens.is_empty()) {
            out.push(Event::Logprobs { choice: 0, value: logprobs(tokens) });
        }
        if line.done {
            self.end(&line, out);
        }
        Ok(())
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
    fn message(&mut self, message: Message, moment: &str, out: &mut Vec<Event>) {
        let Message { content, thinking, tool_calls } = message;
        self.tell(Kind::Thought, thinking.unwrap_or_default(), out);
        self.tell(Kind::Text, content, out);
        for call in tool_calls.into_iter().flatten() {
            let call = call.read(|| words::call_id(moment, self.calls));
            self.calls += 1;
            self.settle(out);
            let index = self.next();
            let kind = PartKind::ToolCall { id: call.id, name: call.name };
            out.push(Event::PartStart { choice: 0, index, kind });
            out.push(Event::PartDelta { choice: 0, index, delta: Delta::Arguments(call.arguments) });
            out.push(Event::PartEnd { choice: 0, index });
        }
    }

    fn tell(&mut self, kind: Kind, said: String, out: &mut Vec<Event>) {
        if said.is_empty() {
            return;
        }
        let index = match self.told {
            Some((part, told)) if told == kind => part,
            _ => {
                self.settle(out);
                let index = self.next();
                let opened = match kind {
                    Kind::Text => PartKind::Text,
                    Kind::Thought => PartKind::Reasoning,
                };
                out.push(Event::PartStart { choice: 0, index, kind: opened });
                self.told = Some((index, kind));
                index
            }
        };
        let delta = match kind {
            Kind::Text => Delta::Text(said),
            Kind::Thought => Delta::Reasoning(said),
        };
        out.push(Event::PartDelta { choice: 0, index, delta });
    }

    fn end(&mut self, line: &Line<'_>, out: &mut Vec<Event>) {
        self.settle(out);
        out.extend(line.counts().usage().map(Event::Usage));
        let reason = words::finish(line.done_reason.as_deref().unwrap_or_default(), self.calls > 0);
        out.push(Event::Finish { choice: 0, reason, stop_sequence: None });
        out.push(Event::End);
        self.ended = true;
    }

    fn settle(&mut self, out: &mut Vec<Event>) {
        if let Some((index, _)) = self.told.take() {
            out.push(Event::PartEnd { choice: 0, index });
        }
    }

    fn next(&mut self) -> u32 {
        let part = self.parts;
        self.parts += 1;
        part
    }
}
