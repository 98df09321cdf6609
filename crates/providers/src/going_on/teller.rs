//! Writes a client's events and keeps what they say, for the attempt that goes on if they break off.

use bytes::BytesMut;
use gatewright_core::chat::{Delta, Event, Output, PartKind};
use gatewright_core::{Call, Encode, RawEvent, Said, Usage};

use super::BYTES_PER_TOKEN;

/// An encoder that leaves what it has written when it is dropped before the answer is whole.
pub(super) struct Teller {
    call: Call,
    /// There until it is left.
    said: Option<Said>,
    /// What those used that broke off before; `None` where this is the first.
    before: Option<Usage>,
    /// Bytes of text that they said.
    text_before: usize,
    /// Parts that are not whole.
    parts: Vec<Open>,
    /// What this attempt is told to have used.
    reported: Option<Usage>,
    /// Whether the last thing said was text.
    speaks: bool,
    whole: bool,
    lost: bool,
    /// Whether parts have numbers of their own on the wire.
    numbered: bool,
}

struct Open {
    index: u32,
    is_text: bool,
    is_empty: bool,
}

// === impl Teller ===

impl Teller {
    /// One that begins.
    pub(super) fn fresh(call: &Call, encoder: Box<dyn Encode>) -> Self {
        let said = Said { text: String::new(), used: Usage::default(), encoder, open: None, next: 0 };
        Self::of(call, said, None)
    }

    /// One that goes on.
    pub(super) fn back(call: &Call, said: Said) -> Self {
        let before = Some(said.used);
        Self::of(call, said, before)
    }

    fn of(call: &Call, said: Said, before: Option<Usage>) -> Self {
        Self {
            call: call.clone(),
            before,
            text_before: said.text.len(),
            parts: said
                .open
                .map(|index| Open { index, is_text: true, is_empty: false })
                .into_iter()
                .collect(),
            reported: None,
            speaks: before.is_some(),
            whole: false,
            lost: false,
            numbered: false,
            said: Some(said),
        }
    }

    /// The same, of a stream whose parts have numbers of their own.
    pub(super) fn numbered(mut self) -> Self {
        self.numbered = true;
        self
    }

    /// Takes note of an event that the client was given as its upstream wrote it, and of what it says.
    pub(super) fn follow(&mut self, event: RawEvent<'_>, says: &[Event]) {
        says.iter().for_each(|event| self.note(event));
        if !self.said.as_mut().is_none_or(|said| said.encoder.follow(event, says)) {
            self.lose();
        }
    }

    /// Whether nobody can go on with what was said.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Nobody can go on with what was said.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        if let Some(said) = &mut self.said {
            said.text = String::new();
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::PartStart { choice: 0, index, kind } => self.start(*index, kind),
            Event::PartDelta { choice: 0, index, delta } => self.delta(*index, delta),
            Event::PartEnd { choice: 0, index } => self.end(*index),
            Event::Usage(usage) => self.reported = Some(*usage),
            Event::Finish { .. } | Event::End => self.whole = true,
            // Several answers break off at several places.
            Event::PartStart { .. } | Event::PartDelta { .. } | Event::PartEnd { .. } => self.lose(),
            Event::Start { .. } | Event::Logprobs { .. } | Event::Ping => {}
        }
    }

    fn start(&mut self, index: u32, kind: &PartKind) {
        if let Some(said) = &mut self.said {
            said.next = said.next.max(index.saturating_add(1));
        }
        let is_text = match kind {
            PartKind::Text => true,
            PartKind::Reasoning => false,
            // Whole at once.
            PartKind::RedactedReasoning { .. } => return,
            PartKind::ToolCall { .. } | PartKind::Refusal | PartKind::Other(_) => return self.lose(),
        };
        self.parts.push(Open { index, is_text, is_empty: true });
    }

    fn delta(&mut self, index: u32, delta: &Delta) {
        let Some(part) = self.parts.iter_mut().rev().find(|part| part.index == index) else { return };
        part.is_empty = false;
        match delta {
            Delta::Text(more) if part.is_text => self.text(more),
            Delta::Reasoning(_) | Delta::Signature(_) => self.speaks = false,
            Delta::Citation(_) => {}
            Delta::Text(_) | Delta::Arguments(_) | Delta::Other(_) => self.lose(),
        }
    }

    fn text(&mut self, more: &str) {
        self.speaks = true;
        let Some(said) = &mut self.said else { return };
        let most = self.call.so_far.as_ref().map_or(0, |so_far| so_far.most_text());
        if said.text.len() + more.len() > most {
            return self.lose();
        }
        said.text.push_str(more);
    }

    fn end(&mut self, index: u32) {
        let Some(at) = self.parts.iter().rposition(|part| part.index == index) else { return };
        // What was empty stands on one wire and not on another: where it was edited, we would count otherwise.
        if self.parts.remove(at).is_empty && !self.numbered {
            self.lose();
        }
    }

    /// What the attempt used, as reported, but at least what was seen; nothing where it said nothing.
    fn used(&self, text: usize) -> Option<Usage> {
        if self.reported.is_none() && text == 0 {
            return None;
        }
        let foreseen = || {
            let input = self.call.chat().map_or(0, gatewright_tokens::estimate);
            Usage { input, cache_in_input: true, ..Usage::default() }
        };
        let known = self.reported.unwrap_or_else(foreseen);
        let seen = u64::try_from(text.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX);
        Some(Usage { output: known.output.max(seen), ..known })
    }
}

impl Encode for Teller {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        self.note(event);
        let Some(said) = &mut self.said else { return };
        match (event, self.before) {
            // The client reads of one answer, and pays for all that it took.
            (Event::Usage(usage), Some(before)) => said.encoder.event(&Event::Usage(before.plus(usage)), out),
            _ => said.encoder.event(event, out),
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let (Some(mut said), Some(so_far)) = (self.said.take(), &self.call.so_far) else { return };
        if self.lost || self.whole || !self.speaks || said.text.is_empty() || !may_go_on(&self.call) {
            return;
        }
        said.open = self.parts.iter().rfind(|part| part.is_text).map(|part| part.index);
        let used = self.used(said.text.len() - self.text_before);
        said.used = match (self.before, used) {
            (Some(before), Some(used)) => before.plus(&used),
            (before, used) => used.or(before).unwrap_or_default(),
        };
        so_far.leave(said);
    }
}

/// Whether an answer to this call can be made of two pieces: one of several cannot, nor one that has to be JSON.
fn may_go_on(call: &Call) -> bool {
    call.chat().is_ok_and(|chat| chat.n.is_none_or(|n| n <= 1) && chat.output == Output::Text)
}
