//! What `invoke-with-response-stream` answers: binary events that hold the model's own in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use gatewright_core::chat::Event;
use gatewright_core::{Decode, Operation, Peek, RawEvent, Relay, Result};

use super::error;
use crate::anthropic::reply_decode::unreadable;
use crate::scan::Scanner;

/// The model's own events out of Bedrock's.
pub(super) struct Unwrapped<T> {
    inner: T,
    told: fn(Vec<u8>) -> Vec<u8>,
}

// === impl Unwrapped ===

impl<T> Unwrapped<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, told: |data| data }
    }

    /// With what Bedrock tells beside an event, put into the event's own words.
    pub(super) fn told(inner: T, told: fn(Vec<u8>) -> Vec<u8>) -> Self {
        Self { inner, told }
    }
}

impl Relay for Unwrapped<Box<dyn Relay>> {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        match inside(event)? {
            Some(data) => self.inner.event(RawEvent { name: "", data: &(self.told)(data) }, out),
            None => Ok(Peek::default()),
        }
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        self.inner.close(out)
    }
}

impl Decode for Unwrapped<Box<dyn Decode>> {
    fn event(&mut self, event: RawEvent<'_>, out: &mut Vec<Event>) -> Result<()> {
        match inside(event)? {
            Some(data) => self.inner.event(RawEvent { name: "", data: &(self.told)(data) }, out),
            None => Ok(()),
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) -> Result<()> {
        self.inner.close(out)
    }
}

/// Where a model is asked in its own dialect.
pub(super) fn path(operation: Operation, model: &str, stream: bool) -> Option<String> {
    match (operation, stream) {
        (Operation::Chat, false) => Some(format!("/model/{model}/invoke")),
        (Operation::Chat, true) => Some(format!("/model/{model}/invoke-with-response-stream")),
        _ => None,
    }
}

/// What a chunk holds; `None` for an event that is none.
fn inside(event: RawEvent<'_>) -> Result<Option<Vec<u8>>> {
    match event.name {
        "chunk" => unwrap(event.data).map(Some),
        name if error::is_exception(name) => Err(error::from_event(event)),
        _ => Ok(None),
    }
}

/// The bytes of a chunk.
pub(super) fn unwrap(data: &[u8]) -> Result<Vec<u8>> {
    let mut coded: Option<&[u8]> = None;
    let mut scanner = Scanner::new(data);
    let walked = scanner.object(|scanner, field| {
        if field.key == b"bytes" {
            let at = scanner.string()?;
            coded = Some(scanner.slice(&at));
        }
        Some(())
    });
    let coded = walked.and(coded).ok_or_else(|| unreadable("a chunk without bytes"))?;
    BASE64.decode(coded).map_err(|_| unreadable("the bytes of a chunk are no base64"))
}
