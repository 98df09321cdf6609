//! One choice of a stream, from flat deltas to blocks.

use gatewright_core::chat::{Delta, Event, Finish, Part, PartKind};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::chunk::{RawCall, RawChoice, RawDelta, list, text, words};
use super::reply::{call_id, citation};
use super::{part, thought};
use crate::openai::finish;
use crate::scan::Scanner;

/// What is open in one choice.
#[derive(Default)]
pub(super) struct Choice {
    pub(super) index: u32,
    next_part: u32,
    /// The last part of running text, and what it is.
    open: Option<(u32, Running)>,
    calls: Vec<Call>,
    audio: Option<u32>,
    spoke: bool,
    cited: bool,
    /// What the answer rests on as a whole, for a text that does not say it piece by piece.
    pub(super) sources: Vec<Value>,
    /// Whether the reasoning came as bare text, which then also stands in the blocks beside it.
    bare_reasoning: bool,
    pub(super) finished: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Running {
    Text,
    Reasoning,
    Refusal,
}

struct Call {
    /// The provider's index, where it gives one.
    wire: Option<u32>,
    id: String,
    /// The part; `None` until the name is known.
    part: Option<u32>,
    /// Arguments that came before the name.
    held: String,
    ended: bool,
}

// === impl Choice ===

impl Choice {
    /// A choice of which nothing was said yet.
    pub(super) fn new(index: u32) -> Self {
        Self { index, ..Self::default() }
    }

    /// Takes what one event says of the choice.
    pub(super) fn take(&mut self, raw: RawChoice<'_>, answer: &str, out: &mut Vec<Event>) {
        if let Some(value) = raw.logprobs {
            out.push(Event::Logprobs { choice: self.index, value });
        }
        // Perplexity repeats the whole message beside each delta; it counts only where nothing else was said.
        let delta = match raw.delta {
            Some(delta) => Some(delta),
            None => raw.message.filter(|_| !self.spoke),
        };
        if let Some(delta) = delta {
            self.delta(delta, answer, out);
        }
        match words(raw.finish_reason).as_str() {
            // Repetitions of the word say nothing new.
            word if word.is_empty() || self.finished => {}
            word => self.finish(word, out),
        }
    }

    fn delta(&mut self, delta: RawDelta<'_>, answer: &str, out: &mut Vec<Event>) {
        self.reasoning(&delta, out);
        match delta.content.map(RawValue::get) {
            Some(raw) if raw.starts_with('[') => self.content_list(raw, out),
            Some(raw) => self.running(Running::Text, text(raw), out),
            None => {}
        }
        self.running(Running::Refusal, delta.refusal.unwrap_or_default(), out);
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(call, answer, out);
        }
        if let Some(function) = delta.function_call {
            self.call(
                RawCall { index: Some(0), id: None, function: Some(function), custom: None },
                answer,
                out,
            );
        }
        for annotation in list(delta.annotations) {
            self.cite(&annotation, out);
        }
        if let Some(audio) = delta.audio.filter(|audio| !audio.is_null()) {
            self.audio(audio, out);
        }
    }

    fn reasoning(&mut self, delta: &RawDelta<'_>, out: &mut Vec<Event>) {
        let named = [delta.reasoning_content, delta.reasoning].into_iter().flatten();
        let told = named.map(|raw| text(raw.get())).find(|text| !text.is_empty()).unwrap_or_default();
        self.bare_reasoning |= !told.is_empty();
        self.running(Running::Reasoning, told, out);
        let blocks = list(delta.thinking_blocks).into_iter().filter_map(|block| match block {
            Value::Object(mut block) => thought::block(&mut block),
            _ => None,
        });
        let mut parts: Vec<Part> = blocks.collect();
        if parts.is_empty() {
            parts = thought::detailed(list(delta.reasoning_details));
        }
        for part in parts {
            self.thought(part, out);
        }
    }

    fn thought(&mut self, part: Part, out: &mut Vec<Event>) {
        let choice = self.index;
        match part {
            Part::Reasoning { text, signature } => {
                if !self.bare_reasoning {
                    self.running(Running::Reasoning, text, out);
                }
                let Some(signature) = signature else { return };
                let index = self.open(Running::Reasoning, out);
                out.push(Event::PartDelta { choice, index, delta: Delta::Signature(signature) });
                // A signature ends its block; what follows is another.
                self.close_running(out);
            }
            Part::RedactedReasoning { data } => {
                self.close_running(out);
                let index = self.next();
                out.push(Event::PartStart { choice, index, kind: PartKind::RedactedReasoning { data } });
                out.push(Event::PartEnd { choice, index });
            }
            _ => {}
        }
    }

    fn content_list(&mut self, raw: &str, out: &mut Vec<Event>) {
        for part in part::content(&mut Scanner::new(raw.as_bytes())).unwrap_or_default() {
            match part {
                Part::Text { text, .. } => self.running(Running::Text, text, out),
                thought => self.thought(thought, out),
            }
        }
    }

    fn running(&mut self, kind: Running, text: String, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let index = self.open(kind, out);
        let delta = match kind {
            Running::Reasoning => Delta::Reasoning(text),
            Running::Text | Running::Refusal => Delta::Text(text),
        };
        out.push(Event::PartDelta { choice: self.index, index, delta });
    }

    /// The open part of this kind; whatever else ran before it ends.
    fn open(&mut self, kind: Running, out: &mut Vec<Event>) -> u32 {
        self.spoke = true;
        match self.open {
            Some((index, open)) if open == kind => return index,
            _ => self.close_running(out),
        }
        let index = self.next();
        self.open = Some((index, kind));
        let kind = match kind {
            Running::Text => PartKind::Text,
            Running::Reasoning => PartKind::Reasoning,
            Running::Refusal => PartKind::Refusal,
        };
        out.push(Event::PartStart { choice: self.index, index, kind });
        index
    }

    fn close_running(&mut self, out: &mut Vec<Event>) {
        if let Some((index, _)) = self.open.take() {
            out.push(Event::PartEnd { choice: self.index, index });
        }
    }

    fn call(&mut self, raw: RawCall<'_>, answer: &str, out: &mut Vec<Event>) {
        let function = raw.function.or(raw.custom);
        let (name, arguments) = match function {
            Some(function) => (function.name.unwrap_or_default(), function.arguments),
            None => (String::new(), None),
        };
        let id = raw.id.unwrap_or_default();
        let place = match self.find_call(raw.index, &id, &name) {
            Some(place) => place,
            None => {
                self.spoke = true;
                let id = if id.is_empty() {
                    call_id(answer, self.index, u32::try_from(self.calls.len()).unwrap_or_default())
                } else {
                    id
                };
                self.calls.push(Call { wire: raw.index, id, part: None, held: String::new(), ended: false });
                self.calls.len() - 1
            }
        };
        self.add_to_call(place, name, arguments.map(|raw| text(raw.get())).unwrap_or_default(), out);
    }

    /// The call that a delta goes on with; `None` where it begins one. Indexes and ids may be missing, and some
    /// servers number every parallel call zero.
    fn find_call(&self, index: Option<u32>, id: &str, name: &str) -> Option<usize> {
        let last = self.calls.len().checked_sub(1)?;
        let begins = |call: &Call| !name.is_empty() && !id.is_empty() && call.id != id && call.part.is_some();
        match index {
            Some(index) => {
                let place = self.calls.iter().rposition(|call| call.wire == Some(index))?;
                self.calls.get(place).filter(|call| !begins(call)).map(|_| place)
            }
            None if !id.is_empty() => self.calls.iter().position(|call| call.id == id),
            None if name.is_empty() => Some(last),
            None => self.calls.get(last).filter(|call| call.part.is_none()).map(|_| last),
        }
    }

    fn add_to_call(&mut self, place: usize, name: String, arguments: String, out: &mut Vec<Event>) {
        let Some(call) = self.calls.get(place) else { return };
        if call.part.is_none() && name.is_empty() {
            if let Some(call) = self.calls.get_mut(place) {
                call.held.push_str(&arguments);
            }
            return;
        }
        if call.part.is_none() {
            self.close_running(out);
            self.begin_call(place, name, out);
        }
        // What comes for a call after the choice was finished is too late: its part has ended.
        let part = self.calls.get(place).filter(|call| !call.ended).and_then(|call| call.part);
        if let (Some(index), false) = (part, arguments.is_empty()) {
            out.push(Event::PartDelta { choice: self.index, index, delta: Delta::Arguments(arguments) });
        }
    }

    fn begin_call(&mut self, place: usize, name: String, out: &mut Vec<Event>) {
        let (choice, index) = (self.index, self.next());
        let Some(call) = self.calls.get_mut(place) else { return };
        call.part = Some(index);
        let kind = PartKind::ToolCall { id: call.id.clone(), name };
        out.push(Event::PartStart { choice, index, kind });
        let held = std::mem::take(&mut call.held);
        if !held.is_empty() {
            out.push(Event::PartDelta { choice, index, delta: Delta::Arguments(held) });
        }
    }

    fn cite(&mut self, annotation: &Value, out: &mut Vec<Event>) {
        let Some(citation) = citation(annotation, "") else { return };
        self.cited = true;
        let index = self.open(Running::Text, out);
        out.push(Event::PartDelta { choice: self.index, index, delta: Delta::Citation(citation) });
    }

    fn cite_sources(&mut self, out: &mut Vec<Event>) {
        let Some((index, Running::Text)) = self.open else { return };
        let sources = std::mem::take(&mut self.sources).into_iter().filter(|_| !self.cited);
        out.extend(sources.map(|source| Event::PartDelta {
            choice: self.index,
            index,
            delta: Delta::Citation(source),
        }));
    }

    fn audio(&mut self, audio: Value, out: &mut Vec<Event>) {
        let choice = self.index;
        let index = match self.audio {
            Some(index) => index,
            None => {
                let index = self.next();
                self.audio = Some(index);
                let mut kind = Map::new();
                kind.insert("type".into(), "audio".into());
                out.push(Event::PartStart { choice, index, kind: PartKind::Other(Value::Object(kind)) });
                index
            }
        };
        out.push(Event::PartDelta { choice, index, delta: Delta::Other(audio) });
    }

    /// Ends all parts and, where it was not yet, the choice.
    pub(super) fn finish(&mut self, word: &str, out: &mut Vec<Event>) {
        self.end_parts(out);
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let reason = match finish::read(word) {
            Finish::Stop if !self.calls.is_empty() => Finish::ToolCalls,
            reason => reason,
        };
        out.push(Event::Finish { choice: self.index, reason, stop_sequence: None });
    }

    fn end_parts(&mut self, out: &mut Vec<Event>) {
        let choice = self.index;
        self.cite_sources(out);
        self.close_running(out);
        for place in 0..self.calls.len() {
            if self.calls.get(place).is_some_and(|call| call.part.is_none()) {
                self.begin_call(place, String::new(), out);
            }
        }
        let open = self.calls.iter_mut().filter(|call| !call.ended);
        let parts = open.filter_map(|call| {
            call.ended = true;
            call.part
        });
        let parts = parts.chain(self.audio.take());
        out.extend(parts.map(|index| Event::PartEnd { choice, index }));
    }

    fn next(&mut self) -> u32 {
        self.next_part += 1;
        self.next_part - 1
    }
}
