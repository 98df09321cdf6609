//! The one step that every walk over JSON text takes most often.

use memchr::memchr2;

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;
const QUOTES: u64 = ONES * b'"' as u64;
const BACKSLASHES: u64 = ONES * b'\\' as u64;

/// Words that are looked at before SIMD is set up: most strings of a request are shorter.
const WORDS: usize = 3;

/// The position after a JSON string whose first character is at `at`; `None` where it does not end.
pub fn end_of_string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = special(text, at)?;
        if text.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The first quote or backslash from `at` on.
fn special(text: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..WORDS {
        let Some(chunk) = text.get(at..).and_then(|rest| rest.first_chunk()) else { break };
        let word = u64::from_le_bytes(*chunk);
        let found = zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr2(b'"', b'\\', text.get(at..)?).map(|step| at + step)
}

/// The high bit of the lowest zero byte, and perhaps of others above it.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_ends_at_its_first_bare_quote_wherever_that_is() {
        for length in 0..80 {
            let inner: Vec<u8> = (0..length).map(|n| b" !#Z[]\x01\xff"[n % 8]).collect();
            let mut text = inner.clone();
            text.extend(b"\"\"tail");
            assert_eq!(end_of_string(&text, 0), Some(length + 1), "{length}");
            assert_eq!(end_of_string(&inner, 0), None);
            for place in 0..length.saturating_sub(1) {
                let mut escaped = text.clone();
                escaped[place..place + 2].copy_from_slice(b"\\\"");
                assert_eq!(end_of_string(&escaped, 0), Some(length + 1), "{length} {place}");
                escaped[place..place + 2].copy_from_slice(b"\"\\");
                assert_eq!(end_of_string(&escaped, 0), Some(place + 1), "{length} {place}");
            }
        }
    }
}
