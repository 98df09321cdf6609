//! JSON objects, a line each, out of chunks of bytes.

use gatewright_core::{RawEvent, Result};
use memchr::memchr;

use crate::held::Held;
use crate::splitter::too_large;

/// Splits a stream of bytes into lines, wherever the chunks are cut; only what crosses the end of a chunk is copied.
pub struct Splitter {
    max_event: usize,
    /// The unfinished line at the end of the last chunk.
    line: Held,
}

impl Splitter {
    /// A splitter that refuses lines of more than `max_event` bytes.
    pub fn new(max_event: usize) -> Self {
        Self { max_event, line: Held::default() }
    }

    /// Takes the next bytes and calls `each` for every line that is whole with them. Blank lines are none.
    pub fn feed(&mut self, chunk: &[u8], each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
        let mut rest = chunk;
        while let Some(at) = memchr(b'\n', rest) {
            let (line, after) = rest.split_at(at);
            rest = after.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                self.check(line.len())?;
                hand_out(line, each)?;
                continue;
            }
            self.check(line.len())?;
            self.line.push(line);
            let whole = self.line.take();
            hand_out(&whole, each)?;
            self.line.reuse(whole);
        }
        self.check(rest.len())?;
        self.line.push(rest);
        Ok(())
    }

    /// How many bytes of an unfinished line are held.
    pub fn held(&self) -> usize {
        self.line.len()
    }

    /// The stream ended: the last line may lack its end.
    pub fn close(&mut self, each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
        let last = self.line.take();
        hand_out(&last, each)
    }

    fn check(&self, more: usize) -> Result<()> {
        if self.line.len() + more <= self.max_event {
            return Ok(());
        }
        Err(too_large(self.max_event))
    }
}

fn hand_out(line: &[u8], each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
    match line.trim_ascii() {
        [] => Ok(()),
        data => each(RawEvent { name: "", data }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]], max: usize) -> Result<Vec<String>> {
        let mut splitter = Splitter::new(max);
        let mut seen = Vec::new();
        let mut each = |event: RawEvent<'_>| {
            seen.push(String::from_utf8_lossy(event.data).into_owned());
            Ok(())
        };
        chunks.iter().try_for_each(|chunk| splitter.feed(chunk, &mut each))?;
        splitter.close(&mut each)?;
        Ok(seen)
    }

    #[test]
    fn any_chunking_gives_the_same_lines() {
        let text = b"{\"a\":1}\n\r\n{\"b\":\"\xc3\xa4\"}\r\n{\"c\":3}";
        let whole = split(&[text], 100).unwrap();
        assert_eq!(whole, ["{\"a\":1}", "{\"b\":\"\u{e4}\"}", "{\"c\":3}"]);
        for size in 1..text.len() {
            assert_eq!(split(&text.chunks(size).collect::<Vec<_>>(), 100).unwrap(), whole, "{size}");
        }
    }

    #[test]
    fn a_line_above_the_limit_is_refused_however_it_comes() {
        let long = [b'x'; 100];
        for chunks in [vec![&long[..]], long.chunks(7).collect()] {
            assert!(split(&chunks, 64).is_err());
            assert!(split(&chunks, 100).is_ok());
        }
    }
}
