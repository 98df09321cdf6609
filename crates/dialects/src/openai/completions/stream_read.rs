//! An upstream's stream.

use std::borrow::Cow;

use gatewright_core::chat::{Delta, Event, Extra, PartKind};
use gatewright_core::{Decode, RawEvent, Result};

use super::logprobs;
use super::reply_read::{Wire, WireChoice};
use crate::openai::{fault, finish, relay, usage};

/// Reads the events of one stream.
#[derive(Default)]
pub(super) struct Reader {
    started: bool,
    choices: Vec<Known>,
    done: bool,
}

struct Known {
    index: u32,
    spoke: bool,
    finished: bool,
}

impl Decode for Reader {
    fn event(&mut self, event: RawEvent<'_>, out: &mut Vec<Event>) -> Result<()> {
        let data = event.data.trim_ascii();
        if data.is_empty() || self.done {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.end(out);
            return Ok(());
        }
        if event.name == "error" {
            return Err(fault::inside(data));
        }
        self.take(Wire::read(data)?, out);
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<Event>) -> Result<()> {
        match self.done {
            true => return Ok(()),
            false if self.choices.is_empty() => return Err(relay::cut_short()),
            false if self.choices.iter().any(|choice| !choice.finished) => return Err(relay::cut_short()),
            false => {}
        }
        self.end(out);
        Ok(())
    }
}

// === impl Reader ===

impl Reader {
    fn take(&mut self, wire: Wire<'_>, out: &mut Vec<Event>) {
        let text = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned).unwrap_or_default();
        let choices = wire.choices.unwrap_or_default();
        if !choices.is_empty() && !std::mem::replace(&mut self.started, true) {
            let (id, model, created) = (text(wire.id), text(wire.model), wire.created.unwrap_or_default());
            out.push(Event::Start { id, model, created, extra: Extra::new() });
        }
        for (choice, at) in choices.into_iter().zip(0..) {
            self.choice(choice, at, out);
        }
        out.extend(wire.usage.and_then(|raw| usage::read(raw.get().as_bytes())).map(Event::Usage));
    }

    fn choice(&mut self, raw: WireChoice<'_>, at: u32, out: &mut Vec<Event>) {
        let choice = raw.index.unwrap_or(at);
        let place = self.choices.iter().position(|known| known.index == choice).unwrap_or(self.choices.len());
        if place == self.choices.len() {
            self.choices.push(Known { index: choice, spoke: false, finished: false });
        }
        let Some(known) = self.choices.get_mut(place).filter(|known| !known.finished) else { return };
        if let Some(value) = raw.logprobs.as_ref().and_then(logprobs::to_chat) {
            out.push(Event::Logprobs { choice, value });
        }
        if let Some(text) = raw.text.filter(|text| !text.is_empty()) {
            if !std::mem::replace(&mut known.spoke, true) {
                out.push(Event::PartStart { choice, index: 0, kind: PartKind::Text });
            }
            out.push(Event::PartDelta { choice, index: 0, delta: Delta::Text(text.into_owned()) });
        }
        if let Some(word) = raw.finish_reason.filter(|word| !word.is_empty()) {
            known.finish(&word, out);
        }
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.done = true;
        self.choices.iter_mut().for_each(|known| known.finish("", out));
        out.push(Event::End);
    }
}

// === impl Known ===

impl Known {
    fn finish(&mut self, word: &str, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let choice = self.index;
        if self.spoke {
            out.push(Event::PartEnd { choice, index: 0 });
        }
        out.push(Event::Finish { choice, reason: finish::read(word), stop_sequence: None });
    }
}
