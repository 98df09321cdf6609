//! Segments: how a file of the journal is named, and how records stand in it.

use std::path::{Path, PathBuf};

use crc32fast::Hasher;
use gatewright_core::AttemptId;

use crate::wire::Writer;

/// `len u32 | crc32 u32` before every payload, little endian.
pub(crate) const HEAD: usize = 8;

/// No payload is longer; a longer length is damage.
pub(crate) const LONGEST_PAYLOAD: usize = 4608;

/// The format's version is the extension, because a version inside the file could be damaged with it.
const EXTENSION: &str = "gwj1";

/// A segment's name. The salt goes into every checksum, so that bytes which a client chose (a model's name) can never
/// pass for a record when damage is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) number: u64,
    pub(crate) salt: u64,
}

/// What stands at an offset of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A record.
    Payload(&'a [u8]),
    /// Damage before the next record, in bytes.
    Gap(usize),
    /// No record from here on: a write that was cut, or damage at the end.
    Tail(usize),
}

/// The pieces of a segment in order.
pub(crate) struct Scan<'a> {
    bytes: &'a [u8],
    salt: u64,
    base: u64,
    at: usize,
}

// === impl Name ===

impl Name {
    pub(crate) fn fresh(number: u64) -> Self {
        let [_, _, _, _, _, _, _, _, salt @ ..] = AttemptId::fresh().to_bytes();
        Self { number, salt: u64::from_le_bytes(salt) }
    }

    pub(crate) fn parse(path: &Path) -> Option<Self> {
        if path.extension()? != EXTENSION {
            return None;
        }
        let (number, salt) = path.file_stem()?.to_str()?.split_once('-')?;
        Some(Self { number: number.parse().ok()?, salt: u64::from_str_radix(salt, 16).ok()? })
    }

    pub(crate) fn path(&self, instance: &Path) -> PathBuf {
        instance.join(format!("{:010}-{:016x}.{EXTENSION}", self.number, self.salt))
    }
}

// === impl Scan ===

impl<'a> Scan<'a> {
    /// Of `bytes`, which stand at the offset `base` of a segment with this salt.
    pub(crate) fn new(bytes: &'a [u8], salt: u64, base: u64) -> Self {
        Self { bytes, salt, base, at: 0 }
    }

    /// The offset of the next piece in the segment.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    fn payload(&self, at: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.bytes.get(at..)?.split_first_chunk::<HEAD>()?;
        let [a, b, c, d, sum @ ..] = *head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length == 0 || length > LONGEST_PAYLOAD {
            return None;
        }
        let payload = rest.get(..length)?;
        (checksum(self.salt, self.base + at as u64, payload) == u32::from_le_bytes(sum)).then_some(payload)
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let (from, end) = (self.at, self.bytes.len());
        if from >= end {
            return None;
        }
        if let Some(payload) = self.payload(from) {
            self.at = from + HEAD + payload.len();
            return Some(Piece::Payload(payload));
        }
        let next = (from + 1..end).find(|at| self.payload(*at).is_some());
        self.at = next.unwrap_or(end);
        Some(match next {
            Some(next) => Piece::Gap(next - from),
            None => Piece::Tail(end - from),
        })
    }
}

/// A record with room for its head, which [`seal`] fills.
pub(crate) fn frame(encode: impl FnOnce(&mut Writer)) -> Writer {
    let mut out = Writer::default();
    out.bytes(&[0; HEAD]);
    encode(&mut out);
    out
}

/// Fills the head of a frame that will stand at `offset`.
pub(crate) fn seal(frame: &mut [u8], salt: u64, offset: u64) {
    if let Some((head, payload)) = frame.split_first_chunk_mut::<HEAD>() {
        let [a, b, c, d] = (payload.len() as u32).to_le_bytes();
        let [e, f, g, h] = checksum(salt, offset, payload).to_le_bytes();
        *head = [a, b, c, d, e, f, g, h];
    }
}

fn checksum(salt: u64, offset: u64, payload: &[u8]) -> u32 {
    let place = (u128::from(salt) << 64 | u128::from(offset)).to_le_bytes();
    let mut hasher = Hasher::new();
    hasher.update(&place);
    hasher.update(payload);
    hasher.finalize()
}
