//! An upstream's events into canonical ones. Each event is an answer of its own with what is new in it.

use gatewright_core::chat::{Delta, Event, Extra, PartKind};
use gatewright_core::{Decode, RawEvent, Result, Usage};
use serde_json::Value;

use super::partial::Building;
use super::piece::{self, Kind};
use super::wire::{Called, Candidate, Response, cut, malformed, read};
use super::{call_id, error, grounding, logprobs, reply_decode, words};
use crate::signature;

/// Reads one stream.
#[derive(Default)]
pub(super) struct Decoder {
    started: bool,
    ended: bool,
    id: String,
    model: String,
    usage: Option<Usage>,
    searches: u64,
    choices: Vec<Choice>,
}

/// One candidate as far as it has come.
#[derive(Default)]
struct Choice {
    index: u32,
    parts: u32,
    open: Option<Open>,
    calls: usize,
    /// A call whose arguments still come.
    building: Option<Building>,
    /// The grounding that was told last: it is repeated with every event.
    grounding: Option<Value>,
    finished: bool,
}

/// What may go on with the next event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Reasoning,
}

impl Decode for Decoder {
    fn event(&mut self, event: RawEvent<'_>, out: &mut Vec<Event>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let response: Response<'_> = read(event.data)?;
        if response.error.is_some() {
            return Err(error::from_body(event.data));
        }
        self.start(&response, out);
        let blocked = response.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
        for candidate in response.candidates {
            self.candidate(candidate, out)?;
        }
        if blocked && self.choices.is_empty() {
            self.choices.push(Choice { finished: true, ..Choice::default() });
            let reason = gatewright_core::chat::Finish::ContentFilter;
            out.push(Event::Finish { choice: 0, reason, stop_sequence: None });
        }
        let usage = response.usage_metadata.and_then(|usage| usage.usage(self.searches));
        if usage.is_some() && usage != self.usage {
            self.usage = usage;
            out.extend(usage.map(Event::Usage));
        }
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<Event>) -> Result<()> {
        let whole = !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finished);
        if !whole {
            return Err(cut());
        }
        if !std::mem::replace(&mut self.ended, true) {
            out.push(Event::End);
        }
        Ok(())
    }
}

// === impl Decoder ===

impl Decoder {
    fn start(&mut self, response: &Response<'_>, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        self.id = response.response_id.as_deref().unwrap_or_default().to_owned();
        self.model = response.model_version.as_deref().unwrap_or_default().to_owned();
        let mut extra = Extra::new();
        let tier = response.usage_metadata.as_ref().and_then(|usage| usage.service_tier.as_deref());
        extra.extend(tier.map(|tier| ("service_tier".to_owned(), words::tier_in(tier).into())));
        out.push(Event::Start { id: self.id.clone(), model: self.model.clone(), created: 0, extra });
    }

    fn candidate(&mut self, candidate: Candidate<'_>, out: &mut Vec<Event>) -> Result<()> {
        if let Some(metadata) = &candidate.grounding_metadata {
            self.searches = self.searches.max(grounding::searches(metadata, &self.model));
        }
        let at = match self.choices.iter().position(|choice| choice.index == candidate.index) {
            Some(at) => at,
            None => {
                self.choices.push(Choice { index: candidate.index, ..Choice::default() });
                self.choices.len() - 1
            }
        };
        let Some(choice) = self.choices.get_mut(at) else { return Ok(()) };
        if choice.finished {
            return Ok(());
        }
        for raw in candidate.content.unwrap_or_default().parts {
            let (kind, signature) = piece::read(raw).map_err(|err| malformed(&err))?;
            let signature = signature.as_deref().map(signature::of_gemini);
            choice.piece(kind, signature, &self.id, out);
        }
        if let Some(value) = candidate.logprobs_result.as_ref().and_then(logprobs::read) {
            out.push(Event::Logprobs { choice: choice.index, value });
        }
        choice.grounding = candidate.grounding_metadata.or(choice.grounding.take());
        if let Some(word) = candidate.finish_reason.as_ref().and_then(words::finish_word) {
            choice.finish(word, out);
        }
        Ok(())
    }
}

// === impl Choice ===

impl Choice {
    fn piece(&mut self, kind: Kind<'_>, signature: Option<String>, answer: &str, out: &mut Vec<Event>) {
        match kind {
            Kind::Thought(text) => {
                self.flow(Open::Reasoning, out);
                if !text.is_empty() {
                    self.delta(Delta::Reasoning(text.into_owned()), out);
                }
                if let Some(signature) = signature {
                    self.delta(Delta::Signature(signature), out);
                    self.close(out);
                }
            }
            Kind::Text(text) => {
                if !text.is_empty() {
                    self.flow(Open::Text, out);
                    self.delta(Delta::Text(text.into_owned()), out);
                }
                self.sign(signature, out);
            }
            Kind::Call(call) => {
                self.sign(signature, out);
                self.call(call, answer, out);
            }
            Kind::Media(media) => {
                if let Some(image) = reply_decode::image(&media) {
                    self.whole(PartKind::Other(image), None, out);
                }
            }
            Kind::Other(value) => self.whole(PartKind::Other(value), None, out),
            Kind::Result(_) => {}
        }
    }

    /// A signature that belongs to a text or a call: reasoning of its own without a text.
    fn sign(&mut self, signature: Option<String>, out: &mut Vec<Event>) {
        if let Some(signature) = signature {
            self.whole(PartKind::Reasoning, Some(Delta::Signature(signature)), out);
        }
    }

    fn call(&mut self, call: Called<'_>, answer: &str, out: &mut Vec<Event>) {
        let arguments = call.arguments();
        let goes_on = call.will_continue;
        if let Some(name) = call.name.filter(|name| !name.is_empty()) {
            self.built(out);
            let own = call.id.filter(|id| !id.is_empty());
            let id = own.map_or_else(|| call_id::of(answer, self.index, self.calls), Into::into);
            self.calls += 1;
            let name = name.into_owned();
            if !goes_on && call.partial_args.is_empty() {
                return self.whole(PartKind::ToolCall { id, name }, Some(Delta::Arguments(arguments)), out);
            }
            self.building = Some(Building::new(id, name));
        }
        if let Some(building) = &mut self.building {
            call.partial_args.into_iter().for_each(|piece| building.add(piece));
        }
        if !goes_on {
            self.built(out);
        }
    }

    /// The call that came in pieces is whole.
    fn built(&mut self, out: &mut Vec<Event>) {
        if let Some(call) = self.building.take() {
            let arguments = Delta::Arguments(call.arguments());
            self.whole(PartKind::ToolCall { id: call.id, name: call.name }, Some(arguments), out);
        }
    }

    /// A part that is whole at once.
    fn whole(&mut self, kind: PartKind, delta: Option<Delta>, out: &mut Vec<Event>) {
        self.close(out);
        out.push(Event::PartStart { choice: self.index, index: self.parts, kind });
        if let Some(delta) = delta {
            self.delta(delta, out);
        }
        out.push(Event::PartEnd { choice: self.index, index: self.parts });
        self.parts += 1;
    }

    /// Goes on with a part of this kind, or begins one.
    fn flow(&mut self, open: Open, out: &mut Vec<Event>) {
        if self.open == Some(open) {
            return;
        }
        self.close(out);
        let kind = match open {
            Open::Text => PartKind::Text,
            Open::Reasoning => PartKind::Reasoning,
        };
        out.push(Event::PartStart { choice: self.index, index: self.parts, kind });
        self.open = Some(open);
    }

    fn delta(&self, delta: Delta, out: &mut Vec<Event>) {
        out.push(Event::PartDelta { choice: self.index, index: self.parts, delta });
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if self.open.take().is_some() {
            out.push(Event::PartEnd { choice: self.index, index: self.parts });
            self.parts += 1;
        }
    }

    fn finish(&mut self, word: &str, out: &mut Vec<Event>) {
        self.built(out);
        let cited = self.grounding.take().map(|metadata| grounding::citations(&metadata)).unwrap_or_default();
        if !cited.is_empty() {
            self.flow(Open::Text, out);
            cited.into_iter().for_each(|citation| self.delta(Delta::Citation(citation), out));
        }
        self.close(out);
        self.finished = true;
        let reason = words::finish(word, self.calls > 0);
        out.push(Event::Finish { choice: self.index, reason, stop_sequence: None });
    }
}
