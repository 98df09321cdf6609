//! A stream in the client's own dialect: its bytes are edited, and beside that it is read.

use bytes::BytesMut;
use gatewright_core::chat::Event;
use gatewright_core::{Codec, Decode, Peek, RawEvent, Relay, Result};

use super::teller::Teller;

/// Relays a stream and follows what it says, which brings the client's writer to where the client is, so that it can go on
/// from there.
pub(super) struct Followed {
    relay: Box<dyn Relay>,
    decoder: Box<dyn Decode>,
    teller: Teller,
    codec: &'static dyn Codec,
    /// Whether the answer has its upstream's name, once its first event was passed on; else it has ours.
    is_named: Option<bool>,
    events: Vec<Event>,
}

// === impl Followed ===

impl Followed {
    /// Follows `relay`, which edits streams of `codec`.
    pub(super) fn new(codec: &'static dyn Codec, relay: Box<dyn Relay>, teller: Teller) -> Self {
        Self { relay, decoder: codec.decoder(), teller, codec, is_named: None, events: Vec::new() }
    }

    fn follow(&mut self, event: RawEvent<'_>) {
        if self.teller.is_lost() {
            return;
        }
        if self.decoder.event(event, &mut self.events).is_err() {
            // The client has what cannot be read here.
            self.teller.lose();
        }
        if let Some(false) = self.is_named {
            let ids = self.events.iter_mut().filter_map(|event| match event {
                Event::Start { id, .. } => Some(id),
                _ => None,
            });
            ids.for_each(String::clear);
        }
        self.teller.follow(event, &self.events);
        self.events.clear();
    }
}

impl Relay for Followed {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        let before = out.len();
        let peek = self.relay.event(event, out)?;
        if self.is_named.is_none() && out.len() > before {
            self.is_named = Some(self.codec.facts(event.data).id.is_some_and(|id| !id.is_empty()));
        }
        self.follow(event);
        Ok(peek)
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        let peek = self.relay.close(out)?;
        // What ends as it should is not gone on with.
        self.teller.lose();
        Ok(peek)
    }
}
