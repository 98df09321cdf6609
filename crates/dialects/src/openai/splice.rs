//! What must change in an answer that stays in the dialect, found in one pass over its bytes.

mod choice;

use std::fmt::{self, Write as _};
use std::ops::Range;

use bytes::{BufMut, BytesMut};
use gatewright_core::{AttemptId, ReplyFacts};

use super::facts;
use super::relay::answer_id;
use crate::scan::{Field, Scanner};

/// Whether a whole answer or a piece of a stream is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    Chunk,
}

/// What replaces a range of the source.
#[derive(Clone)]
enum With {
    Nothing,
    Model,
    Id,
    Created,
    Fixed(&'static str),
    Source(Range<usize>),
    Own(String),
}

/// What an answer shows of itself.
pub(super) struct Face {
    /// The model's name, as JSON.
    pub(super) model: String,
    /// The id for an answer that has none, as JSON; one is made up where this is `None`.
    pub(super) id: Option<String>,
    /// Names an answer that has no id.
    pub(super) attempt: AttemptId,
    /// A time for an answer that has none.
    pub(super) created: u64,
}

/// Fields without which a typed client refuses an answer, as bits.
const MODEL: u8 = 1;
const ID: u8 = 2;
const OBJECT: u8 = 4;
const CREATED: u8 = 8;
/// All of them.
const NEEDED: u8 = MODEL | ID | OBJECT | CREATED;
/// Whether the id says anything: `null` and `""` do not.
const SAYS_ID: u8 = 16;

/// What was seen of an answer, and the edits that it needs. Kept between events, so that its buffers are reused.
#[derive(Default)]
pub(super) struct Splice {
    edits: Vec<(Range<usize>, With)>,
    /// Bytes of model output.
    pub(super) weight: u32,
    /// Where the usage is, where one is given.
    pub(super) usage: Option<Range<usize>>,
    usage_field: Option<Range<usize>>,
    /// Whether it carries an error.
    pub(super) is_error: bool,
    /// How many choices it has; `None` where it has no such field.
    pub(super) choices: Option<u32>,
    /// What stands before the choices of the last event, and its edits. The events of one stream mostly differ only
    /// behind it, so that half of each needs no second look.
    head: Vec<u8>,
    head_edits: Vec<(Range<usize>, With)>,
    head_before: Option<usize>,
    head_has: u8,
    /// Which of the fields that clients need the last answer has.
    has: u8,
    /// Where its id is.
    pub(super) id: Option<Range<usize>>,
    /// Where the name of its model is.
    model: Option<Range<usize>>,
    /// Which choices are whole and where the words stand that say why, where somebody asks.
    ends: Option<Vec<(u32, Range<usize>)>>,
    /// Whether every answer gets our id, because one before it had none.
    pub(super) names_itself: bool,
    /// Choices that were seen in any event so far, as bits, and those that are whole.
    open: u64,
    finished: u64,
}

// === impl Form ===

impl Form {
    /// `object` of an answer in this form, as JSON.
    fn object(self) -> &'static str {
        match self {
            Self::Whole => "\"chat.completion\"",
            Self::Chunk => "\"chat.completion.chunk\"",
        }
    }
}

// === impl Splice ===

impl Splice {
    /// One that knows what an answer says about itself.
    pub(super) fn noting() -> Self {
        Self { ends: Some(Vec::new()), ..Self::default() }
    }

    /// Reads one answer. `None` where it is no JSON object.
    pub(super) fn read(&mut self, text: &[u8], form: Form) -> Option<()> {
        self.edits.clear();
        (self.weight, self.usage, self.usage_field) = (0, None, None);
        (self.is_error, self.choices) = (false, None);
        (self.has, self.id, self.model) = (0, None, None);
        let mut scanner = Scanner::new(text);
        if form == Form::Chunk && !self.head.is_empty() && text.starts_with(&self.head) {
            self.has = self.head_has;
            self.edits.extend_from_slice(&self.head_edits);
            let (at, before) = (self.head.len(), self.head_before);
            scanner.rest_of_object(at, before, |s, field| self.field(s, field, form))?;
        } else {
            scanner.object(|s, field| {
                if field.key == b"choices" && form == Form::Chunk {
                    self.learn_head(text.get(..field.start)?, field);
                }
                self.field(s, field, form)
            })?;
        }
        if self.has & NEEDED != NEEDED {
            self.insert_missing(text, form)?;
        }
        Some(())
    }

    /// Whether the last answer has no id of its own.
    pub(super) fn needs_id(&self) -> bool {
        self.has & SAYS_ID == 0
    }

    /// What the last answer says about itself.
    pub(super) fn facts(&self, text: &[u8]) -> ReplyFacts {
        let known = |at: &Range<usize>| facts::known(Scanner::new(text.get(at.clone())?).text());
        let ends = self.ends.iter().flatten();
        ReplyFacts {
            id: self.id.as_ref().and_then(known),
            model: self.model.as_ref().and_then(known),
            finish: ends.filter_map(|(index, at)| Some((*index, known(at)?))).collect(),
        }
    }

    /// Takes the usage out, where there is one.
    pub(super) fn drop_usage(&mut self) {
        if let Some(range) = self.usage_field.take() {
            self.edit(range, With::Nothing);
        }
    }

    /// Whether every choice that was begun is whole.
    pub(super) fn is_whole(&self) -> bool {
        self.finished != 0 && self.open & !self.finished == 0
    }

    /// Writes the answer with its edits.
    pub(super) fn write(&mut self, text: &[u8], face: &Face, out: &mut BytesMut) {
        if self.edits.len() > 1 {
            self.edits.sort_by_key(|(range, _)| range.start);
        }
        let mut at = 0;
        for (range, with) in &self.edits {
            out.put_slice(text.get(at..range.start).unwrap_or_default());
            match with {
                With::Nothing => {}
                With::Model => out.put_slice(face.model.as_bytes()),
                With::Id => face.write_id(out),
                With::Created => put(out, format_args!("{}", face.created)),
                With::Fixed(word) => out.put_slice(word.as_bytes()),
                With::Source(from) => out.put_slice(text.get(from.clone()).unwrap_or_default()),
                With::Own(own) => out.put_slice(own.as_bytes()),
            }
            at = range.end.max(at);
        }
        out.put_slice(text.get(at..).unwrap_or_default());
    }

    fn field(&mut self, s: &mut Scanner<'_>, field: Field<'_>, form: Form) -> Option<()> {
        match field.key {
            b"model" => {
                self.has |= MODEL;
                let at = s.skip()?;
                self.edit(at.clone(), With::Model);
                self.model = Some(at);
            }
            b"id" => self.id(s)?,
            b"created" => {
                self.has |= CREATED;
                let at = s.skip()?;
                if s.slice(&at) == b"null" {
                    self.edit(at, With::Created);
                }
            }
            b"object" => self.object(s, form)?,
            b"choices" => self.choices(s, form)?,
            b"usage" => self.usage(s, field)?,
            b"x_groq" if self.usage.is_none() => self.groq(s)?,
            b"error" => {
                let at = s.skip()?;
                self.is_error |= !matches!(s.slice(&at), b"null" | b"{}" | b"\"\"");
            }
            _ => {}
        }
        Some(())
    }

    fn learn_head(&mut self, head: &[u8], field: Field<'_>) {
        self.head.clear();
        self.head_edits.clear();
        if self.usage.is_some() || self.usage_field.is_some() || self.is_error {
            return;
        }
        self.head.extend_from_slice(head);
        self.head_edits.extend_from_slice(&self.edits);
        self.head_before = field.before;
        self.head_has = self.has;
    }

    /// Puts what clients need and the answer lacks before its other fields.
    fn insert_missing(&mut self, text: &[u8], form: Form) -> Option<()> {
        let start = text.iter().position(|b| *b == b'{')? + 1;
        let empty = Scanner::new(text.get(start..)?).peek() == Some(b'}');
        let mut missing = vec![
            (ID, "\"id\":", With::Id),
            (OBJECT, "\"object\":", With::Fixed(form.object())),
            (CREATED, "\"created\":", With::Created),
            (MODEL, "\"model\":", With::Model),
        ];
        missing.retain(|(bit, ..)| self.has & bit == 0);
        let count = missing.len();
        for ((_, key, value), n) in missing.into_iter().zip(1..) {
            self.edit(start..start, With::Fixed(key));
            self.edit(start..start, value);
            self.edit(start..start, With::Fixed(if empty && n == count { "" } else { "," }));
        }
        Some(())
    }

    /// An id that says nothing counts as none, and so does one that is no text: it comes to stand in other events too.
    fn id(&mut self, s: &mut Scanner<'_>) -> Option<()> {
        let at = s.skip()?;
        let says_nothing = !matches!(s.slice(&at), [b'"', _, .., b'"']);
        self.has |= if says_nothing { ID } else { ID | SAYS_ID };
        if says_nothing || self.names_itself {
            self.edit(at.clone(), With::Id);
        }
        self.id = Some(at);
        Some(())
    }

    fn object(&mut self, s: &mut Scanner<'_>, form: Form) -> Option<()> {
        self.has |= OBJECT;
        let at = s.skip()?;
        let want = form.object();
        let found = s.slice(&at);
        self.is_error |= found == b"\"error\"";
        if found != want.as_bytes() {
            self.edit(at, With::Fixed(want));
        }
        Some(())
    }

    fn usage(&mut self, s: &mut Scanner<'_>, field: Field<'_>) -> Option<()> {
        let at = s.skip()?;
        self.usage_field = Some(s.removal(field));
        if s.slice(&at).first() == Some(&b'{') {
            self.usage = Some(at);
        }
        Some(())
    }

    fn groq(&mut self, s: &mut Scanner<'_>) -> Option<()> {
        if s.peek()? != b'{' {
            return Some(());
        }
        s.object(|s, field| {
            if field.key == b"usage" {
                let at = s.skip()?;
                if s.slice(&at).first() == Some(&b'{') {
                    self.usage = Some(at);
                }
            }
            Some(())
        })
    }

    fn edit(&mut self, range: Range<usize>, with: With) {
        self.edits.push((range, with));
    }
}

// === impl Face ===

impl Face {
    fn write_id(&self, out: &mut BytesMut) {
        match &self.id {
            Some(id) => out.put_slice(id.as_bytes()),
            None => put(out, format_args!("\"{}\"", answer_id(self.attempt))),
        }
    }
}

fn put(out: &mut BytesMut, text: fmt::Arguments<'_>) {
    // Memory does not fail to be written to.
    let _ = out.write_fmt(text);
}
