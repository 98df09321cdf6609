//! Quirks that reach into messages. A body is only decoded where it holds what a quirk is about.

use aho_corasick::packed::Searcher;
use aho_corasick::{AhoCorasick, Match};
use gatewright_catalogue::Quirk;
use gatewright_core::{Json, Losses, Result};
use serde_json::{Map, Value};

/// The words by which messages show that a quirk has something to do in them.
pub(super) struct Words {
    search: Search,
    /// The place of the quirk that each word belongs to.
    owners: Vec<usize>,
}

enum Search {
    /// By SIMD, where the machine has it: ten times as fast, because all words begin with a quote.
    Packed(Searcher),
    Plain(AhoCorasick),
}

// === impl Search ===

impl Search {
    fn new(words: &[String]) -> Option<Self> {
        if words.is_empty() {
            return None;
        }
        let packed = Searcher::new(words).map(Self::Packed);
        packed.or_else(|| AhoCorasick::new(words).ok().map(Self::Plain))
    }

    fn each(&self, text: &[u8], found: impl FnMut(Match)) {
        match self {
            Self::Packed(search) => search.find_iter(text).for_each(found),
            Self::Plain(search) => search.find_iter(text).for_each(found),
        }
    }
}

// === impl Words ===

impl Words {
    /// `None` where no quirk reaches into messages.
    pub(super) fn new(quirks: &[Quirk]) -> Option<Self> {
        let (mut words, mut owners) = (Vec::new(), Vec::new());
        for (place, quirk) in quirks.iter().enumerate() {
            for word in words_of(quirk) {
                words.push(format!("\"{word}\""));
                owners.push(place);
            }
        }
        let search = Search::new(&words)?;
        Some(Self { search, owners })
    }

    /// The quirks whose words are in the messages, in their order; cache marks stand in tools too.
    fn found<'a>(&self, quirks: &'a [Quirk], body: &Json) -> Vec<&'a Quirk> {
        let mut found: u64 = 0;
        let mut look = |field: &str, about: fn(&Quirk) -> bool| {
            self.search.each(body.raw(field).unwrap_or_default(), |place| {
                let owner = self.owners.get(place.pattern().as_usize()).copied().unwrap_or_default();
                if quirks.get(owner).is_some_and(about) {
                    found |= 1 << (owner % 64);
                }
            });
        };
        look("messages", |_| true);
        look("tools", |quirk| *quirk == Quirk::NoCacheMarks);
        match found {
            0 => Vec::new(),
            _ => quirks.iter().zip(0..).filter(|(_, n)| found & 1 << (n % 64) != 0).map(|(q, _)| q).collect(),
        }
    }
}

fn words_of(quirk: &Quirk) -> Vec<&str> {
    match quirk {
        Quirk::Role { from, .. } => vec![from],
        Quirk::FlattenText | Quirk::TextOnlyContent => vec!["type"],
        Quirk::NoCacheMarks => vec!["cache_control"],
        Quirk::NoSpeakerNames => vec!["name"],
        Quirk::DropFromMessages(fields) => fields.iter().map(String::as_str).collect(),
        Quirk::ReasoningField(_) => vec!["reasoning_content"],
        _ => Vec::new(),
    }
}

/// Edits messages and tools.
pub(super) fn apply(quirks: &[Quirk], words: &Words, body: &mut Json, losses: &mut Losses) -> Result<()> {
    let wanted = words.found(quirks, body);
    if wanted.is_empty() {
        return Ok(());
    }
    let mut messages: Vec<Value> = body.get("messages")?.unwrap_or_default();
    for (i, message) in messages.iter_mut().enumerate() {
        let Value::Object(message) = message else { continue };
        for quirk in &wanted {
            edit(message, quirk, i, losses);
        }
    }
    body.set("messages", Value::Array(messages).to_string());
    if wanted.contains(&&Quirk::NoCacheMarks)
        && let Some(mut tools) = body.get::<Vec<Value>>("tools")?
    {
        tools.iter_mut().for_each(unmark);
        body.set("tools", Value::Array(tools).to_string());
    }
    Ok(())
}

fn edit(message: &mut Map<String, Value>, quirk: &Quirk, i: usize, losses: &mut Losses) {
    match quirk {
        Quirk::Role { from, to } if message.get("role").and_then(Value::as_str) == Some(from) => {
            message.insert("role".to_owned(), to.as_str().into());
        }
        Quirk::FlattenText => flatten(message),
        Quirk::TextOnlyContent => {
            keep_text(message, i, losses);
            flatten(message);
        }
        Quirk::NoCacheMarks => {
            message.remove("cache_control");
            if let Some(Value::Array(parts)) = message.get_mut("content") {
                parts.iter_mut().for_each(unmark);
            }
        }
        Quirk::NoSpeakerNames => {
            let is_tool = message.get("role").and_then(Value::as_str) == Some("tool");
            if !is_tool && message.remove("name").is_some() {
                losses.add(format!("messages[{i}].name"));
            }
        }
        Quirk::DropFromMessages(fields) => {
            for field in fields {
                if message.remove(field).is_some_and(|value| !value.is_null()) {
                    losses.add(format!("messages.{field}"));
                }
            }
        }
        Quirk::ReasoningField(field) if field != "reasoning_content" => {
            if let Some(text) = message.remove("reasoning_content") {
                message.entry(field.clone()).or_insert(text);
            }
        }
        _ => {}
    }
}

/// A content whose parts are all text becomes one string.
fn flatten(message: &mut Map<String, Value>) {
    let Some(Value::Array(parts)) = message.get("content") else { return };
    let texts: Option<String> = parts.iter().map(part_text).collect();
    if let Some(text) = texts {
        message.insert("content".to_owned(), text.into());
    }
}

fn keep_text(message: &mut Map<String, Value>, i: usize, losses: &mut Losses) {
    let Some(Value::Array(parts)) = message.get_mut("content") else { return };
    parts.retain(|part| {
        let keep = part_text(part).is_some();
        if !keep {
            let kind = part.get("type").and_then(Value::as_str).unwrap_or("part");
            losses.add(format!("messages[{i}].content[{kind}]"));
        }
        keep
    });
}

fn part_text(part: &Value) -> Option<&str> {
    let is_text = part.get("type").and_then(Value::as_str) == Some("text");
    part.get("text").and_then(Value::as_str).filter(|_| is_text)
}

fn unmark(value: &mut Value) {
    let Value::Object(map) = value else { return };
    map.remove("cache_control");
    if let Some(function) = map.get_mut("function") {
        unmark(function);
    }
}
