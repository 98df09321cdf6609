//! GigaChat: OpenAI's chat with the older functions, one call a message, whose arguments are objects.
//!
//! <https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-chat>

mod reply;
mod request;

use bytes::{Bytes, BytesMut};
use gatewright_core::{Dialect, Json, Losses, Operation, Peek, RawEvent, Relay, Result};

use super::{Asked, Wire};

/// What differs from OpenAI's wire.
pub(super) struct GigaChat;

/// Writes a stream's events as OpenAI does.
struct Events {
    relay: Box<dyn Relay>,
    /// Whether the client knows calls as `function_call`.
    older_functions: bool,
}

impl Wire for GigaChat {
    fn request(
        &self,
        body: &mut Json,
        (_, operation): (Dialect, Operation),
        losses: &mut Losses,
    ) -> Result<()> {
        match operation {
            Operation::Embeddings => request::embed(body, losses),
            _ => request::chat(body, losses),
        }
    }

    fn reply(&self, body: Bytes, asked: Asked) -> Result<Bytes> {
        match asked.operation {
            Operation::Embeddings => reply::embedded(&body),
            _ => Ok(reply::answer(&body, asked.older_functions).map_or(body, Bytes::from)),
        }
    }

    fn events(&self, relay: Box<dyn Relay>, asked: Asked) -> Box<dyn Relay> {
        Box::new(Events { relay, older_functions: asked.older_functions })
    }
}

impl Relay for Events {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        match reply::answer(event.data, self.older_functions) {
            Some(data) => self.relay.event(RawEvent { data: &data, ..event }, out),
            None => self.relay.event(event, out),
        }
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        self.relay.close(out)
    }
}
