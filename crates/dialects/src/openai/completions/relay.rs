//! Traffic that stays in the dialect: bytes are spliced, never written anew.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_core::{Frame, Peek, RawEvent, Relay, ReplyStyle, Result, Usage};
use smallvec::SmallVec;

use crate::json::put_text;
use crate::openai::relay::{DONE, cut_short, unreadable, without_choices};
use crate::openai::{fault, usage};
use crate::scan::Scanner;

/// Edits a stream on its way to the client.
pub(super) struct Passage {
    model: Arc<str>,
    include_usage: bool,
    /// Choices that have begun, and those that have ended, by their numbers.
    begun: SmallVec<[u64; 4]>,
    ended: SmallVec<[u64; 4]>,
    done: bool,
}

/// What is found in an answer, or in an event, without building anything.
#[derive(Default)]
struct Places {
    model: Option<Range<usize>>,
    usage: Option<Range<usize>>,
    /// What has to go so that the usage is gone.
    without_usage: Option<Range<usize>>,
    choices: Option<SmallVec<[(u64, bool); 4]>>,
    weight: u32,
    is_error: bool,
}

/// Edits a whole answer.
pub(super) fn whole(body: &Bytes, style: &ReplyStyle) -> Result<Frame> {
    let places = Places::of(body).ok_or_else(unreadable)?;
    if places.is_error {
        return Err(fault::inside(body));
    }
    if places.choices.is_none() {
        return Err(without_choices(body));
    }
    let mut data = BytesMut::with_capacity(body.len() + style.model.len());
    places.write(body, &style.model, true, &mut data);
    Ok(Frame { data: data.freeze(), usage: places.usage(body), content: places.weight, last: true })
}

// === impl Passage ===

impl Passage {
    pub(super) fn new(style: &ReplyStyle) -> Self {
        Self {
            model: style.model.clone(),
            include_usage: style.include_usage,
            begun: SmallVec::new(),
            ended: SmallVec::new(),
            done: false,
        }
    }

    fn finish(&mut self, out: &mut BytesMut) -> Peek {
        self.done = true;
        out.put_slice(DONE);
        Peek { last: true, ..Peek::default() }
    }

    fn note(&mut self, choices: &[(u64, bool)]) {
        for (index, finished) in choices {
            if !self.begun.contains(index) {
                self.begun.push(*index);
            }
            if *finished && !self.ended.contains(index) {
                self.ended.push(*index);
            }
        }
    }
}

impl Relay for Passage {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        let data = event.data.trim_ascii();
        if data == b"[DONE]" && !self.done {
            return Ok(self.finish(out));
        }
        if data.is_empty() || self.done {
            return Ok(Peek::default());
        }
        let places = Places::of(data).ok_or_else(unreadable)?;
        if places.is_error || event.name == "error" {
            return Err(fault::inside(data));
        }
        let choices = places.choices.as_deref().unwrap_or_default();
        self.note(choices);
        let peek = Peek { usage: places.usage(data), content: places.weight, last: false };
        // An event that has only usage is for those who asked.
        if choices.is_empty() && !(self.include_usage && peek.usage.is_some()) {
            return Ok(peek);
        }
        out.reserve(data.len() + self.model.len() + 16);
        out.put_slice(b"data: ");
        let start = out.len();
        places.write(data, &self.model, self.include_usage, out);
        // An event of several data lines leaves as one: a line break in JSON is only a blank.
        out.get_mut(start..).unwrap_or_default().iter_mut().filter(|b| **b == b'\n').for_each(|b| *b = b' ');
        out.put_slice(b"\n\n");
        Ok(peek)
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        match self.done {
            true => Ok(Peek { last: true, ..Peek::default() }),
            false if !self.begun.is_empty() && self.begun.len() == self.ended.len() => Ok(self.finish(out)),
            false => Err(cut_short()),
        }
    }
}

// === impl Places ===

impl Places {
    fn of(data: &[u8]) -> Option<Self> {
        let mut places = Self::default();
        let mut s = Scanner::new(data);
        s.object(|s, field| {
            match (field.key, s.peek()?) {
                (b"model", first) if first != b'n' => places.model = s.skip(),
                (b"usage", _) => {
                    let at = s.skip()?;
                    places.without_usage = Some(s.removal(field));
                    places.usage = Some(at);
                }
                (b"error", _) => {
                    let at = s.skip()?;
                    places.is_error = !matches!(s.slice(&at), b"null" | b"{}" | b"\"\"");
                }
                (b"choices", b'[') => {
                    let mut choices = SmallVec::new();
                    s.array(|s| {
                        choices.push(places.choice(s)?);
                        Some(())
                    })?;
                    places.choices = Some(choices);
                }
                _ => {}
            }
            Some(())
        })?;
        s.end()?;
        Some(places)
    }

    fn choice(&mut self, s: &mut Scanner<'_>) -> Option<(u64, bool)> {
        let (mut index, mut finished) = (0, false);
        s.object(|s, field| {
            match field.key {
                b"index" => {
                    let at = s.skip()?;
                    index = std::str::from_utf8(s.slice(&at)).ok()?.parse().unwrap_or_default();
                }
                b"text" => {
                    let length = s.string_or_skip()?.map_or(0, |text| text.len());
                    self.weight = self.weight.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
                }
                b"finish_reason" => finished = s.text_or_skip()?.is_some_and(|word| !word.is_empty()),
                _ => {}
            }
            Some(())
        })?;
        Some((index, finished))
    }

    fn usage(&self, data: &[u8]) -> Option<Usage> {
        usage::read(data.get(self.usage.clone()?)?)
    }

    /// The same bytes with our name for the model, and without the usage where it is for nobody.
    fn write(&self, data: &[u8], model: &str, include_usage: bool, out: &mut BytesMut) {
        let gone = self.without_usage.clone().filter(|_| !include_usage);
        let mut edits: SmallVec<[(Range<usize>, bool); 2]> = SmallVec::new();
        edits.extend(self.model.clone().map(|at| (at, true)));
        edits.extend(gone.map(|at| (at, false)));
        edits.sort_by_key(|(at, _)| at.start);
        let mut done = 0;
        for (at, is_model) in edits {
            out.put_slice(data.get(done..at.start).unwrap_or_default());
            if is_model {
                put_text(out, model);
            }
            done = at.end;
        }
        out.put_slice(data.get(done..).unwrap_or_default());
    }
}
