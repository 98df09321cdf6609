//! Amazon's event stream: the cuts change nothing, damage is noticed, no message is larger than allowed, and the codecs behind
//! it take whatever a message holds.

use bytes::BytesMut;
use gatewright_core::chat::Event;
use gatewright_core::{Codec, Dialect, RawEvent};
use gatewright_dialects::aws_events::Splitter;
use gatewright_dialects::{claude_on_bedrock, of};

use crate::dice::Dice;

type Events = Vec<(String, Vec<u8>)>;

/// The names that messages are given.
const NAMES: [&str; 9] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "chunk",
    "throttlingException",
    "",
];

/// Checks one input: as it is, and its lines as messages.
pub fn check(data: &[u8]) {
    let mut dice = Dice::of(data);
    cut_anywhere(data, &mut dice);
    let mut stream = Vec::new();
    let mut told = Events::new();
    for (at, line) in data.split(|byte| *byte == b'\n').enumerate() {
        // A line may choose its name with its first byte; a stream of JSON mostly goes through them in order.
        let (name, payload) = match line.split_first() {
            Some((first, rest)) if *first < 9 => (NAMES[usize::from(*first)], rest),
            _ => (NAMES[at.min(5)], line),
        };
        stream.extend_from_slice(&frame(name, payload));
        told.push((name.to_owned(), payload.to_vec()));
    }
    assert_eq!(split(&[&stream], usize::MAX >> 1), (told, true));
    cut_anywhere(&stream, &mut dice);
    for codec in [of(Dialect::BedrockConverse), claude_on_bedrock()] {
        decode(codec, &stream);
    }
}

fn cut_anywhere(data: &[u8], dice: &mut Dice) {
    let whole = split(&[data], usize::MAX >> 1);
    let cap = dice.below(200);
    for size in [1, 1 + dice.below(16), 1 + dice.below(200)] {
        let chunks: Vec<&[u8]> = data.chunks(size).collect();
        assert_eq!(split(&chunks, usize::MAX >> 1), whole, "in pieces of {size}");
        let (events, good) = split(&chunks, cap);
        assert_eq!(events, whole.0[..events.len()], "a refused stream was told so far as it went");
        assert!(!good || events.len() == whole.0.len(), "an event got lost");
    }
}

/// The events, and whether all was taken.
fn split(chunks: &[&[u8]], cap: usize) -> (Events, bool) {
    let mut events = Events::new();
    let mut splitter = Splitter::new(cap);
    let mut each = |event: RawEvent<'_>| {
        events.push((event.name.to_owned(), event.data.to_vec()));
        Ok(())
    };
    let fed = chunks.iter().try_for_each(|chunk| splitter.feed(chunk, &mut each));
    let good = fed.and_then(|()| splitter.close(&mut each)).is_ok();
    (events, good)
}

fn decode(codec: &dyn Codec, stream: &[u8]) {
    let (mut decoder, mut events) = (codec.decoder(), Vec::new());
    let fed = Splitter::new(usize::MAX >> 1).feed(stream, &mut |event| decoder.event(event, &mut events));
    let whole = fed.and_then(|()| decoder.close(&mut events)).is_ok();
    assert!(!whole || events.last() == Some(&Event::End), "{events:?}");
    let (mut relay, mut out) = (codec.relay(&crate::codec::style(true)), BytesMut::new());
    let fed = Splitter::new(usize::MAX >> 1).feed(stream, &mut |event| relay.event(event, &mut out).map(drop));
    let _ = fed.and_then(|()| relay.close(&mut out).map(drop));
}

/// A message with one header.
fn frame(name: &str, payload: &[u8]) -> Vec<u8> {
    let key: &[u8] = if name.ends_with("Exception") { b":exception-type" } else { b":event-type" };
    let length = u16::try_from(name.len()).unwrap().to_be_bytes();
    let headers = [&[u8::try_from(key.len()).unwrap()], key, &[7], &length, name.as_bytes()].concat();
    let total = u32::try_from(16 + headers.len() + payload.len()).unwrap();
    let mut out = [total.to_be_bytes(), u32::try_from(headers.len()).unwrap().to_be_bytes()].concat();
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}
