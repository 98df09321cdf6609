//! Request bodies whose dialect nobody read.

use gatewright_core::chat::MediaKind;
use gatewright_core::quote_or_escape;

use crate::chat::{CITATIONS, FRAME, SCHEMA, TOOLS};
use crate::media;
use crate::text::Meter;

/// What a string's place costs: the marks around it.
const STRING: u64 = 1;
/// Below this no string is looked at as media.
const MEDIA_LEAST: usize = 64;

/// Strings that say how a request is built, and are no input of the model's.
const GRAMMAR: [&[u8]; 25] = [
    b"role",
    b"content",
    b"type",
    b"text",
    b"user",
    b"assistant",
    b"system",
    b"model",
    b"messages",
    b"stream",
    b"function",
    b"max_tokens",
    b"temperature",
    b"top_p",
    b"tools",
    b"tool_choice",
    b"source",
    b"media_type",
    b"cache_control",
    b"ephemeral",
    b"json_schema",
    b"url",
    b"image_url",
    b"base64",
    b"citations",
];

/// What was seen on the way through a body.
#[derive(Default)]
struct Seen<'a> {
    meter: Meter,
    tools: bool,
    schema: bool,
    citations: bool,
    /// The last string that is grammar.
    word: &'a [u8],
}

/// How many tokens the input in a JSON body has, about, whatever its dialect: its strings are counted, its structure
/// is not. Media count as they do in conversations.
pub fn estimate_bytes(body: &[u8]) -> u64 {
    let mut seen = Seen::default();
    seen.meter.add(FRAME);
    let mut rest = body;
    while let Some(open) = memchr::memchr(b'"', rest) {
        rest = rest.get(open + 1..).unwrap_or_default();
        let run = next_run(rest);
        let is_short = run < MEDIA_LEAST && rest.get(run) == Some(&b'"');
        let media = if is_short { None } else { media(rest) };
        rest = match media {
            Some((kind, length)) => {
                seen.meter.add(media::embedded(kind, length));
                rest.get(length + 1..).unwrap_or_default()
            }
            None => seen.string(rest, run),
        };
    }
    seen.finish()
}

// === impl Seen ===

impl<'a> Seen<'a> {
    /// Takes one string, of which `run` bytes stand as they are, and answers what follows it.
    fn string(&mut self, rest: &'a [u8], run: usize) -> &'a [u8] {
        let begin = rest.get(..run).unwrap_or_default();
        let after = rest.get(run + 1..).unwrap_or_default();
        if rest.get(run) == Some(&b'"') && GRAMMAR.contains(&begin) {
            self.word = begin;
            // As a key; the same word as a value says nothing.
            let key = after.trim_ascii_start().starts_with(b":");
            self.tools |= key && begin == b"tools";
            self.citations |= key && begin == b"citations";
            self.schema |= begin == b"json_schema";
            return after;
        }
        if matches!(self.word, b"url" | b"image_url") && begin.starts_with(b"http") {
            self.meter.add(media::remote(MediaKind::Image));
        }
        self.word = b"";
        count(rest, run, &mut self.meter)
    }

    fn finish(mut self) -> u64 {
        for (seen, tokens) in [(self.tools, TOOLS), (self.schema, SCHEMA), (self.citations, CITATIONS)] {
            self.meter.add(u64::from(seen) * tokens);
        }
        self.meter.tokens()
    }
}

/// Whether a string is media in base64, and how long it is.
fn media(rest: &[u8]) -> Option<(MediaKind, usize)> {
    let head = rest.get(..MEDIA_LEAST)?;
    let kind = match head.strip_prefix(b"data:") {
        Some(mime) if memchr::memmem::find(mime, b";base64,").is_some() => match mime {
            [b'a', b'p', b'p', ..] => MediaKind::Document,
            [b'a', b'u', ..] => MediaKind::Audio,
            [b'v', ..] => MediaKind::Video,
            _ => MediaKind::Image,
        },
        Some(_) => return None,
        None => media::sniff(head).filter(|_| head.iter().all(|b| is_base64(*b)))?,
    };
    Some((kind, memchr::memchr(b'"', rest).unwrap_or(rest.len())))
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Counts one string and answers what follows it.
fn count<'a>(mut rest: &'a [u8], mut run: usize, meter: &mut Meter) -> &'a [u8] {
    meter.add(STRING);
    meter.part();
    loop {
        meter.feed(rest.get(..run).unwrap_or_default());
        match rest.get(run..) {
            Some([b'\\', tail @ ..]) => rest = escape(tail, meter),
            Some([_, tail @ ..]) => return tail,
            Some([]) | None => return &[],
        }
        run = next_run(rest);
    }
}

/// How far a string goes on without a quote or an escape.
fn next_run(rest: &[u8]) -> usize {
    quote_or_escape(rest, 0).unwrap_or(rest.len())
}

/// Counts what an escape stands for, and answers what follows it.
fn escape<'a>(tail: &'a [u8], meter: &mut Meter) -> &'a [u8] {
    let Some((code, rest)) = tail.split_first() else { return &[] };
    match code {
        b'n' | b'r' => meter.feed(b"\n"),
        b't' => meter.feed(b"\t"),
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
        other => meter.feed(&[*other]),
    }
    rest
}
