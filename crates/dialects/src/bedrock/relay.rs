//! Answers that stay in the dialect: everything byte for byte, for no model's name stands in them.

use bytes::{Bytes, BytesMut};
use gatewright_core::{Frame, Json, JsonLimits, Peek, RawEvent, Relay, Result};
use serde::Deserialize;

use super::error;
use super::usage::{Further, UsageIn};
use crate::anthropic::reply_decode::unreadable;
use crate::anthropic::stream_decode::cut;
use crate::aws_events::{self, Kind};
use crate::scan::Scanner;

/// Relays one stream.
#[derive(Default)]
pub(super) struct Pass {
    stopped: bool,
    whole: bool,
}

#[derive(Deserialize)]
struct Metadata {
    usage: Option<UsageIn>,
}

/// Relays a whole answer.
pub(super) fn reply(body: Bytes) -> Result<Frame> {
    let json = Json::parse(body.clone(), JsonLimits::default()).map_err(|err| unreadable(err.message()))?;
    if !json.has("output") {
        return Err(unreadable("no output"));
    }
    let usage = json
        .get::<UsageIn>("usage")
        .map_err(|_| unreadable("bad usage"))?
        .map(|usage| usage.usage(Further::default()));
    let content = json.raw("output").map_or(0, <[u8]>::len);
    Ok(Frame { data: body, usage, content: u32::try_from(content).unwrap_or(u32::MAX), last: true })
}

impl Relay for Pass {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        // Nothing behind the end belongs to the answer, and least of all to its bill.
        if self.whole {
            return Ok(Peek::default());
        }
        if error::is_exception(event.name) {
            return Err(error::from_event(event));
        }
        Scanner::new(event.data)
            .object(|_, _| Some(()))
            .ok_or_else(|| unreadable("a message is not JSON"))?;
        aws_events::write(out, Kind::Event, event.name, event.data);
        let mut peek = Peek::default();
        match event.name {
            // More than the text, by the frame around it: what is cut off is billed by this, and never too low.
            "contentBlockDelta" => peek.content = u32::try_from(event.data.len()).unwrap_or(u32::MAX),
            "contentBlockStart" => peek.content = 1,
            "messageStop" => self.stopped = true,
            "metadata" => {
                let metadata: Metadata =
                    serde_json::from_slice(event.data).map_err(|_| unreadable("bad metadata"))?;
                peek.usage = metadata.usage.map(|usage| usage.usage(Further::default()));
                self.whole = self.stopped;
                peek.last = self.whole;
            }
            _ => {}
        }
        Ok(peek)
    }

    fn close(&mut self, _out: &mut BytesMut) -> Result<Peek> {
        if !self.stopped {
            return Err(cut());
        }
        self.whole = true;
        Ok(Peek { last: true, ..Peek::default() })
    }
}
