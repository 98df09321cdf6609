//! The one step that every walk over JSON text takes most often.

use memchr::memchr2;

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// Words that are looked at before SIMD is set up: most strings of a request are shorter.
const WORDS: usize = 4;

/// The position after a JSON string whose first character is at `at`; `None` where it does not end.
pub fn end_of_string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = first::<false>(text, at)?;
        if text.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The first quote or backslash from `at` on: where a JSON string ends or does not go on as it stands.
pub fn quote_or_escape(text: &[u8], at: usize) -> Option<usize> {
    first::<false>(text, at)
}

/// The first byte from `at` on that a JSON string does not hold as it stands: a quote, a backslash, a control character.
pub fn special(text: &[u8], at: usize) -> Option<usize> {
    first::<true>(text, at)
}

/// The first quote or backslash from `at` on, or control character where those count.
fn first<const CONTROLS: bool>(text: &[u8], mut at: usize) -> Option<usize> {
    let mut words = 0;
    while let Some(chunk) = text.get(at..)?.first_chunk() {
        let found = specials::<CONTROLS>(u64::from_le_bytes(*chunk));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
        words += 1;
        if !CONTROLS && words == WORDS {
            return memchr2(b'"', b'\\', text.get(at..)?).map(|step| at + step);
        }
    }
    text.get(at..)?.iter().position(|byte| is_special::<CONTROLS>(*byte)).map(|step| at + step)
}

fn is_special<const CONTROLS: bool>(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (CONTROLS & (byte < b' '))
}

/// The high bit of the lowest special byte of a word, and perhaps of others above it: what is subtracted from a byte is
/// borrowed from the next one where it is too much, and bytes of longer characters have the bit from the start.
fn specials<const CONTROLS: bool>(word: u64) -> u64 {
    let quotes = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
    let backslashes = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    let controls = if CONTROLS { word.wrapping_sub(ONES * u64::from(b' ')) } else { 0 };
    (quotes | backslashes | controls) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_from_the_special_ones_wherever_it_is() {
        for byte in 0..=u8::MAX {
            for place in 0..40 {
                let mut text = [b'~'; 41];
                text[place] = byte;
                text[place + 1] = b'"';
                let is_special = matches!(byte, 0..b' ' | b'"' | b'\\');
                assert_eq!(special(&text, 0), Some(place + usize::from(!is_special)), "{byte} {place}");
            }
        }
    }

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
