//! Where one attempt's events go on with those of another.

use gatewright_core::chat::{Delta, Event, PartKind};
use gatewright_core::{Decode, RawEvent, Result, Said};

/// Changes the events of an attempt so that they go on with what was said: the answer does not begin again, its text goes
/// into the text that is open, and its other parts are numbered on. Thoughts are left out: they are another model's, behind
/// an answer that has begun.
pub(super) struct Seam {
    /// The text that is not whole.
    open: Option<u32>,
    /// The index of the next part.
    next: u32,
    /// Whether white space was said last, and what follows begins behind it.
    after_space: bool,
    parts: Vec<(u32, Place)>,
}

/// Where a part's events go.
#[derive(Clone, Copy)]
enum Place {
    /// It is a text of which nothing came yet.
    Unsaid,
    At(u32),
    Nowhere,
}

/// A decoder whose events go on with what was said.
pub(super) struct Seamed {
    decoder: Box<dyn Decode>,
    seam: Seam,
    events: Vec<Event>,
}

// === impl Seam ===

impl Seam {
    /// Behind what was said.
    pub(super) fn of(said: &Said) -> Self {
        let after_space = said.text.ends_with(char::is_whitespace);
        Self { open: said.open, next: said.next, after_space, parts: Vec::new() }
    }

    /// Appends what the client gets for an event.
    pub(super) fn take(&mut self, event: Event, out: &mut Vec<Event>) {
        match event {
            Event::Start { .. } => {}
            Event::PartStart { choice: 0, index, kind } => self.start(index, kind, out),
            Event::PartDelta { choice: 0, index, delta } => self.delta(index, delta, out),
            Event::PartEnd { choice: 0, index } => self.end(index, out),
            Event::Finish { choice: 0, .. } => {
                self.close(out);
                out.push(event);
            }
            Event::Logprobs { choice: 0, .. } | Event::Usage(_) | Event::Ping | Event::End => out.push(event),
            // One answer broke off, and one goes on.
            Event::PartStart { .. }
            | Event::PartDelta { .. }
            | Event::PartEnd { .. }
            | Event::Finish { .. }
            | Event::Logprobs { .. } => {}
        }
    }

    fn start(&mut self, index: u32, kind: PartKind, out: &mut Vec<Event>) {
        let place = match kind {
            PartKind::Reasoning | PartKind::RedactedReasoning { .. } => Place::Nowhere,
            PartKind::Text => Place::Unsaid,
            PartKind::ToolCall { .. } | PartKind::Refusal | PartKind::Other(_) => {
                self.close(out);
                Place::At(self.begin(kind, out))
            }
        };
        self.parts.push((index, place));
    }

    fn delta(&mut self, index: u32, delta: Delta, out: &mut Vec<Event>) {
        let Some(at) = self.parts.iter().rposition(|(part, _)| *part == index) else { return };
        match (self.parts.get(at).map(|(_, place)| *place), delta) {
            (Some(Place::At(index)), delta) => out.push(Event::PartDelta { choice: 0, index, delta }),
            (Some(Place::Unsaid), Delta::Text(text)) => {
                let text = if self.after_space { text.trim_start() } else { &text };
                if text.is_empty() {
                    return;
                }
                self.after_space = false;
                let index = match self.open.take() {
                    Some(open) => open,
                    None => self.begin(PartKind::Text, out),
                };
                if let Some(part) = self.parts.get_mut(at) {
                    part.1 = Place::At(index);
                }
                out.push(Event::PartDelta { choice: 0, index, delta: Delta::Text(text.to_owned()) });
            }
            (Some(Place::Unsaid | Place::Nowhere) | None, _) => {}
        }
    }

    fn end(&mut self, index: u32, out: &mut Vec<Event>) {
        let Some(at) = self.parts.iter().rposition(|(part, _)| *part == index) else { return };
        if let (_, Place::At(index)) = self.parts.remove(at) {
            out.push(Event::PartEnd { choice: 0, index });
        }
    }

    fn begin(&mut self, kind: PartKind, out: &mut Vec<Event>) -> u32 {
        let index = self.next;
        self.next += 1;
        out.push(Event::PartStart { choice: 0, index, kind });
        index
    }

    /// The text that was open is whole: something else follows it.
    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some(index) = self.open.take() {
            out.push(Event::PartEnd { choice: 0, index });
        }
    }
}

// === impl Seamed ===

impl Seamed {
    pub(super) fn new(decoder: Box<dyn Decode>, seam: Seam) -> Self {
        Self { decoder, seam, events: Vec::new() }
    }

    fn hand_on(&mut self, read: Result<()>, out: &mut Vec<Event>) -> Result<()> {
        self.events.drain(..).for_each(|event| self.seam.take(event, out));
        read
    }
}

impl Decode for Seamed {
    fn event(&mut self, event: RawEvent<'_>, out: &mut Vec<Event>) -> Result<()> {
        let read = self.decoder.event(event, &mut self.events);
        self.hand_on(read, out)
    }

    fn close(&mut self, out: &mut Vec<Event>) -> Result<()> {
        let read = self.decoder.close(&mut self.events);
        self.hand_on(read, out)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use gatewright_core::chat::Finish;
    use gatewright_core::{Encode, Usage};

    use super::*;

    struct Mute;

    impl Encode for Mute {
        fn event(&mut self, _: &Event, _: &mut BytesMut) {}
    }

    fn said(text: &str, open: Option<u32>) -> Said {
        let encoder = Box::new(Mute);
        Said { text: text.to_owned(), used: Usage::default(), encoder, open, next: 2 }
    }

    fn start(index: u32, kind: PartKind) -> Event {
        Event::PartStart { choice: 0, index, kind }
    }

    fn say(index: u32, text: &str) -> Event {
        Event::PartDelta { choice: 0, index, delta: Delta::Text(text.to_owned()) }
    }

    fn end(index: u32) -> Event {
        Event::PartEnd { choice: 0, index }
    }

    fn finish() -> Event {
        Event::Finish { choice: 0, reason: Finish::Stop, stop_sequence: None }
    }

    fn begin() -> Event {
        Event::Start { id: "2".into(), model: "m".into(), created: 0, extra: Default::default() }
    }

    fn call() -> PartKind {
        PartKind::ToolCall { id: "c".into(), name: "f".into() }
    }

    fn check(said: &Said, events: Vec<Event>, expected: &[Event]) {
        let (mut seam, mut out) = (Seam::of(said), Vec::new());
        events.into_iter().for_each(|event| seam.take(event, &mut out));
        assert_eq!(out, expected);
    }

    #[test]
    fn text_goes_into_the_text_that_is_open_and_all_else_behind_it() {
        let events = || {
            vec![
                begin(),
                start(0, PartKind::Text),
                say(0, "b"),
                end(0),
                start(1, call()),
                end(1),
                finish(),
                Event::End,
            ]
        };
        let calls = |index| [start(index, call()), end(index), finish(), Event::End];
        let open = [vec![say(1, "b"), end(1)], calls(2).to_vec()].concat();
        check(&said("a", Some(1)), events(), &open);
        let closed = [vec![start(2, PartKind::Text), say(2, "b"), end(2)], calls(3).to_vec()].concat();
        check(&said("a", None), events(), &closed);
    }

    #[test]
    fn a_text_is_closed_before_what_follows_it_without_more_text() {
        let events = vec![begin(), start(0, call()), end(0), finish()];
        check(&said("a", Some(1)), events, &[end(1), start(2, call()), end(2), finish()]);
        check(&said("a", Some(1)), vec![begin(), finish()], &[end(1), finish()]);
    }

    #[test]
    fn white_space_stands_once_at_the_seam_and_thoughts_not_at_all() {
        let thought = Event::PartDelta { choice: 0, index: 0, delta: Delta::Reasoning("hm".into()) };
        let events = vec![
            begin(),
            start(0, PartKind::Reasoning),
            thought,
            end(0),
            start(1, PartKind::Text),
            say(1, " \n"),
            say(1, " b c"),
            say(1, " d"),
            end(1),
        ];
        check(&said("a\n", Some(1)), events.clone(), &[say(1, "b c"), say(1, " d"), end(1)]);
        check(&said("a", Some(1)), events, &[say(1, " \n"), say(1, " b c"), say(1, " d"), end(1)]);
    }
}
