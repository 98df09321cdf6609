//! Request bodies whose dialect nobody read.

use gatewright_core::chat::MediaKind;
use gatewright_core::quote_or_escape;
use memchr::{memchr, memmem};

use crate::chat::{CITATIONS, FRAME, SCHEMA, TOOLS};
use crate::media;
use crate::text::Meter;

/// What a string's place costs: the marks around it.
const STRING: u64 = 1;
/// Below this no string is looked at as media.
const MEDIA_LEAST: usize = 64;

/// A string that is looked at as a word of the grammar is no longer than this; most are found within it to be none.
const LONGEST_WORD: usize = 16;

/// Between two strings there are seldom more bytes than these.
const NEAR: usize = 4;

/// What a request asks a model to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Tokens, about.
    pub tokens: u64,
    /// Whether some of it may be billed at a rate of its own: sound, or what is to be kept in the provider's cache.
    pub beside_text: bool,
}

/// What was seen on the way through a body.
#[derive(Default)]
struct Seen<'a> {
    meter: Meter,
    tools: bool,
    schema: bool,
    citations: bool,
    beside_text: bool,
    /// The last string that is grammar.
    word: &'a [u8],
}

/// How many tokens the input in a JSON body has, about, whatever its dialect: its strings are counted, its structure
/// is not. Media count as they do in conversations.
pub fn estimate_bytes(body: &[u8]) -> u64 {
    input(body).tokens
}

/// The same with what else is seen on the way.
pub fn input(body: &[u8]) -> Input {
    let mut seen = Seen::default();
    seen.meter.add(FRAME);
    let mut rest = body;
    while let Some(inside) = next_string(rest) {
        rest = match word(inside) {
            Some((word, after)) => seen.word(word, after),
            None => match media(inside) {
                Some((kind, length)) => {
                    seen.meter.add(media::embedded(kind, length));
                    inside.get(length + 1..).unwrap_or_default()
                }
                None => seen.text(inside),
            },
        };
    }
    seen.finish()
}

/// What follows the next opening quote.
fn next_string(rest: &[u8]) -> Option<&[u8]> {
    let near = rest.iter().take(NEAR).position(|byte| *byte == b'"');
    rest.get(near.or_else(|| memchr(b'"', rest))? + 1..)
}

/// A string that is short and has no escapes, and what follows it.
fn word(inside: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = quote_or_escape(inside.get(..LONGEST_WORD).unwrap_or(inside), 0)?;
    let (word, after) = inside.split_at_checked(end)?;
    Some((word, after.strip_prefix(b"\"")?))
}

/// Whether a string says how a request is built, and is no input of the model's.
fn is_grammar(word: &[u8]) -> bool {
    matches!(
        word,
        b"role"
            | b"content"
            | b"type"
            | b"text"
            | b"user"
            | b"assistant"
            | b"system"
            | b"model"
            | b"messages"
            | b"stream"
            | b"function"
            | b"max_tokens"
            | b"temperature"
            | b"top_p"
            | b"tools"
            | b"tool_choice"
            | b"source"
            | b"media_type"
            | b"cache_control"
            | b"ephemeral"
            | b"json_schema"
            | b"url"
            | b"image_url"
            | b"base64"
            | b"citations"
    )
}

// === impl Seen ===

impl<'a> Seen<'a> {
    /// Takes one short string, and answers what follows it.
    fn word(&mut self, word: &'a [u8], after: &'a [u8]) -> &'a [u8] {
        if !is_grammar(word) {
            self.beside_text |= matches!(word, b"input_audio" | b"modalities");
            self.address(word);
            self.meter.add(STRING);
            self.meter.part();
            self.meter.feed_run(word, 0);
            return after;
        }
        self.word = word;
        // As a key; the same word as a value says nothing.
        let key = || after.trim_ascii_start().starts_with(b":");
        match word {
            b"tools" => self.tools |= key(),
            b"citations" => self.citations |= key(),
            b"json_schema" => self.schema = true,
            b"cache_control" => self.beside_text = true,
            _ => {}
        }
        after
    }

    /// Takes one string, and answers what follows it.
    fn text(&mut self, inside: &'a [u8]) -> &'a [u8] {
        self.address(inside);
        self.meter.add(STRING);
        self.meter.part();
        let mut rest = inside;
        loop {
            let end = self.meter.feed_run(rest, 0);
            match rest.get(end..) {
                Some([b'\\', tail @ ..]) => rest = escape(tail, &mut self.meter),
                Some([_, tail @ ..]) => return tail,
                Some([]) | None => return &[],
            }
        }
    }

    /// A picture that the provider fetches.
    fn address(&mut self, text: &[u8]) {
        if matches!(self.word, b"url" | b"image_url") && text.starts_with(b"http") {
            self.meter.add(media::remote(MediaKind::Image));
        }
        self.word = b"";
    }

    fn finish(mut self) -> Input {
        for (seen, tokens) in [(self.tools, TOOLS), (self.schema, SCHEMA), (self.citations, CITATIONS)] {
            self.meter.add(u64::from(seen) * tokens);
        }
        Input { tokens: self.meter.tokens(), beside_text: self.beside_text }
    }
}

/// Whether a string is media in base64, and how long it is.
fn media(rest: &[u8]) -> Option<(MediaKind, usize)> {
    let head = rest.get(..MEDIA_LEAST)?;
    let kind = match head.strip_prefix(b"data:") {
        // Where it ends that soon it is short.
        Some(mime) if quote_or_escape(mime, 0).and_then(|end| mime.get(end)) == Some(&b'"') => return None,
        Some(mime) if memmem::find(mime, b";base64,").is_some() => match mime {
            [b'a', b'p', b'p', ..] => MediaKind::Document,
            [b'a', b'u', ..] => MediaKind::Audio,
            [b'v', ..] => MediaKind::Video,
            _ => MediaKind::Image,
        },
        Some(_) => return None,
        None => media::sniff(head).filter(|_| head.iter().all(|b| is_base64(*b)))?,
    };
    Some((kind, memchr(b'"', rest).unwrap_or(rest.len())))
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Counts what an escape stands for, and answers what follows it.
fn escape<'a>(tail: &'a [u8], meter: &mut Meter) -> &'a [u8] {
    let Some((code, rest)) = tail.split_first() else { return &[] };
    match code {
        b'n' | b'r' | b't' => meter.feed_one(b'\n'),
        b'u' => {
            let digits = rest.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
            let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0);
            // Half of a pair beyond the first plane: the two halves are one character of four bytes.
            match (char::from_u32(unit), unit) {
                (Some(character), _) => meter.feed(character.encode_utf8(&mut [0; 4]).as_bytes()),
                (None, 0xD800..=0xDBFF) => meter.feed(&[0xF0]),
                (None, _) => meter.feed(&[0x80]),
            }
            return rest.get(4..).unwrap_or_default();
        }
        other => meter.feed_one(*other),
    }
    rest
}
