//! Answers that stay in the dialect: everything byte for byte but the model's name.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use gatewright_core::{Frame, Peek, RawEvent, Relay, ReplyStyle, Result};

use super::reply_decode::{Line, Message};
use super::stream_decode;
use crate::json::put_text;
use crate::scan::Scanner;

/// Relays one stream.
pub(super) struct Splice {
    model: Arc<str>,
    whole: bool,
}

/// Relays a whole answer.
pub(super) fn reply(body: &[u8], style: &ReplyStyle) -> Result<Frame> {
    let usage = Line::read(body)?.counts().usage();
    let data = renamed(body, &style.model);
    let content = u32::try_from(data.len()).unwrap_or(u32::MAX);
    Ok(Frame { data, usage, content, last: true })
}

/// The same with the name that the client knows.
pub(super) fn renamed(body: &[u8], model: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(body.len() + model.len());
    put_renamed(&mut out, body, model);
    out.freeze()
}

// === impl Splice ===

impl Splice {
    /// A relay for one stream.
    pub(super) fn new(style: &ReplyStyle) -> Self {
        Self { model: style.model.clone(), whole: false }
    }
}

impl Relay for Splice {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        // Nothing behind the end belongs to the answer, and least of all to its bill.
        if self.whole {
            return Ok(Peek::default());
        }
        let line = Line::read(event.data)?;
        self.whole = line.done;
        put_renamed(out, event.data, &self.model);
        out.put_u8(b'\n');
        let usage = if line.done { line.counts().usage() } else { None };
        Ok(Peek { usage, content: line.message.as_ref().map_or(0, weight), last: line.done })
    }

    fn close(&mut self, _: &mut BytesMut) -> Result<Peek> {
        if !self.whole {
            return Err(stream_decode::cut());
        }
        Ok(Peek { last: true, ..Peek::default() })
    }
}

/// The bytes of model output in a message; a call counts as one.
fn weight(message: &Message) -> u32 {
    let said = message.content.len() + message.thinking.as_ref().map_or(0, String::len);
    let calls = message.tool_calls.as_ref().map_or(0, Vec::len);
    u32::try_from(said + calls).unwrap_or(u32::MAX)
}

fn put_renamed(out: &mut BytesMut, body: &[u8], model: &str) {
    let Some(Range { start, end }) = name(body) else { return out.put_slice(body) };
    out.put_slice(body.get(..start).unwrap_or_default());
    put_text(out, model);
    out.put_slice(body.get(end..).unwrap_or_default());
}

/// Where the model's name stands, quotes included.
fn name(body: &[u8]) -> Option<Range<usize>> {
    let mut found = None;
    Scanner::new(body).object(|s, field| {
        if field.key == b"model" && s.peek()? == b'"' {
            found = s.skip();
        }
        Some(())
    })?;
    found
}
