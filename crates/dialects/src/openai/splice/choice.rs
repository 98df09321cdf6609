//! The choices of an answer: what they say, whether they are whole, and the words that clients look for elsewhere.

use std::ops::Range;

use serde_json::Value;

use super::{Form, Splice, With};
use crate::openai::finish;
use crate::scan::Scanner;

/// Where in one message the words stand that may have to move.
#[derive(Default)]
struct Message {
    content_list: Option<Range<usize>>,
    reasoning: Option<(Range<usize>, Range<usize>)>,
    reasoning_content: ReasoningContent,
}

#[derive(Default)]
enum ReasoningContent {
    #[default]
    Absent,
    Null(Range<usize>),
    There,
}

// === impl Splice ===

impl Splice {
    pub(super) fn choices(&mut self, s: &mut Scanner<'_>, form: Form) -> Option<()> {
        if s.peek()? != b'[' {
            return Some(());
        }
        let mut count = 0;
        s.array(|s| {
            count += 1;
            self.choice(s, form)
        })?;
        self.choices = Some(count);
        Some(())
    }

    fn choice(&mut self, s: &mut Scanner<'_>, form: Form) -> Option<()> {
        let mut index = 0;
        let mut ended = None;
        s.object(|s, field| {
            match (field.key, form) {
                (b"index", _) => {
                    let at = s.skip()?;
                    index = small_number(s.slice(&at));
                }
                (b"delta", Form::Chunk) | (b"message", Form::Whole) if s.peek()? == b'{' => {
                    self.message(s)?
                }
                (b"finish_reason", _) => ended = self.finish(s)?,
                _ => {}
            }
            Some(())
        })?;
        let bit = 1u64.checked_shl(index).unwrap_or_default();
        self.open |= bit;
        if let Some(at) = ended {
            self.finished |= bit;
            self.ends.iter_mut().for_each(|ends| ends.push((index, at.clone())));
        }
        Some(())
    }

    /// Where it stands why the choice is whole, if it is; a word that clients do not know is put into theirs.
    fn finish(&mut self, s: &mut Scanner<'_>) -> Option<Option<Range<usize>>> {
        if s.peek()? != b'"' {
            return s.skip().map(|_| None);
        }
        let at = s.string()?;
        let quoted = at.start - 1..at.end + 1;
        let word = s.slice(&at);
        if word.is_empty() {
            // Some servers write the word empty until the choice is whole.
            self.edit(quoted, With::Fixed("null"));
            return Some(None);
        }
        if !finish::is_known(word) {
            let ours = finish::word(finish::read(std::str::from_utf8(word).unwrap_or_default()));
            self.edit(at, With::Fixed(ours));
        }
        Some(Some(quoted))
    }

    fn message(&mut self, s: &mut Scanner<'_>) -> Option<()> {
        let mut message = Message::default();
        s.object(|s, field| {
            match field.key {
                b"content" if s.peek()? == b'[' => message.content_list = Some(s.skip()?),
                b"content" | b"refusal" => self.weigh(s)?,
                b"reasoning_content" => message.reasoning_content = self.reasoning_content(s)?,
                b"reasoning" => {
                    let key = field.start..field.start + b"\"reasoning\"".len();
                    let start = s.at();
                    if s.peek()? == b'"' {
                        let inner = s.string()?;
                        message.reasoning = Some((key, inner.start - 1..inner.end + 1));
                    } else if s.at() == start {
                        s.skip()?;
                    }
                }
                b"tool_calls" if s.peek()? == b'[' => s.array(|s| self.tool_call(s))?,
                b"function_call" if s.peek()? == b'{' => self.function(s)?,
                b"audio" | b"reasoning_details" => {
                    let at = s.skip()?;
                    self.add(u32::from(!matches!(s.slice(&at), b"null" | b"[]" | b"{}")));
                }
                _ => {}
            }
            Some(())
        })?;
        self.mend(s, message)
    }

    /// The words that providers put elsewhere than LiteLLM's clients look.
    fn mend(&mut self, s: &Scanner<'_>, message: Message) -> Option<()> {
        let absent =
            matches!(message.reasoning_content, ReasoningContent::Absent) && message.reasoning.is_none();
        if let Some((key, value)) = message.reasoning {
            match message.reasoning_content {
                ReasoningContent::Absent => self.edit(key, With::Fixed("\"reasoning_content\"")),
                ReasoningContent::Null(null) => self.edit(null, With::Source(value.clone())),
                ReasoningContent::There => {}
            }
            self.add_length(&(value.start + 1..value.end - 1));
        }
        if let Some(at) = message.content_list {
            let flat = flatten(s.slice(&at), absent)?;
            self.add(flat.weight);
            self.edit(at, With::Own(flat.fields));
        }
        Some(())
    }

    fn reasoning_content(&mut self, s: &mut Scanner<'_>) -> Option<ReasoningContent> {
        if s.peek()? == b'"' {
            let at = s.string()?;
            self.add_length(&at);
            return Some(ReasoningContent::There);
        }
        s.skip().map(ReasoningContent::Null)
    }

    fn tool_call(&mut self, s: &mut Scanner<'_>) -> Option<()> {
        s.object(|s, field| match field.key {
            b"function" | b"custom" if s.peek()? == b'{' => self.function(s),
            _ => Some(()),
        })
    }

    fn function(&mut self, s: &mut Scanner<'_>) -> Option<()> {
        s.object(|s, field| match field.key {
            b"name" | b"arguments" | b"input" => self.weigh(s),
            _ => Some(()),
        })
    }

    fn weigh(&mut self, s: &mut Scanner<'_>) -> Option<()> {
        if let Some(at) = s.string_or_skip()? {
            self.add_length(&at);
        }
        Some(())
    }

    fn add_length(&mut self, range: &Range<usize>) {
        self.add(u32::try_from(range.len()).unwrap_or(u32::MAX));
    }

    fn add(&mut self, more: u32) {
        self.weight = self.weight.saturating_add(more);
    }
}

/// Content that came as a list, as the fields that clients expect.
struct Flat {
    fields: String,
    weight: u32,
}

/// Mistral's content lists: text parts become the string, thinking parts become `reasoning_content`.
fn flatten(list: &[u8], with_reasoning: bool) -> Option<Flat> {
    let parts: Vec<Value> = serde_json::from_slice(list).ok()?;
    let (mut text, mut reasoning) = (String::new(), String::new());
    for part in &parts {
        match part.get("thinking") {
            Some(Value::String(thought)) => reasoning.push_str(thought),
            Some(Value::Array(thoughts)) => {
                thoughts.iter().filter_map(|t| t.get("text")?.as_str()).for_each(|t| reasoning.push_str(t));
            }
            _ => text.push_str(part.get("text").and_then(Value::as_str).unwrap_or_default()),
        }
    }
    let weight = u32::try_from(text.len() + reasoning.len()).unwrap_or(u32::MAX);
    let thinks = with_reasoning && !reasoning.is_empty();
    let content = if text.is_empty() && thinks { Value::Null } else { Value::String(text) };
    let mut fields = content.to_string();
    if thinks {
        fields.push_str(",\"reasoning_content\":");
        fields.push_str(&Value::String(reasoning).to_string());
    }
    Some(Flat { fields, weight })
}

fn small_number(digits: &[u8]) -> u32 {
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}
