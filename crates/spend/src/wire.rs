//! The bytes inside a record: varints, short texts, identities.

use std::collections::HashMap;
use std::sync::Arc;

use gatewright_core::{Money, Usage};
use smallvec::SmallVec;

/// Longer texts are cut: an id that long is not one that we made.
pub(crate) const LONGEST_TEXT: usize = 160;

/// Texts that are remembered; end users can be many.
const MOST_TEXTS: usize = 4096;

/// Texts that were read before, by their bytes: the same few come in every record.
#[derive(Default)]
pub(crate) struct Texts(HashMap<Box<[u8]>, Arc<str>>);

/// Appends fields to a record.
#[derive(Default)]
pub(crate) struct Writer(SmallVec<[u8; 320]>);

/// Takes fields off a record; `None` means that the bytes are not what a writer wrote.
pub(crate) struct Fields<'a>(&'a [u8]);

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
        let hex = text.len() >= 8 && text.len().is_multiple_of(2) && text.bytes().all(is_hex);
        self.number((text.len() as u64) << 1 | u64::from(hex));
        match hex {
            false => self.bytes(text.as_bytes()),
            true => self.0.extend(text.as_bytes().chunks_exact(2).map(pack)),
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
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.map(|digit| char::from_digit(u32::from(digit), 16)).collect::<Option<String>>().map(Arc::from)
    }

    /// A text that may well have been read before.
    pub(crate) fn known_text(&mut self, known: &mut Texts) -> Option<Arc<str>> {
        let from = self.0;
        self.packed()?;
        let packed = from.get(..from.len() - self.0.len())?;
        if let Some(text) = known.0.get(packed) {
            return Some(Arc::clone(text));
        }
        let text = Fields(packed).text()?;
        if known.0.len() >= MOST_TEXTS {
            known.0.clear();
        }
        known.0.insert(packed.into(), Arc::clone(&text));
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

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn pack(pair: &[u8]) -> u8 {
    let digit = |byte: &u8| if *byte >= b'a' { byte - b'a' + 10 } else { byte - b'0' };
    pair.iter().fold(0, |packed, byte| packed << 4 | digit(byte))
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
