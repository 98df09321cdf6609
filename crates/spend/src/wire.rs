//! The bytes inside a record: varints, short texts, identities.

use std::sync::Arc;

use gatewright_core::{Money, Usage, write_hex};
use smallvec::SmallVec;

/// Longer texts are cut: an id that long is not one that we made.
pub(crate) const LONGEST_TEXT: usize = 160;

/// Places for texts that are remembered; end users can be many.
const PLACES: usize = 1024;

/// Texts that were read before: the same few come in every record. Each has one place by its bytes, where the last one
/// stays.
pub(crate) struct Texts(Box<[Option<Known>]>);

/// A text and the bytes that it was read from.
type Known = (Box<[u8]>, Arc<str>);

/// Appends fields to a record.
#[derive(Default)]
pub(crate) struct Writer(SmallVec<[u8; 320]>);

/// Takes fields off a record; `None` means that the bytes are not what a writer wrote.
pub(crate) struct Fields<'a>(&'a [u8]);

// === impl Texts ===

impl Default for Texts {
    fn default() -> Self {
        Self(std::iter::repeat_with(|| None).take(PLACES).collect())
    }
}

// === impl Writer ===

impl Writer {
    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    pub(crate) fn number(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(crate) fn money(&mut self, Money(nano): Money) {
        self.number(((nano << 1) ^ (nano >> 63)) as u64);
    }

    /// Ids are often hashes in hex: those take half the room.
    pub(crate) fn text(&mut self, text: &str) {
        let text = &text[..text.floor_char_boundary(LONGEST_TEXT)];
        let mut packed = [0; LONGEST_TEXT / 2];
        match pack(text.as_bytes(), &mut packed) {
            Some(packed) => {
                self.number((text.len() as u64) << 1 | 1);
                self.bytes(packed);
            }
            None => {
                self.number((text.len() as u64) << 1);
                self.bytes(text.as_bytes());
            }
        }
    }

    /// A mask of the fields that are not zero, then those fields.
    pub(crate) fn usage(&mut self, usage: &Usage) {
        let fields = usage_fields(usage);
        let mut mask = u64::from(usage.cache_in_input) | u64::from(usage.reported_cost.is_some()) << 1;
        for (bit, value) in fields.iter().enumerate() {
            mask |= u64::from(*value != 0) << (bit + 2);
        }
        self.number(mask);
        for value in fields.into_iter().filter(|value| *value != 0) {
            self.number(value);
        }
        if let Some(cost) = usage.reported_cost {
            self.money(cost);
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn money(&mut self) -> Option<Money> {
        let number = self.number()?;
        Some(Money((number >> 1) as i64 ^ -((number & 1) as i64)))
    }

    pub(crate) fn text(&mut self) -> Option<Arc<str>> {
        let (hex, bytes) = self.packed()?;
        if !hex {
            return std::str::from_utf8(bytes).ok().map(Arc::from);
        }
        let mut digits = [0; LONGEST_TEXT];
        let digits = digits.get_mut(..bytes.len() * 2)?;
        write_hex(bytes, digits);
        std::str::from_utf8(digits).ok().map(Arc::from)
    }

    /// A text that may well have been read before.
    pub(crate) fn known_text(&mut self, known: &mut Texts) -> Option<Arc<str>> {
        let from = self.0;
        self.packed()?;
        let packed = from.get(..from.len() - self.0.len())?;
        let place = known.0.get_mut(place(packed))?;
        if let Some((_, text)) = place.as_ref().filter(|(bytes, _)| **bytes == *packed) {
            return Some(Arc::clone(text));
        }
        let text = Fields(packed).text()?;
        *place = Some((packed.into(), Arc::clone(&text)));
        Some(text)
    }

    /// The bytes of a text, and whether they are hex digits, two in a byte.
    fn packed(&mut self) -> Option<(bool, &'a [u8])> {
        let head = self.number()?;
        let length = usize::try_from(head >> 1).ok().filter(|length| *length <= LONGEST_TEXT)?;
        let hex = head & 1 != 0;
        Some((hex, self.bytes(if hex { length / 2 } else { length })?))
    }

    pub(crate) fn usage(&mut self) -> Option<Usage> {
        let mask = self.number()?;
        let mut usage = Usage { cache_in_input: mask & 1 != 0, ..Usage::default() };
        for (bit, field) in usage_fields_mut(&mut usage).into_iter().enumerate() {
            if mask >> (bit + 2) & 1 != 0 {
                *field = self.number()?;
            }
        }
        if mask & 2 != 0 {
            usage.reported_cost = Some(self.money()?);
        }
        Some(usage)
    }
}

/// The place of a text. Who chooses texts that share one makes them be read again, and nothing else.
fn place(packed: &[u8]) -> usize {
    let mix = |sum: u64, word: u64| (sum.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (words, rest) = packed.as_chunks();
    let sum = words.iter().fold(packed.len() as u64, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    let sum = rest.iter().fold(sum, |sum, byte| mix(sum, u64::from(*byte)));
    (sum >> 32) as usize % PLACES
}

/// Digits in hex, two in a byte; `None` where they are few, or where something else is among them.
fn pack<'a>(digits: &[u8], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let (pairs, []) = digits.as_chunks() else { return None };
    let packed = room.get_mut(..pairs.len()).filter(|packed| packed.len() >= 4)?;
    let mut wrong = 0;
    for (packed, [high, low]) in packed.iter_mut().zip(pairs) {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        wrong |= high | low;
        *packed = high << 4 | low & 15;
    }
    (wrong < 16).then_some(packed)
}

/// What each byte is worth as a digit in hex; more than 15 where it is none.
static DIGITS: [u8; 256] = digits();

const fn digits() -> [u8; 256] {
    let mut digits = [0xFF; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    digits
}

/// The order is the format: new fields go to the end.
fn usage_fields(usage: &Usage) -> [u64; 15] {
    let mut copy = *usage;
    usage_fields_mut(&mut copy).map(|field| *field)
}

pub(crate) fn usage_fields_mut(usage: &mut Usage) -> [&mut u64; 15] {
    let Usage {
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        reasoning,
        audio_input,
        audio_output,
        image_input,
        image_output,
        web_searches,
        search_units,
        images,
        audio_millis,
        characters,
        // They have done their part once the cost is known, and that is kept.
        unbilled_input: _,
        unbilled_output: _,
        cache_in_input: _,
        reported_cost: _,
    } = usage;
    [
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        reasoning,
        audio_input,
        audio_output,
        image_input,
        image_output,
        web_searches,
        search_units,
        images,
        audio_millis,
        characters,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_share_a_place_are_not_taken_for_each_other() {
        let mut known = Texts::default();
        for n in 0..3 * PLACES {
            for text in [format!("text-{n}"), format!("{n:016x}")] {
                let mut out = Writer::default();
                out.text(&text);
                let read = Fields::new(out.as_mut_slice()).known_text(&mut known);
                assert_eq!(read.as_deref(), Some(&*text));
            }
        }
    }

    #[test]
    fn digits_in_hex_take_half_the_room() {
        for (text, length) in [
            ("0123456789abcdef", 9),
            ("0123456789ABCDEF", 17),
            ("0123456g", 9),
            ("/0123456", 9),
            ("0123456", 8),
            ("012345", 7),
            ("", 1),
        ] {
            let mut out = Writer::default();
            out.text(text);
            assert_eq!(out.as_mut_slice().len(), length, "{text}");
            assert_eq!(Fields::new(out.as_mut_slice()).text().as_deref(), Some(text));
        }
    }
}
