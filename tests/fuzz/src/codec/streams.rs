//! Streams: relayed, read, and told in the other dialect.

use bytes::BytesMut;
use gatewright_core::chat::{Delta, Event, PartKind};
use gatewright_core::{Codec, Decode, Peek, RawEvent, Relay, Result, Translate, Usage};
use gatewright_dialects::sse::Splitter;

use super::{is_json, others, show, style};

/// Checks one input.
pub(super) fn check(codec: &dyn Codec, data: &[u8]) {
    let relayed = passage(codec.relay(&style(true)), data);
    let _ = passage(codec.relay(&style(false)), data);
    let mut decoder = codec.decoder();
    let (events, whole) = decode(&mut *decoder, data);
    well_formed(&events, whole);
    // The bill must not depend on whether the client speaks the upstream's dialect.
    // (A list passes for an object with serde, whose first item is then the first field.)
    let listed = contains(data, b"\"x_groq\":[");
    if relayed.whole && whole && !listed {
        assert_eq!(relayed.usage, last_usage(&events));
    }
    for target in [codec, others(codec)] {
        for include_usage in [false, true] {
            let translate = Translate::new(codec.decoder(), target.encoder(&style(include_usage)));
            let told = passage(Box::new(translate), data);
            assert_eq!(told.whole, whole);
            if whole {
                retold(target, &told.out, &events);
            }
        }
    }
}

/// What came out of a relay.
struct Told {
    out: BytesMut,
    usage: Option<Usage>,
    whole: bool,
}

fn passage(mut relay: Box<dyn Relay>, data: &[u8]) -> Told {
    let (mut out, mut usage, mut last) = (BytesMut::new(), None, false);
    let mut told = |relay: &mut dyn Relay, event: Option<RawEvent<'_>>| -> Result<()> {
        let start = out.len();
        let Peek { usage: seen, last: ended, .. } = match event {
            Some(event) => relay.event(event, &mut out)?,
            None => relay.close(&mut out)?,
        };
        usage = seen.or(usage);
        last |= ended;
        // What was JSON is JSON; what was not is the client's to judge.
        if event.is_none_or(|event| is_json(event.data)) {
            framed(&out[start..]);
        }
        Ok(())
    };
    let fed = each_event(data, &mut |event| told(&mut *relay, Some(event)));
    let whole = fed.and_then(|()| told(&mut *relay, None)).is_ok();
    assert!(!whole || last, "a whole answer without its end");
    Told { out, usage, whole }
}

fn decode(decoder: &mut dyn Decode, data: &[u8]) -> (Vec<Event>, bool) {
    let mut events = Vec::new();
    let fed = each_event(data, &mut |event| decoder.event(event, &mut events));
    let whole = fed.and_then(|()| decoder.close(&mut events)).is_ok();
    (events, whole)
}

fn each_event(data: &[u8], each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
    let mut splitter = Splitter::new(usize::MAX >> 1);
    splitter.feed(data, each)?;
    splitter.close(each)
}

/// Every event that leaves is whole and holds JSON.
fn framed(out: &[u8]) {
    assert!(out.is_empty() || out.ends_with(b"\n\n"), "{}", show(out));
    let fed = each_event(out, &mut |event| {
        assert!(is_json(event.data) || event.data == b"[DONE]", "{}", show(out));
        Ok(())
    });
    assert!(fed.is_ok());
}

/// The order that `Event` promises.
fn well_formed(events: &[Event], whole: bool) {
    let mut choices: Vec<(u32, Vec<bool>)> = Vec::new();
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::PartStart { choice, index, .. } => {
                let place = choices.iter().position(|(known, _)| known == choice).unwrap_or_else(|| {
                    choices.push((*choice, Vec::new()));
                    choices.len() - 1
                });
                let parts = &mut choices[place].1;
                assert_eq!(usize::try_from(*index).ok(), Some(parts.len()), "{event:?} in {events:?}");
                parts.push(true);
            }
            Event::PartDelta { choice, index, .. } => {
                assert_eq!(open(&mut choices, *choice, *index).copied(), Some(true), "{event:?} in {events:?}");
            }
            Event::PartEnd { choice, index } => {
                let open = open(&mut choices, *choice, *index);
                assert_eq!(open.map(|open| std::mem::replace(open, false)), Some(true), "{event:?} in {events:?}");
            }
            Event::Finish { choice, .. } => {
                let parts = choices.iter().find(|(known, _)| known == choice);
                assert!(parts.is_none_or(|(_, parts)| !parts.contains(&true)), "{event:?} in {events:?}");
            }
            Event::End => {
                assert_eq!(at + 1, events.len(), "{events:?}");
                assert!(!choices.iter().any(|(_, parts)| parts.contains(&true)), "{events:?}");
            }
            _ => {}
        }
    }
    assert!(!whole || events.last() == Some(&Event::End), "{events:?}");
}

fn open(choices: &mut [(u32, Vec<bool>)], choice: u32, index: u32) -> Option<&mut bool> {
    let (_, parts) = choices.iter_mut().find(|(known, _)| *known == choice)?;
    parts.get_mut(usize::try_from(index).ok()?)
}

fn contains(data: &[u8], part: &[u8]) -> bool {
    data.windows(part.len()).any(|window| window == part)
}

fn last_usage(events: &[Event]) -> Option<Usage> {
    events.iter().rev().find_map(|event| match event {
        Event::Usage(usage) => Some(*usage),
        _ => None,
    })
}

/// A translated stream can be read by who speaks its dialect, and says the same.
fn retold(target: &dyn Codec, out: &[u8], events: &[Event]) {
    let (read, whole) = decode(&mut *target.decoder(), out);
    assert!(whole, "{}\nfrom {events:?}", show(out));
    well_formed(&read, whole);
    if !fits(events) {
        return;
    }
    let (told, want) = (said(&read), said(events));
    assert_eq!(told, want, "{}\nfrom {events:?}", show(out));
}

/// Whether every delta is one that its part can have, and every part one that each dialect knows: a reader of OpenAI's
/// waits with a call until it hears its name, so one that never has a name comes last.
fn fits(events: &[Event]) -> bool {
    let mut kinds = Vec::new();
    events.iter().all(|event| match event {
        Event::PartStart { kind: PartKind::Other(_), .. } => false,
        Event::PartStart { kind: PartKind::ToolCall { name, .. }, .. } if name.is_empty() => false,
        Event::PartStart { choice, index, kind } => {
            kinds.push((*choice, *index, kind));
            true
        }
        Event::PartDelta { choice, index, delta } => {
            let part = kinds.iter().find(|(of, at, _)| (of, at) == (choice, index));
            match (part.map(|(_, _, kind)| *kind), delta) {
                (Some(PartKind::Text | PartKind::Refusal), Delta::Text(_))
                | (Some(PartKind::Text), Delta::Citation(_))
                | (Some(PartKind::ToolCall { .. }), Delta::Arguments(_))
                | (Some(PartKind::Reasoning), Delta::Reasoning(_) | Delta::Signature(_)) => true,
                _ => false,
            }
        }
        _ => true,
    })
}

/// The words of the first choice, and the arguments of each of its calls.
fn said(events: &[Event]) -> (String, Vec<String>) {
    let mut text = String::new();
    let mut calls: Vec<(u32, String)> = Vec::new();
    for event in events {
        match event {
            Event::PartStart { choice: 0, index, kind: PartKind::ToolCall { .. } } => {
                calls.push((*index, String::new()));
            }
            Event::PartDelta { choice: 0, delta: Delta::Text(more), .. } => text.push_str(more),
            Event::PartDelta { choice: 0, index, delta: Delta::Arguments(more) } => {
                if let Some((_, arguments)) = calls.iter_mut().find(|(call, _)| call == index) {
                    arguments.push_str(more);
                }
            }
            _ => {}
        }
    }
    let or_none = |arguments: String| if arguments.is_empty() { "{}".to_owned() } else { arguments };
    (text, calls.into_iter().map(|(_, arguments)| or_none(arguments)).collect())
}
