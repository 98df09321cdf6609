//! Amazon's binary event stream, read and written: lengths, headers, payload, and a checksum over each half.
//!
//! The format is Smithy's (<https://smithy.io/2.0/aws/amazon-eventstream.html>): two lengths and their CRC-32, the headers, the
//! payload, and the CRC-32 of all of it, all numbers big-endian.

use bytes::{BufMut as _, BytesMut};
use gatewright_core::{Error, ErrorKind, RawEvent, Result};

use crate::held::Held;
use crate::splitter::too_large;

/// Two lengths and their checksum.
const PRELUDE: usize = 12;

/// The checksum at the end.
const TRAILER: usize = 4;

/// Splits a stream of bytes into messages, wherever the chunks are cut; only what crosses the end of a chunk is copied.
pub struct Splitter {
    max_event: usize,
    /// The unfinished message at the end of the last chunk.
    held: Held,
}

/// What is sent as a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something that the answer holds.
    Event,
    /// What went wrong.
    Exception,
}

/// The headers that say what a message is.
#[derive(Default)]
struct Names<'a> {
    event: Option<&'a str>,
    exception: Option<&'a str>,
    error_code: Option<&'a str>,
    error_message: Option<&'a str>,
}

// === impl Splitter ===

impl Splitter {
    /// A splitter that refuses messages of more than `max_event` bytes.
    pub fn new(max_event: usize) -> Self {
        Self { max_event, held: Held::default() }
    }

    /// Takes the next bytes and calls `each` for every message that is whole with them.
    pub fn feed(&mut self, chunk: &[u8], each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
        let mut rest = chunk;
        while !self.held.is_empty() {
            let wanted = match self.held.len() {
                ..PRELUDE => PRELUDE,
                _ => self.length_of(self.held.head())?.unwrap_or(PRELUDE),
            };
            let missing = wanted.saturating_sub(self.held.len());
            let (more, after) = rest.split_at(missing.min(rest.len()));
            self.held.push(more);
            rest = after;
            if more.len() < missing {
                return Ok(());
            }
            if self.length_of(self.held.head())? == Some(self.held.len()) {
                let whole = self.held.take();
                hand_out(&whole, each)?;
                self.held.reuse(whole);
            }
        }
        while let Some(length) = self.length_of(rest)? {
            let Some((whole, after)) = rest.split_at_checked(length) else { break };
            hand_out(whole, each)?;
            rest = after;
        }
        self.held.push(rest);
        Ok(())
    }

    /// How many bytes of an unfinished message are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The stream ended: half a message says nothing, for nobody can check it.
    pub fn close(&mut self, _each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
        self.held = Held::default();
        Ok(())
    }

    /// The length of the message that begins here, checked; `None` where its prelude is not whole yet.
    fn length_of(&self, from: &[u8]) -> Result<Option<usize>> {
        let Some((prelude, _)) = from.split_first_chunk::<PRELUDE>() else { return Ok(None) };
        if crc32fast::hash(&prelude[..8]) != number(&prelude[8..]) {
            return Err(broken("the checksum of a prelude is wrong"));
        }
        let (total, headers) = (number(&prelude[..4]) as usize, number(&prelude[4..8]) as usize);
        if total > self.max_event {
            return Err(too_large(self.max_event));
        }
        match total.checked_sub(PRELUDE + TRAILER) {
            Some(inside) if headers <= inside => Ok(Some(total)),
            _ => Err(broken("the lengths of a message do not fit each other")),
        }
    }
}

/// Hands out a message whose prelude was checked.
fn hand_out(message: &[u8], each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
    let Some((checked, checksum)) = message.split_last_chunk::<TRAILER>() else { return Ok(()) };
    if crc32fast::hash(checked) != number(checksum) {
        return Err(broken("the checksum of a message is wrong"));
    }
    let inside = checked.get(PRELUDE..).unwrap_or_default();
    let headers = checked.get(4..8).map_or(0, number) as usize;
    let (headers, payload) = inside.split_at(headers.min(inside.len()));
    let names = Names::read(headers).ok_or_else(|| broken("the headers of a message cannot be read"))?;
    let name = names.event.or(names.exception).or(names.error_code).unwrap_or_default();
    let data = match names.error_message {
        // An error says all it has to say in its headers.
        Some(message) if payload.is_empty() => message.as_bytes(),
        _ => payload,
    };
    each(RawEvent { name, data })
}

// === impl Names ===

impl<'a> Names<'a> {
    fn read(mut headers: &'a [u8]) -> Option<Self> {
        let mut names = Self::default();
        while !headers.is_empty() {
            let name = short(&mut headers)?;
            let value = value(&mut headers)?;
            let place = match name {
                b":event-type" => &mut names.event,
                b":exception-type" => &mut names.exception,
                b":error-code" => &mut names.error_code,
                b":error-message" => &mut names.error_message,
                _ => continue,
            };
            *place = Some(std::str::from_utf8(value).ok()?);
        }
        Some(names)
    }
}

/// Appends a message whose payload is JSON.
pub(crate) fn write(out: &mut BytesMut, kind: Kind, name: &str, payload: &[u8]) {
    let (type_header, message_type) = match kind {
        Kind::Event => (":event-type", "event"),
        Kind::Exception => (":exception-type", "exception"),
    };
    let pairs = [(type_header, name), (":content-type", "application/json"), (":message-type", message_type)];
    let headers: usize = pairs.iter().map(|(name, value)| 1 + name.len() + 1 + 2 + value.len()).sum();
    let total = PRELUDE + headers + payload.len() + TRAILER;
    let at = out.len();
    out.reserve(total);
    // No message of a gateway comes near these limits.
    out.put_u32(u32::try_from(total).unwrap_or(u32::MAX));
    out.put_u32(u32::try_from(headers).unwrap_or(u32::MAX));
    let prelude = crc32fast::hash(out.get(at..).unwrap_or_default());
    out.put_u32(prelude);
    for (name, value) in pairs {
        out.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.put_slice(name.as_bytes());
        out.put_u8(STRING);
        out.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        out.put_slice(value.as_bytes());
    }
    out.put_slice(payload);
    let whole = crc32fast::hash(out.get(at..).unwrap_or_default());
    out.put_u32(whole);
}

/// The type of a header that is a string.
const STRING: u8 = 7;

/// A header's value, past which `from` then stands; empty for numbers, times and the like, which nobody here reads.
fn value<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let skipped = match from.split_off_first()? {
        // True and false stand in the type itself; then a byte, 16, 32 and 64 bits, a time, an id.
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        6 | &STRING => {
            let (length, rest) = from.split_first_chunk::<2>()?;
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            *from = rest;
            return Some(value);
        }
        _ => return None,
    };
    *from = from.get(skipped..)?;
    Some(&[])
}

/// Bytes with their number, in one byte, before them.
fn short<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::from(*from.split_off_first()?);
    let (text, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(text)
}

/// Four bytes as a number; zero where there are fewer.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn broken(detail: &'static str) -> Error {
    Error::new(ErrorKind::BadGateway, "the upstream's stream of events is damaged").with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the format's own documentation: a message without headers, with the payload `{'foo':'bar'}`.
    const PUBLISHED: [u8; 29] = [
        0x00, 0x00, 0x00, 0x1d, 0x00, 0x00, 0x00, 0x00, 0xfd, 0x52, 0x8c, 0x5a, 0x7b, 0x27, 0x66, 0x6f, 0x6f,
        0x27, 0x3a, 0x27, 0x62, 0x61, 0x72, 0x27, 0x7d, 0xc3, 0x65, 0x39, 0x36,
    ];

    fn split(chunks: &[&[u8]], max: usize) -> Result<Vec<(String, String)>> {
        let mut splitter = Splitter::new(max);
        let mut seen = Vec::new();
        let mut each = |event: RawEvent<'_>| {
            seen.push((event.name.to_owned(), String::from_utf8_lossy(event.data).into_owned()));
            Ok(())
        };
        chunks.iter().try_for_each(|chunk| splitter.feed(chunk, &mut each))?;
        splitter.close(&mut each)?;
        Ok(seen)
    }

    fn written() -> Vec<u8> {
        let mut out = BytesMut::new();
        write(&mut out, Kind::Event, "messageStart", br#"{"role":"assistant"}"#);
        write(&mut out, Kind::Event, "contentBlockDelta", "{\"delta\":{\"text\":\"\u{e4}\"}}".as_bytes());
        write(&mut out, Kind::Exception, "throttlingException", br#"{"message":"slow down"}"#);
        out.to_vec()
    }

    #[test]
    fn the_published_message_is_read() {
        assert_eq!(split(&[&PUBLISHED], 100).unwrap(), [(String::new(), "{'foo':'bar'}".to_owned())]);
    }

    #[test]
    fn any_chunking_gives_the_same_messages() {
        let text = written();
        let whole = split(&[&text], 1000).unwrap();
        let names: Vec<_> = whole.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["messageStart", "contentBlockDelta", "throttlingException"]);
        for size in 1..text.len() {
            assert_eq!(split(&text.chunks(size).collect::<Vec<_>>(), 1000).unwrap(), whole, "{size}");
        }
    }

    #[test]
    fn no_byte_can_be_changed_unseen() {
        let text = written();
        let whole = split(&[&text], 1 << 20).unwrap();
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 0x10;
            let seen = split(&[&changed], 1 << 20);
            assert!(seen.is_err() || seen.unwrap().len() < whole.len(), "{at}");
        }
    }

    #[test]
    fn a_message_above_the_limit_is_refused_before_it_is_kept() {
        let text = written();
        assert!(split(&[&text], 64).is_err());
        let mut splitter = Splitter::new(64);
        assert!(splitter.feed(&text[..PRELUDE], &mut |_| Ok(())).is_err());
        assert!(splitter.held.is_empty());
    }

    #[test]
    fn an_error_is_named_by_its_code() {
        let mut headers = Vec::new();
        for (name, value) in
            [(":message-type", "error"), (":error-code", "Internal"), (":error-message", "sorry")]
        {
            headers.push(u8::try_from(name.len()).unwrap());
            headers.extend_from_slice(name.as_bytes());
            headers.push(STRING);
            headers.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            headers.extend_from_slice(value.as_bytes());
        }
        let total = u32::try_from(PRELUDE + headers.len() + TRAILER).unwrap();
        let mut message = [total.to_be_bytes(), u32::try_from(headers.len()).unwrap().to_be_bytes()].concat();
        message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
        message.extend_from_slice(&headers);
        message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
        assert_eq!(split(&[&message], 1000).unwrap(), [("Internal".to_owned(), "sorry".to_owned())]);
    }
}
