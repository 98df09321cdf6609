//! A stream in the client's own dialect: its bytes are edited, and beside that it is read.

use bytes::BytesMut;
use gatewright_core::chat::Event;
use gatewright_core::{Decode, Encode, Peek, RawEvent, Relay, Result};

use super::teller::Teller;

/// Relays a stream and follows what it says. What is written anew from its events is thrown away: it only brings the
/// writer to where the client is, so that it can go on from there.
pub(super) struct Followed {
    relay: Box<dyn Relay>,
    decoder: Box<dyn Decode>,
    teller: Teller,
    events: Vec<Event>,
    thrown: BytesMut,
}

// === impl Followed ===

impl Followed {
    pub(super) fn new(relay: Box<dyn Relay>, decoder: Box<dyn Decode>, teller: Teller) -> Self {
        Self { relay, decoder, teller, events: Vec::new(), thrown: BytesMut::new() }
    }

    fn follow(&mut self, read: impl FnOnce(&mut dyn Decode, &mut Vec<Event>) -> Result<()>) {
        if self.teller.is_lost() {
            return;
        }
        if read(&mut *self.decoder, &mut self.events).is_err() {
            // The client has what cannot be read here.
            self.teller.lose();
        }
        for event in self.events.drain(..) {
            self.teller.event(&event, &mut self.thrown);
            self.thrown.clear();
        }
    }
}

impl Relay for Followed {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        let peek = self.relay.event(event, out)?;
        self.follow(|decoder, events| decoder.event(event, events));
        Ok(peek)
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        let peek = self.relay.close(out)?;
        self.follow(|decoder, events| decoder.close(events));
        Ok(peek)
    }
}
