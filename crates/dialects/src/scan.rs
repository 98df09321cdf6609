//! Walks over JSON text without building anything: the cursor of the paths on which bytes are only edited.

use std::ops::Range;

use gatewright_core::end_of_string;

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
            let key = self.string()?;
            self.take(b':')?;
            self.peek()?;
            let value = self.at;
            visit(self, Field { key: self.slice(&key), start, before })?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
