//! Codestral between a prompt and a suffix: asked as a continuation, answered as a chat.
//!
//! <https://docs.mistral.ai/api/endpoint/fim>

use bytes::{Bytes, BytesMut};
use gatewright_core::{Peek, RawEvent, Relay, Result};
use serde_json::Value;

use super::{Asked, Wire};

/// What differs from OpenAI's continuations.
pub(super) struct Fim;

/// Events with their texts where OpenAI's have them.
struct Events(Box<dyn Relay>);

impl Wire for Fim {
    fn reply(&self, body: Bytes, _asked: Asked) -> Result<Bytes> {
        Ok(continued(&body, "message").map_or(body, Bytes::from))
    }

    fn events(&self, relay: Box<dyn Relay>, _asked: Asked) -> Box<dyn Relay> {
        Box::new(Events(relay))
    }
}

impl Relay for Events {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        match continued(event.data, "delta") {
            Some(data) => self.0.event(RawEvent { data: &data, ..event }, out),
            None => self.0.event(event, out),
        }
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        self.0.close(out)
    }
}

/// The answer as a continuation; `None` where it is no answer.
fn continued(data: &[u8], field: &str) -> Option<Vec<u8>> {
    let mut answer: Value = serde_json::from_slice(data).ok()?;
    for choice in answer.get_mut("choices")?.as_array_mut()?.iter_mut().filter_map(Value::as_object_mut) {
        let said = choice.remove(field).unwrap_or_default();
        choice.insert("text".to_owned(), said["content"].as_str().unwrap_or_default().into());
    }
    answer["object"] = "text_completion".into();
    serde_json::to_vec(&answer).ok()
}
