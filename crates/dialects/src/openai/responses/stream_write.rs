//! A stream for a client: canonical events as items, their parts, and the response that they become.
//!
//! Items may be open side by side, as canonical parts may. Texts that follow each other are pieces of one message.

mod follow;

use bytes::BytesMut;
use gatewright_core::chat::{Delta, Event, Finish, PartKind, ToolCall};
use gatewright_core::{Encode, RawEvent, ReplyStyle, Usage};
use serde_json::{Value, json};

use super::object::{Response, response_id, seed};
use super::outcome::{self, Ending};
use super::stream_events::{Events, Place, Said};
use super::stream_items::{Body, Item, Items, Piece};
use super::{custom, reply_write};

/// Writes the events of one stream.
pub(super) struct Writer {
    style: ReplyStyle,
    /// The client's tools whose input is any text.
    custom: Vec<String>,
    id: String,
    created: u64,
    tier: Option<String>,
    events: Events,
    items: Items,
    /// Likelihoods of the tokens that come next.
    tokens: Vec<Value>,
    usage: Option<Usage>,
    finish: Finish,
    started: bool,
    ended: bool,
}

impl Encode for Writer {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, created, extra, .. } => {
                self.id = response_id(id, &self.style);
                self.created = if *created == 0 { self.style.created } else { *created };
                self.tier = extra.get("service_tier").and_then(Value::as_str).map(str::to_owned);
                self.start(out);
            }
            // The dialect has one choice, and its clients cannot ask for more.
            Event::PartStart { choice: 0, index, kind } => {
                self.start(out);
                self.part_start(*index, kind, out);
            }
            Event::PartDelta { choice: 0, index, delta } => self.delta(*index, delta, out),
            Event::PartEnd { choice: 0, index } => self.part_end(*index, out),
            Event::Logprobs { choice: 0, value } => {
                let tokens = value.get("content").and_then(Value::as_array);
                self.tokens.extend(tokens.into_iter().flatten().cloned());
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { choice: 0, reason, .. } => {
                self.finish = *reason;
                self.end_parts(out);
            }
            Event::End => self.end(out),
            Event::PartStart { .. }
            | Event::PartDelta { .. }
            | Event::PartEnd { .. }
            | Event::Logprobs { .. }
            | Event::Finish { .. }
            | Event::Ping => {}
        }
    }

    fn follow(&mut self, event: RawEvent<'_>, said: &[Event]) -> bool {
        self.take_over(event.data.trim_ascii(), said).is_some()
    }
}

// === impl Writer ===

impl Writer {
    /// A writer for one stream.
    pub(super) fn new(style: &ReplyStyle) -> Self {
        Self {
            custom: custom::names(style.asked.as_ref()),
            id: response_id("", style),
            created: style.created,
            tier: None,
            events: Events::default(),
            items: Items::new(seed(style)),
            tokens: Vec::new(),
            usage: None,
            finish: Finish::Stop,
            started: false,
            ended: false,
            style: style.clone(),
        }
    }

    fn start(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        for name in ["response.created", "response.in_progress"] {
            self.response(name, Ending { status: "in_progress", reason: None }, out);
        }
    }

    fn response(&mut self, name: &str, ending: Ending, out: &mut BytesMut) {
        let response = Response {
            id: &self.id,
            created: self.created,
            ending,
            output: self.items.output(),
            usage: self.usage.as_ref().filter(|_| self.ended),
            service_tier: self.tier.as_deref(),
        };
        self.events.response(name, response.write(&self.style), out);
    }

    fn part_start(&mut self, index: u32, kind: &PartKind, out: &mut BytesMut) {
        match kind {
            PartKind::Text | PartKind::Refusal => return self.piece(index, *kind == PartKind::Refusal, out),
            // A message is whole where something else comes between its texts.
            _ => self.close_message(out),
        }
        let body = match kind {
            PartKind::Reasoning => Body::Reasoning { text: String::new(), sealed: None },
            PartKind::RedactedReasoning { data } => Body::Redacted(data.clone()),
            PartKind::ToolCall { id, name } => {
                let (id, name) = (id.clone(), name.clone());
                let custom = self.custom.contains(&name);
                Body::Call { call: ToolCall { id, name, arguments: String::new(), cache: None }, custom }
            }
            PartKind::Other(value) => match reply_write::hosted(&self.items.id("ws"), value) {
                Some(item) => Body::Hosted { item, input: String::new() },
                None => return,
            },
            PartKind::Text | PartKind::Refusal => return,
        };
        let at = self.items.add(body);
        self.items.place(index, at, 0);
        self.added(at, out);
        if let Some(Item { id, body: Body::Reasoning { .. }, .. }) = self.items.item(at) {
            self.events.summary_part("response.reasoning_summary_part.added", (id, at), "", out);
        }
    }

    fn piece(&mut self, index: u32, refusal: bool, out: &mut BytesMut) {
        let at = match self.items.message {
            Some(at) => at,
            None => {
                let at = self.items.add(Body::Message { pieces: Vec::new(), closing: false });
                self.items.message = Some(at);
                self.added(at, out);
                at
            }
        };
        let Some(Item { id, body: Body::Message { pieces, .. }, .. }) = self.items.edit(at) else {
            return;
        };
        let content = pieces.len();
        pieces.push(Piece { refusal, ..Piece::default() });
        let part = pieces.last().map(Piece::written).unwrap_or_default();
        let place = Place { item: id, at, content };
        self.events.content_part("response.content_part.added", place, &part, out);
        self.items.place(index, at, content);
    }

    fn added(&mut self, at: usize, out: &mut BytesMut) {
        if let Some(item) = self.items.item(at) {
            self.events.item("response.output_item.added", at, &item.begun(), out);
        }
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut BytesMut) {
        let Some((at, content)) = self.items.placed(index) else { return };
        let Some(Item { id, body, .. }) = self.items.edit(at) else { return };
        let place = Place { item: id, at, content };
        match (body, delta) {
            (Body::Message { pieces, .. }, Delta::Text(text)) => {
                let Some(piece) = pieces.get_mut(content) else { return };
                piece.text.push_str(text);
                let tokens = std::mem::take(&mut self.tokens);
                let said = Said { refusal: piece.refusal, text, tokens: &tokens };
                self.events.text(place, said, out);
                piece.tokens.extend(tokens);
            }
            (Body::Message { pieces, .. }, Delta::Citation(citation)) => {
                let Some(piece) = pieces.get_mut(content) else { return };
                let Some(annotation) = reply_write::flat(citation, &piece.text) else { return };
                self.events.annotation(place, piece.annotations.len(), &annotation, out);
                piece.annotations.push(annotation);
            }
            (Body::Reasoning { text, .. }, Delta::Reasoning(more)) => {
                text.push_str(more);
                self.events.summary_text(
                    "response.reasoning_summary_text.delta",
                    (id, at),
                    ("delta", more),
                    out,
                );
            }
            (Body::Reasoning { sealed, .. }, Delta::Signature(signature)) => {
                *sealed = Some(signature.clone())
            }
            (Body::Call { call, custom }, Delta::Arguments(more)) => {
                call.arguments.push_str(more);
                // The input is one of the arguments: it is known when they are whole.
                if !*custom {
                    self.events.argument(
                        "response.function_call_arguments.delta",
                        (id, at),
                        ("delta", more),
                        out,
                    );
                }
            }
            (Body::Hosted { input, .. }, Delta::Other(more)) => {
                input.push_str(more.get("partial_json").and_then(Value::as_str).unwrap_or_default());
            }
            _ => {}
        }
    }

    fn part_end(&mut self, index: u32, out: &mut BytesMut) {
        let Some((at, content)) = self.items.placed(index) else { return };
        self.items.forget(index);
        let Some(Item { id, body, .. }) = self.items.edit(at) else { return };
        let place = Place { item: id, at, content };
        match body {
            Body::Message { pieces, .. } => {
                let Some(piece) = pieces.get_mut(content) else { return };
                piece.ended = true;
                piece.tokens.append(&mut self.tokens);
                let said = Said { refusal: piece.refusal, text: &piece.text, tokens: &piece.tokens };
                self.events.text_done(place, said, out);
                self.events.content_part("response.content_part.done", place, &piece.written(), out);
                return self.settle_message(at, out);
            }
            Body::Reasoning { text, .. } => {
                let spot = (id.as_str(), at);
                self.events.summary_text("response.reasoning_summary_text.done", spot, ("text", text), out);
                self.events.summary_part("response.reasoning_summary_part.done", spot, text, out);
            }
            Body::Call { call, custom: true } => {
                let input = custom::input(&call.arguments);
                let spot = (id.as_str(), at);
                self.events.argument("response.custom_tool_call_input.delta", spot, ("delta", &input), out);
                self.events.argument("response.custom_tool_call_input.done", spot, ("input", &input), out);
            }
            Body::Call { call, custom: false } => {
                let spot = (id.as_str(), at);
                // A call without arguments still has to parse as JSON.
                if call.arguments.is_empty() {
                    call.arguments.push_str("{}");
                    self.events.argument(
                        "response.function_call_arguments.delta",
                        spot,
                        ("delta", "{}"),
                        out,
                    );
                }
                let whole = ("arguments", call.arguments.as_str());
                self.events.argument("response.function_call_arguments.done", spot, whole, out);
            }
            Body::Hosted { item, input } => {
                let told: Option<Value> = serde_json::from_str(input).ok();
                let query = told.as_ref().and_then(|told| told.get("query"));
                if let (Some(query), Some(Value::Object(action))) = (query, item.get_mut("action")) {
                    action.insert("query".to_owned(), query.clone());
                }
            }
            Body::Redacted(_) => {}
        }
        self.item_done(at, out);
    }

    fn item_done(&mut self, at: usize, out: &mut BytesMut) {
        let Some(item) = self.items.edit(at).filter(|item| !item.done) else { return };
        item.done = true;
        self.events.item("response.output_item.done", at, &item.written(), out);
    }

    /// Closes the open message, now or when its last text is whole.
    fn close_message(&mut self, out: &mut BytesMut) {
        let Some(at) = self.items.message.take() else { return };
        if let Some(Item { body: Body::Message { closing, .. }, .. }) = self.items.edit(at) {
            *closing = true;
        }
        self.settle_message(at, out);
    }

    fn settle_message(&mut self, at: usize, out: &mut BytesMut) {
        let whole = match self.items.item(at) {
            Some(Item { body: Body::Message { pieces, closing }, .. }) => {
                *closing && pieces.iter().all(|piece| piece.ended)
            }
            _ => false,
        };
        if whole {
            self.item_done(at, out);
        }
    }

    fn end_parts(&mut self, out: &mut BytesMut) {
        for index in self.items.open() {
            self.part_end(index, out);
        }
        self.close_message(out);
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.start(out);
        self.end_parts(out);
        self.ended = true;
        let ending = outcome::ending(self.finish);
        let name = if ending.reason.is_some() { "response.incomplete" } else { "response.completed" };
        self.response(name, ending, out);
    }
}

// === impl Piece ===

impl Piece {
    /// The part as it stands in its message.
    pub(super) fn written(&self) -> Value {
        match self.refusal {
            true => json!({"type": "refusal", "refusal": self.text}),
            false => reply_write::text_part(&self.text, self.annotations.clone(), self.tokens.clone()),
        }
    }
}
