//! Walks over JSON text without building anything: the cursor of the paths on which bytes are only edited, and of readers
//! that know what mostly comes.

use std::borrow::Cow;
use std::ops::Range;

use gatewright_core::{end_of_string, special};
use serde::Deserialize;

/// A place in a JSON text. Every method answers `None` where the text is malformed.
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

/// A field of an object, with the cursor before its value.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    /// The key as it stands between its quotes.
    pub(crate) key: &'a [u8],
    /// Where the key's opening quote is.
    pub(crate) start: usize,
    /// Where the field before it ended; `None` for the first.
    pub(crate) before: Option<usize>,
    /// Whether the key is spelled with escapes.
    escaped: bool,
}

// === impl Scanner ===

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The first byte of the value that comes.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Visits the fields of an object. A value that `visit` leaves alone is skipped.
    pub(crate) fn object(&mut self, visit: impl FnMut(&mut Self, Field<'a>) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        self.fields(None, visit)
    }

    /// Goes on with an object where one of its fields begins; `before` is where the field before it ended.
    pub(crate) fn rest_of_object(
        &mut self,
        at: usize,
        before: Option<usize>,
        visit: impl FnMut(&mut Self, Field<'a>) -> Option<()>,
    ) -> Option<()> {
        self.at = at;
        self.fields(before, visit)
    }

    fn fields(
        &mut self,
        mut before: Option<usize>,
        mut visit: impl FnMut(&mut Self, Field<'a>) -> Option<()>,
    ) -> Option<()> {
        loop {
            self.peek()?;
            let start = self.at;
            self.take(b'"')?;
            let end = special(self.text, self.at)?;
            let escaped = self.text.get(end) != Some(&b'"');
            let key = self.at..if escaped { end_of_string(self.text, end)? - 1 } else { end };
            self.at = key.end + 1;
            self.take(b':')?;
            self.peek()?;
            let value = self.at;
            visit(self, Field { key: self.slice(&key), start, before, escaped })?;
            if self.at == value {
                self.skip()?;
            }
            before = Some(self.at);
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// Visits the elements of an array. An element that `visit` leaves alone is skipped.
    pub(crate) fn array(&mut self, mut visit: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.peek()?;
            let value = self.at;
            visit(self)?;
            if self.at == value {
                self.skip()?;
            }
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// Passes a string; the range lies between its quotes.
    pub(crate) fn string(&mut self) -> Option<Range<usize>> {
        self.take(b'"')?;
        let start = self.at;
        self.at = end_of_string(self.text, start)?;
        Some(start..self.at - 1)
    }

    /// Passes a string where one comes, and whatever else it is otherwise.
    pub(crate) fn string_or_skip(&mut self) -> Option<Option<Range<usize>>> {
        match self.peek()? {
            b'"' => self.string().map(Some),
            _ => self.skip().map(|_| None),
        }
    }

    /// Passes any value.
    pub(crate) fn skip(&mut self) -> Option<Range<usize>> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => self.skip_nested()?,
            b'}' | b']' | b',' | b':' => return None,
            _ => {
                let rest = self.text.get(start..)?;
                let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
                self.at += rest.iter().position(ends).unwrap_or(rest.len());
            }
        }
        Some(start..self.at)
    }

    /// Reads a string.
    pub(crate) fn text(&mut self) -> Option<Cow<'a, str>> {
        self.take(b'"')?;
        let start = self.at;
        let end = special(self.text, start)?;
        if self.text.get(end) != Some(&b'"') {
            return self.escaped(start, end).map(Cow::Owned);
        }
        self.at = end + 1;
        std::str::from_utf8(self.slice(&(start..end))).ok().map(Cow::Borrowed)
    }

    /// Reads a string where one comes; anything else is passed.
    pub(crate) fn text_or_skip(&mut self) -> Option<Option<Cow<'a, str>>> {
        match self.peek()? {
            b'"' => self.text().map(Some),
            _ => self.skip().map(|_| None),
        }
    }

    /// Reads a string or `null`.
    pub(crate) fn text_or_null(&mut self) -> Option<Option<Cow<'a, str>>> {
        match self.peek()? {
            b'n' => self.value(),
            _ => self.text().map(Some),
        }
    }

    /// Reads a block that is plain text and says nothing else, as most do. Where it is more, nothing was passed.
    pub(crate) fn plain_text(&mut self) -> Option<String> {
        let start = self.at;
        let (mut is_text, mut text) = (false, None);
        let read = self.object(|s, field| match field.key {
            b"type" => {
                is_text = s.text()? == "text";
                is_text.then_some(())
            }
            b"text" => {
                text = Some(s.text()?);
                Some(())
            }
            _ => None,
        });
        let text = read.and(text).filter(|_| is_text);
        if text.is_none() {
            self.at = start;
        }
        text.map(Cow::into_owned)
    }

    /// Reads any value as a type that says itself how.
    pub(crate) fn value<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let at = self.skip()?;
        serde_json::from_slice(self.slice(&at)).ok()
    }

    /// Nothing more comes.
    pub(crate) fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// What stands in a range.
    pub(crate) fn slice(&self, range: &Range<usize>) -> &'a [u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// Where the cursor is.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// What has to go so that the field whose value was just passed is gone, one comma included.
    pub(crate) fn removal(&self, field: Field<'_>) -> Range<usize> {
        if let Some(before) = field.before {
            return before..self.at;
        }
        let mut next = Scanner { text: self.text, at: self.at };
        match next.peek() {
            Some(b',') => field.start..next.at + 1,
            _ => field.start..self.at,
        }
    }

    /// Goes on with a string at its first escape, or whatever else ends what can be taken as it stands.
    fn escaped(&mut self, start: usize, first: usize) -> Option<String> {
        let mut text = Vec::with_capacity(256.max(first - start));
        let (mut done, mut at) = (start, first);
        loop {
            text.extend_from_slice(self.text.get(done..at)?);
            match self.text.get(at..)? {
                [b'"', ..] => break,
                [b'\\', b'u', ..] => {
                    self.at = start - 1;
                    return self.value();
                }
                [b'\\', code, ..] => text.push(unescaped(*code)?),
                _ => return None,
            }
            done = at + 2;
            at = special(self.text, done)?;
        }
        self.at = at + 1;
        String::from_utf8(text).ok()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.text.get(self.at)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

impl<'a> Field<'a> {
    /// The key, whatever its spelling.
    pub(crate) fn name(&self) -> Option<Cow<'a, [u8]>> {
        if !self.escaped {
            return Some(Cow::Borrowed(self.key));
        }
        let name: String = serde_json::from_slice(&[b"\"", self.key, b"\""].concat()).ok()?;
        Some(Cow::Owned(name.into()))
    }
}

/// What a short escape stands for.
fn unescaped(code: u8) -> Option<u8> {
    Some(match code {
        b'"' | b'\\' | b'/' => code,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'f' => 0x0c,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_are_read_as_serde_does(text in "\"(.|\\\\[\"/bfnrtu\\\\]|\\\\u[0-9a-f]{4}|[\u{0}-\u{20}]){0,40}\"?") {
            let read = Scanner::new(text.as_bytes()).text();
            let end = end_of_string(text.as_bytes(), 1).unwrap_or(text.len());
            let want = serde_json::from_str::<String>(&text[..end]).ok();
            prop_assert_eq!(read.as_deref(), want.as_deref());
        }
    }

    #[test]
    fn plain_text_is_told_from_everything_more() {
        for (text, want) in [
            (r#"{"type":"text","text":"a\nb"}"#, Some("a\nb")),
            (r#" {"text":"a", "type" : "text"}"#, Some("a")),
            (r#"{"type":"text"}"#, None),
            (r#"{"text":"a"}"#, None),
            (r#"{"type":"text","text":null}"#, None),
            (r#"{"type":"thinking","text":"a"}"#, None),
            (r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}"#, None),
            (r#"{"type":"text","text":"a""#, None),
            (r#""a""#, None),
        ] {
            let mut scanner = Scanner::new(text.as_bytes());
            assert_eq!(scanner.plain_text().as_deref(), want, "{text}");
            assert_eq!(scanner.at() == 0, want.is_none(), "{text}");
        }
    }

    #[test]
    fn a_removed_field_takes_one_comma_with_it() {
        for (text, want) in [
            (r#"{"a":1,"x":{"y":[1]},"b":2}"#, r#"{"a":1,"b":2}"#),
            (r#"{"x": 1 , "b":2}"#, r#"{ "b":2}"#),
            (r#"{"a":1 , "x" : "}" }"#, r#"{"a":1 }"#),
            (r#"{"x":null}"#, "{}"),
        ] {
            let mut gone = 0..0;
            let mut scanner = Scanner::new(text.as_bytes());
            scanner
                .object(|s, field| {
                    if field.key == b"x" {
                        s.skip()?;
                        gone = s.removal(field);
                    }
                    Some(())
                })
                .unwrap();
            assert_eq!(format!("{}{}", &text[..gone.start], &text[gone.end..]), want);
        }
    }

    #[test]
    fn malformed_text_is_noticed() {
        for text in
            ["", "{", r#"{"a"}"#, r#"{"a":1"#, r#"{"a":}"#, r#"{"a":"x}"#, "[1]", r#"{"a":[1}"#, "nope"]
        {
            let whole = Scanner::new(text.as_bytes()).object(|_, _| Some(()));
            assert!(whole.is_none() || text == r#"{"a":[1}"#, "{text}");
        }
    }
}
