//! Answers that stay in the dialect: everything byte for byte but the model's name.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gatewright_core::{Error, Frame, Json, JsonLimits, Peek, RawEvent, Relay, ReplyStyle, Result};
use serde::Deserialize;

use super::reply_decode::{malformed, unreadable};
use super::usage::UsageIn;
use super::{error, stream_decode};
use crate::scan::Scanner;
use crate::sse;

/// Relays one stream.
pub(super) struct Splice {
    model: Arc<str>,
    usage: UsageIn,
    stopped: bool,
    whole: bool,
}

/// What is peeked from the few events that are not deltas.
#[derive(Deserialize)]
struct Peeked {
    delta: Option<Stop>,
    usage: Option<UsageIn>,
}

#[derive(Deserialize)]
struct Stop {
    stop_reason: Option<String>,
}

const STOP: RawEvent<'static> = RawEvent { name: "message_stop", data: br#"{"type":"message_stop"}"# };

/// Relays a whole answer.
pub(super) fn reply(body: Bytes, style: &ReplyStyle) -> Result<Frame> {
    let mut json =
        Json::parse(body.clone(), JsonLimits::default()).map_err(|err| unreadable(err.message()))?;
    if json.string("type").map_err(|_| unreadable("bad type"))?.as_deref() == Some("error") {
        return Err(error::from_event(&body));
    }
    let usage = json.get::<UsageIn>("usage").map_err(|_| unreadable("bad usage"))?.map(|usage| usage.usage());
    let content = json.raw("content").map_or(0, <[u8]>::len);
    if json.has("model") {
        json.set_string("model", &style.model);
    }
    Ok(Frame {
        data: json.to_bytes(),
        usage,
        content: u32::try_from(content).unwrap_or(u32::MAX),
        last: true,
    })
}

// === impl Splice ===

impl Splice {
    /// A relay for one stream.
    pub(super) fn new(style: &ReplyStyle) -> Self {
        Self { model: style.model.clone(), usage: UsageIn::default(), stopped: false, whole: false }
    }

    fn message_start(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        let Places { model, usage } =
            places(event.data).ok_or_else(|| unreadable("no message in message_start"))?;
        let slice = |range: &Range<usize>| event.data.get(range.clone()).unwrap_or_default();
        let mut peek = Peek::default();
        if let Some(usage) = usage {
            self.usage.merge(serde_json::from_slice(slice(&usage)).map_err(|err| malformed(&err))?);
            peek.usage = Some(self.usage.usage());
        }
        let Some(model) = model else {
            sse::put_raw(out, event);
            return Ok(peek);
        };
        let mut data = slice(&(0..model.start)).to_vec();
        serde_json::to_writer(&mut data, &*self.model).map_err(|err| malformed(&err))?;
        data.extend_from_slice(slice(&(model.end..event.data.len())));
        sse::put_raw(out, RawEvent { name: event.name, data: &data });
        Ok(peek)
    }

    fn message_delta(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        let peeked: Peeked = serde_json::from_slice(event.data).map_err(|err| malformed(&err))?;
        self.stopped |= peeked.delta.is_some_and(|delta| delta.stop_reason.is_some());
        let mut peek = Peek::default();
        if let Some(usage) = peeked.usage {
            self.usage.merge(usage);
            peek.usage = Some(self.usage.usage());
        }
        sse::put_raw(out, event);
        Ok(peek)
    }
}

impl Relay for Splice {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        // Nothing behind the end belongs to the answer, and least of all to its bill.
        if self.whole {
            return Ok(Peek::default());
        }
        let event = match event.name {
            // Some compatible providers leave the names out; the dialect's clients read them.
            "" => RawEvent { name: type_of(event.data), data: event.data },
            _ => event,
        };
        match event.name {
            "content_block_delta" => {
                let content = weight(event.data).ok_or_else(garbled)?;
                sse::put_raw(out, event);
                Ok(Peek { content, ..Peek::default() })
            }
            "message_start" => self.message_start(event, out),
            "message_delta" => self.message_delta(event, out),
            "error" => Err(error::from_event(event.data)),
            "message_stop" => {
                sse::put_raw(out, event);
                self.whole = true;
                Ok(Peek { last: true, ..Peek::default() })
            }
            "content_block_start" => {
                let content = u32::from(is_content(event.data).ok_or_else(garbled)?);
                sse::put_raw(out, event);
                Ok(Peek { content, ..Peek::default() })
            }
            // The end of another dialect, which some compatible providers add.
            _ if event.data == b"[DONE]" => Ok(Peek::default()),
            _ => {
                Scanner::new(event.data).object(|_, _| Some(())).ok_or_else(garbled)?;
                sse::put_raw(out, event);
                Ok(Peek::default())
            }
        }
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        if !self.whole {
            if !self.stopped {
                return Err(stream_decode::cut());
            }
            self.whole = true;
            sse::put_raw(out, STOP);
        }
        Ok(Peek { last: true, ..Peek::default() })
    }
}

/// Where in a `message_start` the model's name, quotes included, and the usage stand.
#[derive(Default)]
struct Places {
    model: Option<Range<usize>>,
    usage: Option<Range<usize>>,
}

fn places(data: &[u8]) -> Option<Places> {
    let mut places = Places::default();
    Scanner::new(data).object(|outer, field| {
        if field.key != b"message" {
            return Some(());
        }
        outer.object(|inner, field| {
            match field.key {
                b"model" if inner.peek()? == b'"' => places.model = inner.skip(),
                b"usage" if inner.peek()? == b'{' => places.usage = inner.skip(),
                _ => {}
            }
            Some(())
        })
    })?;
    Some(places)
}

/// An event whose JSON is none.
fn garbled() -> Error {
    unreadable("an event is not JSON")
}

/// The bytes of model output in a delta: its longest string, or one where it holds none.
fn weight(data: &[u8]) -> Option<u32> {
    let mut longest = 1;
    Scanner::new(data).object(|outer, field| {
        if field.key != b"delta" {
            return Some(());
        }
        outer.object(|inner, field| {
            if matches!(field.key, b"text" | b"partial_json" | b"thinking") {
                longest = longest.max(inner.string_or_skip()?.map_or(0, |text| text.len()));
            }
            Some(())
        })
    })?;
    Some(u32::try_from(longest).unwrap_or(u32::MAX))
}

/// A block that opens empty is no output yet; a tool's call or result is.
fn is_content(data: &[u8]) -> Option<bool> {
    let mut content = false;
    Scanner::new(data).object(|outer, field| {
        if field.key != b"content_block" {
            return Some(());
        }
        outer.object(|inner, field| {
            if field.key == b"type" {
                let kind = inner.string_or_skip()?;
                content = kind.is_some_and(|kind| !matches!(inner.slice(&kind), b"text" | b"thinking"));
            }
            Some(())
        })
    })?;
    Some(content)
}

fn type_of(data: &[u8]) -> &str {
    let mut found: &[u8] = &[];
    let walked = Scanner::new(data).object(|scanner, field| {
        if field.key == b"type"
            && let Some(kind) = scanner.string_or_skip()?
        {
            found = scanner.slice(&kind);
        }
        Some(())
    });
    walked.and_then(|()| std::str::from_utf8(found).ok()).unwrap_or_default()
}
