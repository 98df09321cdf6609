//! A stream in the client's own dialect: its bytes are edited, and beside that it is read.

use bytes::BytesMut;
use gatewright_core::chat::Event;
use gatewright_core::{Codec, Decode, Encode, Peek, RawEvent, Relay, Result};

use super::teller::Teller;

/// Relays a stream and follows what it says. What is written anew from its events is thrown away: it only brings the
/// writer to where the client is, so that it can go on from there.
pub(super) struct Followed {
    relay: Box<dyn Relay>,
    decoder: Box<dyn Decode>,
    teller: Teller,
    codec: &'static dyn Codec,
    /// Whether the answer has its upstream's name, once its first event was passed on; else it has ours.
    is_named: Option<bool>,
    events: Vec<Event>,
    thrown: BytesMut,
}

// === impl Followed ===

impl Followed {
    /// Follows `relay`, which edits streams of `codec`.
    pub(super) fn new(codec: &'static dyn Codec, relay: Box<dyn Relay>, teller: Teller) -> Self {
        let (events, thrown) = (Vec::new(), BytesMut::new());
        Self { relay, decoder: codec.decoder(), teller, codec, is_named: None, events, thrown }
    }

    fn follow(&mut self, read: impl FnOnce(&mut dyn Decode, &mut Vec<Event>) -> Result<()>) {
        if self.teller.is_lost() {
            return;
        }
        if read(&mut *self.decoder, &mut self.events).is_err() {
            // The client has what cannot be read here.
            self.teller.lose();
        }
        for mut event in self.events.drain(..) {
            if let (Event::Start { id, .. }, Some(false)) = (&mut event, self.is_named) {
                id.clear();
            }
            self.teller.event(&event, &mut self.thrown);
            self.thrown.clear();
        }
    }
}

impl Relay for Followed {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        let before = out.len();
        let peek = self.relay.event(event, out)?;
        if self.is_named.is_none() && out.len() > before {
            self.is_named = Some(self.codec.facts(event.data).id.is_some_and(|id| !id.is_empty()));
        }
        self.follow(|decoder, events| decoder.event(event, events));
        Ok(peek)
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        let peek = self.relay.close(out)?;
        self.follow(|decoder, events| decoder.close(events));
        Ok(peek)
    }
}
