//! Answers that stay in the dialect pass byte for byte: they do not name the model. Only their usage is peeked.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use gatewright_core::{Error, Frame, Peek, RawEvent, Relay, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::usage::UsageIn;
use super::wire_in::{End, MessageEnd, name, read};
use super::{error, reply_decode, stream_decode, words};
use crate::scan::Scanner;
use crate::sse;

/// Objects within a delta in which text may stand.
const LEVELS: usize = 8;

/// Relays one stream.
#[derive(Default)]
pub(super) struct Passage {
    whole: bool,
}

#[derive(Deserialize)]
struct Peeked<'a> {
    message: Option<IgnoredAny>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
    usage: Option<UsageIn>,
}

/// Relays a whole answer.
pub(super) fn reply(body: Bytes) -> Result<Frame> {
    let Peeked { message, finish_reason, error: told, usage } =
        serde_json::from_slice(&body).map_err(|err| reply_decode::malformed(&err))?;
    let end = End { finish_reason, error: told, usage };
    if let Some(failure) = failure(&end) {
        return Err(failure);
    }
    if message.is_none() {
        return Err(error::inside(&body));
    }
    let usage = end.usage.as_ref().map(UsageIn::usage);
    let content = u32::try_from(body.len()).unwrap_or(u32::MAX);
    Ok(Frame { data: body, usage, content, last: true })
}

impl Relay for Passage {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        // Nothing behind the end belongs to the answer, and least of all to its bill.
        if self.whole {
            return Ok(Peek::default());
        }
        let peek = match &*name(event.name, event.data) {
            "message-end" => {
                let end = read::<MessageEnd<'_>>(event.data)?.delta;
                if let Some(failure) = end.as_ref().and_then(failure) {
                    return Err(failure);
                }
                self.whole = true;
                let usage = end.and_then(|end| end.usage).as_ref().map(UsageIn::usage);
                Peek { usage, last: true, ..Peek::default() }
            }
            "content-delta" | "tool-plan-delta" | "tool-call-delta" => {
                Peek { content: weight(event.data).ok_or_else(garbled)?, ..Peek::default() }
            }
            "tool-call-start" | "citation-start" => Peek { content: 1, ..Peek::default() },
            "" | "error" => match error::told(event.data) {
                Some(error) => return Err(error),
                None => Peek::default(),
            },
            _ => Peek::default(),
        };
        sse::put_raw(out, event);
        Ok(peek)
    }

    fn close(&mut self, _: &mut BytesMut) -> Result<Peek> {
        if !self.whole {
            return Err(stream_decode::cut());
        }
        Ok(Peek { last: true, ..Peek::default() })
    }
}

/// An event whose JSON is none.
fn garbled() -> Error {
    reply_decode::unreadable("an event is not JSON")
}

fn failure(end: &End<'_>) -> Option<Error> {
    words::failure(end.finish_reason.as_deref()?, end.error.as_deref())
}

/// The bytes of model output in a delta: those of the one string that is deep in it, or one where there is none.
fn weight(data: &[u8]) -> Option<u32> {
    let mut longest = 1;
    Scanner::new(data).object(|s, field| match field.key {
        b"delta" => strings(s, LEVELS, &mut longest),
        _ => Some(()),
    })?;
    Some(u32::try_from(longest).unwrap_or(u32::MAX))
}

/// Deeper than `levels` no text of the dialect stands, and whatever stands there is passed without a look.
fn strings(s: &mut Scanner<'_>, levels: usize, longest: &mut usize) -> Option<()> {
    match s.peek()? {
        b'{' if levels > 0 => s.object(|s, _| strings(s, levels - 1, longest)),
        b'"' => {
            *longest = (*longest).max(s.string()?.len());
            Some(())
        }
        _ => Some(()),
    }
}
