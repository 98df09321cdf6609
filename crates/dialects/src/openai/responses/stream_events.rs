//! The events of a stream on the wire, each with its number.

use bytes::{BufMut as _, BytesMut};
use serde_json::{Map, Value};

use crate::json::{Fields, put_object, put_value};

/// Writes events and counts them.
#[derive(Default)]
pub(super) struct Events {
    next: u64,
}

/// A piece of a message.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) item: &'a str,
    pub(super) at: usize,
    pub(super) content: usize,
}

/// Words of a text or of a refusal, with how likely they were.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) refusal: bool,
    pub(super) text: &'a str,
    pub(super) tokens: &'a [Value],
}

// === impl Events ===

impl Events {
    /// The next one is numbered behind one that somebody else wrote.
    pub(super) fn behind(&mut self, number: Option<u64>) {
        self.next = number.unwrap_or(self.next).saturating_add(1);
    }

    /// One that carries the response.
    pub(super) fn response(&mut self, name: &str, response: Map<String, Value>, out: &mut BytesMut) {
        self.write(name, out, |fields| put_object(fields.key("response"), &response));
    }

    /// One that carries an item.
    pub(super) fn item(&mut self, name: &str, at: usize, item: &Value, out: &mut BytesMut) {
        self.write(name, out, |fields| {
            fields.json("output_index", &at);
            fields.value("item", item);
        });
    }

    /// One that carries a piece of a message.
    pub(super) fn content_part(&mut self, name: &str, place: Place<'_>, part: &Value, out: &mut BytesMut) {
        self.write(name, out, |fields| {
            place.put(fields);
            fields.value("part", part);
        });
    }

    /// More of a text or a refusal.
    pub(super) fn text(&mut self, place: Place<'_>, said: Said<'_>, out: &mut BytesMut) {
        let Said { refusal, text, tokens } = said;
        let name = if refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        self.write(name, out, |fields| {
            place.put(fields);
            fields.text("delta", text);
            if !refusal {
                fields.list("logprobs", tokens, put_value);
            }
        });
    }

    /// A text or a refusal that is whole.
    pub(super) fn text_done(&mut self, place: Place<'_>, said: Said<'_>, out: &mut BytesMut) {
        let Said { refusal, text, tokens } = said;
        let name = if refusal { "response.refusal.done" } else { "response.output_text.done" };
        self.write(name, out, |fields| {
            place.put(fields);
            match refusal {
                true => fields.text("refusal", text),
                false => {
                    fields.text("text", text);
                    fields.list("logprobs", tokens, put_value);
                }
            }
        });
    }

    /// What a text rests on.
    pub(super) fn annotation(&mut self, place: Place<'_>, at: usize, annotation: &Value, out: &mut BytesMut) {
        self.write("response.output_text.annotation.added", out, |fields| {
            place.put(fields);
            fields.json("annotation_index", &at);
            fields.value("annotation", annotation);
        });
    }

    /// One about the only part of a summary.
    pub(super) fn summary_part(
        &mut self,
        name: &str,
        (item, at): (&str, usize),
        text: &str,
        out: &mut BytesMut,
    ) {
        self.write(name, out, |fields| {
            summary(fields, item, at);
            let mut part = Fields::open(fields.key("part"));
            part.text("type", "summary_text");
            part.text("text", text);
            part.close();
        });
    }

    /// Some or all of its text.
    pub(super) fn summary_text(
        &mut self,
        name: &str,
        (item, at): (&str, usize),
        (key, text): (&'static str, &str),
        out: &mut BytesMut,
    ) {
        self.write(name, out, |fields| {
            summary(fields, item, at);
            fields.text(key, text);
        });
    }

    /// Some or all of what a tool is called with.
    pub(super) fn argument(
        &mut self,
        name: &str,
        (item, at): (&str, usize),
        (key, text): (&'static str, &str),
        out: &mut BytesMut,
    ) {
        self.write(name, out, |fields| {
            fields.text("item_id", item);
            fields.json("output_index", &at);
            fields.text(key, text);
        });
    }

    fn write(&mut self, name: &str, out: &mut BytesMut, put: impl FnOnce(&mut Fields<'_>)) {
        out.put_slice(b"event: ");
        out.put_slice(name.as_bytes());
        out.put_slice(b"\ndata: ");
        let mut fields = Fields::open(out);
        fields.text("type", name);
        fields.json("sequence_number", &self.next);
        put(&mut fields);
        fields.close();
        out.put_slice(b"\n\n");
        self.next += 1;
    }
}

// === impl Place ===

impl Place<'_> {
    fn put(self, fields: &mut Fields<'_>) {
        fields.text("item_id", self.item);
        fields.json("output_index", &self.at);
        fields.json("content_index", &self.content);
    }
}

fn summary(fields: &mut Fields<'_>, item: &str, at: usize) {
    fields.text("item_id", item);
    fields.json("output_index", &at);
    fields.json("summary_index", &0);
}
