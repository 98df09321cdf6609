//! A span as it was written, for ways out that write it in another form.

use crate::queue::SPANS;
use crate::span::{FAILED, STATUS_CODE, event, field};
use crate::wire;

/// One span.
#[derive(Default)]
pub(crate) struct Written<'a> {
    /// All of it: attributes are read from here.
    pub(crate) message: &'a [u8],
    pub(crate) trace: &'a [u8],
    pub(crate) span: &'a [u8],
    pub(crate) state: &'a [u8],
    pub(crate) parent: &'a [u8],
    pub(crate) name: &'a [u8],
    pub(crate) kind: u64,
    /// In nanoseconds since the Unix epoch.
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) dropped_attributes: u64,
    pub(crate) dropped_events: u64,
    pub(crate) failed: bool,
    pub(crate) flags: u64,
}

/// Something that happened meanwhile.
pub(crate) struct WrittenEvent<'a> {
    pub(crate) message: &'a [u8],
    pub(crate) time: u64,
    pub(crate) name: &'a [u8],
}

/// The spans of a batch.
pub(crate) fn spans(batch: &[u8]) -> impl Iterator<Item = Written<'_>> {
    wire::fields(batch).filter(|field| field.number == SPANS).map(|span| Written::read(span.bytes))
}

/// Bytes that are a text, or should be.
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Bytes that name something.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

// === impl Written ===

impl<'a> Written<'a> {
    fn read(message: &'a [u8]) -> Self {
        let mut read = Self { message, ..Self::default() };
        for part in wire::fields(message) {
            match part.number {
                field::TRACE => read.trace = part.bytes,
                field::SPAN => read.span = part.bytes,
                field::STATE => read.state = part.bytes,
                field::PARENT => read.parent = part.bytes,
                field::NAME => read.name = part.bytes,
                field::KIND => read.kind = part.value,
                field::START => read.start = part.value,
                field::END => read.end = part.value,
                field::DROPPED_ATTRIBUTES => read.dropped_attributes = part.value,
                field::DROPPED_EVENTS => read.dropped_events = part.value,
                field::FLAGS => read.flags = part.value,
                field::STATUS => {
                    let failed = |part: wire::Field<'_>| part.number == STATUS_CODE && part.value == FAILED;
                    read.failed = wire::fields(part.bytes).any(failed);
                }
                _ => {}
            }
        }
        read
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = WrittenEvent<'a>> {
        wire::fields(self.message).filter(|part| part.number == field::EVENTS).map(|part| {
            let mut read = WrittenEvent { message: part.bytes, time: 0, name: &[] };
            for part in wire::fields(part.bytes) {
                match part.number {
                    event::TIME => read.time = part.value,
                    event::NAME => read.name = part.bytes,
                    _ => {}
                }
            }
            read
        })
    }
}
