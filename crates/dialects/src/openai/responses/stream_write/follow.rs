//! A stream that its client gets as the upstream writes it: its numbers, names and items are taken over, for whatever goes on
//! with it.

use std::borrow::Cow;

use gatewright_core::chat::Event;
use serde::Deserialize;
use serde_json::Value;

use super::{Body, Item, Piece, Writer};

/// Every event that is followed, flattened.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    sequence_number: Option<u64>,
    response: Option<Named>,
    item: Option<Value>,
    #[serde(default)]
    output_index: usize,
    #[serde(default)]
    content_index: usize,
    part: Option<Value>,
    delta: Option<Value>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    annotation: Option<Value>,
    #[serde(default)]
    logprobs: Option<Vec<Value>>,
}

/// What a response is told apart by.
#[derive(Deserialize)]
struct Named {
    id: Option<String>,
    created_at: Option<u64>,
    service_tier: Option<String>,
}

impl Writer {
    /// Takes an event over, and where the parts stand of which it tells. `None` where nobody could go on behind it.
    pub(super) fn take_over(&mut self, data: &[u8], said: &[Event]) -> Option<()> {
        if data.is_empty() || data == b"[DONE]" {
            return Some(());
        }
        let told: Told<'_> = serde_json::from_slice(data).ok()?;
        let (at, content) = (told.output_index, told.content_index);
        self.started = true;
        self.events.behind(told.sequence_number);
        match &*told.kind {
            "response.created" | "response.in_progress" => self.named(told.response?),
            "response.output_item.added" => self.item_begun(at, told.item?)?,
            "response.output_item.done" => self.item_whole(at, told.item?)?,
            "response.content_part.added" => {
                let refusal = told.part?.get("type").and_then(Value::as_str) == Some("refusal");
                let pieces = self.pieces(at)?;
                (pieces.len() == content).then(|| pieces.push(Piece { refusal, ..Piece::default() }))?;
            }
            "response.output_text.delta" | "response.refusal.delta" => {
                let piece = self.pieces(at)?.get_mut(content)?;
                piece.text.push_str(told.delta?.as_str()?);
                piece.tokens.extend(told.logprobs.into_iter().flatten());
            }
            "response.output_text.annotation.added" => {
                self.pieces(at)?.get_mut(content)?.annotations.push(told.annotation?);
            }
            "response.output_text.done" => {
                self.pieces(at)?.get_mut(content)?.text = told.text?.into_owned();
            }
            "response.content_part.done" => self.pieces(at)?.get_mut(content)?.ended = true,
            _ => {}
        }
        for event in said {
            match event {
                Event::PartStart { index, .. } => self.items.place(*index, at, content),
                Event::PartEnd { index, .. } => self.items.forget(*index),
                _ => {}
            }
        }
        Some(())
    }

    fn named(&mut self, response: Named) {
        let Named { id, created_at, service_tier } = response;
        self.id = id.unwrap_or(std::mem::take(&mut self.id));
        self.created = created_at.unwrap_or(self.created);
        self.tier = service_tier.or(self.tier.take());
    }

    fn item_begun(&mut self, at: usize, item: Value) -> Option<()> {
        let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (id, is_message) = (text("id"), text("type") == "message");
        let body = match is_message {
            true => Body::Message { pieces: Vec::new(), closing: false },
            false => Body::Hosted { item, input: String::new() },
        };
        self.items.take_over(at, &id, body)?;
        self.items.message = is_message.then_some(at);
        Some(())
    }

    /// What is whole stands in the response as its client has it.
    fn item_whole(&mut self, at: usize, whole: Value) -> Option<()> {
        let Item { body, done, .. } = self.items.edit(at)?;
        *body = Body::Hosted { item: whole, input: String::new() };
        *done = true;
        self.items.message = self.items.message.filter(|open| *open != at);
        Some(())
    }

    fn pieces(&mut self, at: usize) -> Option<&mut Vec<Piece>> {
        match self.items.edit(at)? {
            Item { body: Body::Message { pieces, .. }, done: false, .. } => Some(pieces),
            _ => None,
        }
    }
}
