//! A stream of bytes that is split into events: the cuts change nothing, and no event is larger than allowed.

use gatewright_core::RawEvent;
use gatewright_dialects::sse::Splitter;

use crate::dice::Dice;

type Events = Vec<(String, Vec<u8>)>;

/// Checks one input.
pub fn check(data: &[u8]) {
    let mut dice = Dice::of(data);
    let whole = split(&[data], usize::MAX >> 1);
    assert_eq!(whole, (simply(data), true), "as the format says");
    let ways: Vec<Vec<&[u8]>> =
        vec![data.chunks(1).collect(), cuts(data, &mut dice, 4), cuts(data, &mut dice, 40)];
    for chunks in &ways {
        assert_eq!(split(chunks, usize::MAX >> 1), whole, "{:?}", lengths(chunks));
    }
    let cap = dice.below(64);
    for chunks in ways.iter().chain([&vec![data]]) {
        let (events, good) = split(chunks, cap);
        let largest = events.iter().map(|(_, data)| data.len()).max().unwrap_or_default();
        assert!(largest <= cap, "{largest} above {cap}");
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

/// The same by the letter of the format, without a thought for speed.
fn simply(data: &[u8]) -> Events {
    let mut events = Events::new();
    let (mut name, mut lines): (Vec<u8>, Vec<Vec<u8>>) = Default::default();
    let mut text = data.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(data).to_vec();
    // The end of the stream ends its last line and its last event.
    text.extend_from_slice(b"\n\n");
    let mut line = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        if byte != b'\n' && byte != b'\r' {
            line.push(byte);
            continue;
        }
        if byte == b'\r' && text.get(at) == Some(&b'\n') {
            at += 1;
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"" if line.is_empty() => {
                let data = std::mem::take(&mut lines).join(&b'\n');
                let name = String::from_utf8(std::mem::take(&mut name)).unwrap_or_default();
                if !data.is_empty() {
                    events.push((name, data));
                }
            }
            b"data" => lines.push(value.to_vec()),
            b"event" => name = value.to_vec(),
            _ => {}
        }
        line.clear();
    }
    events
}

fn cuts<'a>(data: &'a [u8], dice: &mut Dice, most: usize) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(dice.below(most + 1).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

fn lengths(chunks: &[&[u8]]) -> Vec<usize> {
    chunks.iter().map(|chunk| chunk.len()).collect()
}
