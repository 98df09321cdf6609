//! Server-sent events out of chunks of bytes, without an allocation in the common case.

use bytes::{BufMut as _, BytesMut};
use gatewright_core::{RawEvent, Result};
use memchr::{memchr, memchr2};
use serde::Serialize;

use crate::held::Held;
use crate::json::put_json;
use crate::splitter::too_large;

/// Splits a stream of bytes into events, wherever the chunks are cut.
///
/// An event that lies wholly in one chunk and has one data line is handed out as it lies there; only what crosses
/// the end of a chunk is copied.
pub struct Splitter {
    max_event: usize,
    /// The unfinished line at the end of the last chunk.
    line: Held,
    /// Data lines of the unfinished event, joined.
    data: Held,
    name: Vec<u8>,
    has_data: bool,
    /// The last chunk ended with a carriage return, so a line feed that follows belongs to it.
    after_return: bool,
    /// No line was read yet, so a byte order mark may come.
    fresh: bool,
}

/// What is known of the event that is being read, as far as it lies in the current chunk.
#[derive(Default)]
struct Open<'a> {
    data: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
}

// === impl Splitter ===

impl Splitter {
    /// A splitter that refuses events of more than `max_event` bytes.
    pub fn new(max_event: usize) -> Self {
        Self {
            max_event,
            line: Held::default(),
            data: Held::default(),
            name: Vec::new(),
            has_data: false,
            after_return: false,
            fresh: true,
        }
    }

    /// Takes the next bytes and calls `each` for every event that is whole with them.
    pub fn feed(&mut self, chunk: &[u8], each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
        let mut open = Open::default();
        let mut rest = chunk;
        if self.after_return && !rest.is_empty() {
            self.after_return = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(at) = memchr2(b'\n', b'\r', rest) {
            let (line, after) = rest.split_at(at);
            rest = self.after_break(after);
            if self.line.is_empty() {
                self.take_line(line, &mut open, each)?;
                continue;
            }
            self.line.push(line);
            let whole = self.line.take();
            let mut inner = Open::default();
            self.take_line(&whole, &mut inner, each)?;
            self.keep(&inner)?;
            self.line.reuse(whole);
        }
        self.keep(&open)?;
        self.check(rest.len())?;
        self.line.push(rest);
        Ok(())
    }

    /// How many bytes of an unfinished event are held.
    pub fn held(&self) -> usize {
        self.line.len() + self.data.len()
    }

    /// The stream ended: the last event may lack its blank line.
    pub fn close(&mut self, each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
        let last = self.line.take();
        let mut open = Open::default();
        if !last.is_empty() {
            self.take_line(&last, &mut open, each)?;
        }
        self.dispatch(&mut open, each)
    }

    /// What follows a line break, where `text` begins with one.
    fn after_break<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        match text {
            [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => rest,
            [b'\r'] => {
                self.after_return = true;
                &[]
            }
            [b'\r', rest @ ..] => rest,
            _ => text,
        }
    }

    fn take_line<'a>(
        &mut self,
        line: &'a [u8],
        open: &mut Open<'a>,
        each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut line = line;
        if std::mem::take(&mut self.fresh) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch(open, each);
        }
        if let Some(data) = field(line, b"data") {
            return self.take_data(data, open);
        }
        if let Some(name) = field(line, b"event") {
            open.name = Some(name);
        }
        Ok(())
    }

    fn take_data<'a>(&mut self, data: &'a [u8], open: &mut Open<'a>) -> Result<()> {
        if open.data.is_none() && !self.has_data {
            self.check(data.len())?;
            open.data = Some(data);
            return Ok(());
        }
        if let Some(first) = open.data.take() {
            self.push_data(first)?;
        }
        self.push_data(data)
    }

    fn push_data(&mut self, data: &[u8]) -> Result<()> {
        // The line break that joins them is part of the event too.
        self.check(usize::from(self.has_data) + data.len())?;
        if self.has_data {
            self.data.push(b"\n");
        }
        self.has_data = true;
        self.data.push(data);
        Ok(())
    }

    /// Copies what is open, because the bytes that it lies in go away.
    fn keep(&mut self, open: &Open<'_>) -> Result<()> {
        if let Some(data) = open.data {
            self.push_data(data)?;
        }
        if let Some(name) = open.name {
            self.name.clear();
            self.name.extend_from_slice(name);
        }
        Ok(())
    }

    fn dispatch(
        &mut self,
        open: &mut Open<'_>,
        each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>,
    ) -> Result<()> {
        let Open { data, name } = std::mem::take(open);
        let name = std::str::from_utf8(name.unwrap_or(&self.name)).unwrap_or_default();
        let held = self.data.take();
        let data = data.unwrap_or(&held);
        // The format's rule: an event without data is none.
        let told = if data.is_empty() { Ok(()) } else { each(RawEvent { name, data }) };
        self.data.reuse(held);
        self.name.clear();
        self.has_data = false;
        told
    }

    fn check(&self, more: usize) -> Result<()> {
        if self.line.len() + self.data.len() + more <= self.max_event {
            return Ok(());
        }
        Err(too_large(self.max_event))
    }
}

/// The value of `line` where it is the field `name`; one blank after the colon is no part of it.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// Appends an event with this data.
pub(crate) fn put(out: &mut BytesMut, name: &str, data: &impl Serialize) {
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\ndata: ");
    put_json(out, data);
    out.put_slice(b"\n\n");
}

/// Appends an event as it came; the lines of its data had been joined.
pub(crate) fn put_raw(out: &mut BytesMut, event: RawEvent<'_>) {
    out.reserve(event.name.len() + event.data.len() + 24);
    if !event.name.is_empty() {
        out.put_slice(b"event: ");
        out.put_slice(event.name.as_bytes());
        out.put_slice(b"\n");
    }
    let mut rest = event.data;
    while let Some(at) = memchr(b'\n', rest) {
        let (line, after) = rest.split_at(at);
        out.put_slice(b"data: ");
        out.put_slice(line);
        out.put_slice(b"\n");
        rest = after.get(1..).unwrap_or_default();
    }
    out.put_slice(b"data: ");
    out.put_slice(rest);
    out.put_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use gatewright_core::{Error, ErrorKind};
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]], max: usize) -> Result<Vec<(String, String)>> {
        let mut seen = Vec::new();
        let mut splitter = Splitter::new(max);
        let mut each = |event: RawEvent<'_>| {
            seen.push((event.name.to_owned(), String::from_utf8_lossy(event.data).into_owned()));
            Ok(())
        };
        for chunk in chunks {
            splitter.feed(chunk, &mut each)?;
        }
        splitter.close(&mut each)?;
        Ok(seen)
    }

    #[test]
    fn lines_and_fields_are_read_as_the_format_says() {
        for (text, want) in [
            ("data: a\n\n", vec![("", "a")]),
            ("data:a\r\n\r\ndata:  b\r\r", vec![("", "a"), ("", " b")]),
            ("event: ping\ndata: {}\n\n", vec![("ping", "{}")]),
            ("data: a\ndata: b\n\n", vec![("", "a\nb")]),
            (": comment\n\ndata: a\nid: 7\nretry: 1\n\n", vec![("", "a")]),
            ("\u{feff}data: a\n\n", vec![("", "a")]),
            ("data: a", vec![("", "a")]),
            ("event: x\n\ndata: a\n\n", vec![("", "a")]),
            ("data\n\ndata: \n\n", vec![]),
            ("data: a\n\n\n\ndata: b\n", vec![("", "a"), ("", "b")]),
            ("database: a\n\n", vec![]),
        ] {
            let want: Vec<_> = want.into_iter().map(|(n, d)| (n.to_owned(), d.to_owned())).collect();
            assert_eq!(split(&[text.as_bytes()], 1000).unwrap(), want, "{text:?}");
        }
    }

    #[test]
    fn an_event_above_the_limit_is_refused_however_it_comes() {
        let long = format!("data: {}\n\n", "x".repeat(100));
        let lines = "data: xxxxxxxxx\n".repeat(12);
        for chunks in [vec![long.as_bytes()], long.as_bytes().chunks(7).collect(), vec![lines.as_bytes()]] {
            let err = split(&chunks, 64).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::BadGateway);
        }
        assert!(split(&[long.as_bytes()], 200).is_ok());
        // What joins two lines counts.
        assert!(split(&[b"data:a\ndata:b\n\n"], 2).is_err());
        assert_eq!(split(&[b"data:a\ndata:b\n\n"], 3).unwrap(), [(String::new(), "a\nb".to_owned())]);
    }

    #[test]
    fn an_error_of_the_taker_ends_it() {
        let mut splitter = Splitter::new(100);
        let err = splitter
            .feed(b"data: a\n\ndata: b\n\n", &mut |_| Err(Error::new(ErrorKind::Upstream, "no")))
            .unwrap_err();
        assert_eq!(err.message(), "no");
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_events(
            lines in prop::collection::vec(
                prop_oneof![
                    Just("data: {\"a\":\"\u{e4}\u{1f600}\"}".to_owned()),
                    Just("data: x".to_owned()),
                    Just("event: delta".to_owned()),
                    Just(": note".to_owned()),
                    Just(String::new()),
                    "[a-z: ]{0,6}",
                ],
                0..24,
            ),
            ends in prop::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("\r")], 24),
            bom in any::<bool>(),
            cuts in prop::collection::vec(1usize..9, 1..40),
        ) {
            let mut text = if bom { "\u{feff}".to_owned() } else { String::new() };
            for (line, end) in lines.iter().zip(&ends) {
                text.push_str(line);
                text.push_str(end);
            }
            let bytes = text.as_bytes();
            let mut chunks = Vec::new();
            let mut at = 0;
            for cut in cuts.iter().cycle() {
                if at >= bytes.len() { break; }
                let end = (at + cut).min(bytes.len());
                chunks.push(&bytes[at..end]);
                at = end;
            }
            prop_assert_eq!(split(&chunks, 10_000).unwrap(), split(&[bytes], 10_000).unwrap());
        }
    }
}
