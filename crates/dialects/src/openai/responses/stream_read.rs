//! An upstream's stream.

use std::borrow::Cow;

use gatewright_core::chat::{Delta, Event, Extra, Finish, Part, PartKind};
use gatewright_core::{Decode, RawEvent, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::items_read::{Item, item};
use super::outcome;
use super::reply_read::Wire;
use super::stream_state::{Open, Parts, Spot};
use crate::openai::read::reply::citation;
use crate::openai::relay;

/// Every event that is read, flattened: which fields are there depends on `type`.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(default)]
    output_index: u32,
    #[serde(default)]
    content_index: u32,
    #[serde(default)]
    summary_index: u32,
    #[serde(borrow)]
    delta: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
    annotation: Option<Value>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
}

/// Reads the events of one stream.
#[derive(Default)]
pub(super) struct Reader {
    started: bool,
    parts: Parts,
    called: bool,
    done: bool,
}

impl Decode for Reader {
    fn event(&mut self, event: RawEvent<'_>, out: &mut Vec<Event>) -> Result<()> {
        let data = event.data.trim_ascii();
        // Some servers end their stream as the chat dialect does.
        if data.is_empty() || data == b"[DONE]" || self.done {
            return Ok(());
        }
        let told: Told<'_> = match serde_json::from_slice(data) {
            Ok(told) => told,
            Err(_) if event.name == "error" => return Err(failed(data)),
            Err(err) => return Err(relay::unreadable().with_detail(err.to_string())),
        };
        match &*told.kind {
            "error" | "response.failed" => Err(failed(data)),
            _ => self.take(told, out),
        }
    }

    fn close(&mut self, _out: &mut Vec<Event>) -> Result<()> {
        match self.done {
            true => Ok(()),
            false => Err(relay::cut_short()),
        }
    }
}

// === impl Reader ===

impl Reader {
    fn take(&mut self, told: Told<'_>, out: &mut Vec<Event>) -> Result<()> {
        let at = told.output_index;
        match &*told.kind {
            "response.created" | "response.in_progress" => self.start(told.response, out)?,
            "response.completed" | "response.incomplete" => self.end(told.response, out)?,
            "response.output_item.added" => self.item_added(at, told.item, out),
            "response.output_item.done" => self.item_done(at, told.item, out)?,
            "response.output_text.delta" => {
                self.text(Spot::content(at, told.content_index), PartKind::Text, told.delta, out);
                logprobs(told.logprobs, out);
            }
            "response.refusal.delta" => {
                self.text(Spot::content(at, told.content_index), PartKind::Refusal, told.delta, out);
            }
            "response.output_text.done" => {
                self.whole_text(Spot::content(at, told.content_index), PartKind::Text, told.text, out);
            }
            "response.refusal.done" => {
                self.whole_text(Spot::content(at, told.content_index), PartKind::Refusal, told.refusal, out);
            }
            "response.output_text.annotation.added" => {
                self.cite(Spot::content(at, told.content_index), told.annotation.as_ref(), out);
            }
            "response.content_part.done" => self.parts.end(Spot::content(at, told.content_index), out),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.think(at, told.summary_index.max(told.content_index), told.delta, out);
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.argue(at, told.delta.unwrap_or_default(), out);
            }
            "response.function_call_arguments.done" if self.is_silent(at) => {
                self.argue(at, told.arguments.unwrap_or_default(), out);
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, response: Option<&RawValue>, out: &mut Vec<Event>) -> Result<()> {
        if self.started {
            return Ok(());
        }
        self.started = true;
        let wire = wire(response)?;
        let mut extra = Extra::new();
        extra.extend(wire.service_tier().map(|tier| ("service_tier".to_owned(), tier.into())));
        let (id, model) = (wire.id().to_owned(), wire.model().to_owned());
        out.push(Event::Start { id, model, created: wire.created(), extra });
        Ok(())
    }

    /// A call is content from its name on; everything else begins with its first word.
    fn item_added(&mut self, at: u32, raw: Option<&RawValue>, out: &mut Vec<Event>) {
        let Some(Ok(Item::Model(Part::ToolCall(call)))) = raw.map(item) else { return };
        self.called = true;
        let custom = raw.is_some_and(is_custom);
        let open = self.parts.open(Spot::item(at), PartKind::ToolCall { id: call.id, name: call.name }, out);
        open.custom = custom;
        // A custom call's input is told bare, and here it becomes a function's arguments when it is whole.
        if !custom && !call.arguments.is_empty() {
            self.argue(at, Cow::Owned(call.arguments), out);
        }
    }

    fn item_done(&mut self, at: u32, raw: Option<&RawValue>, out: &mut Vec<Event>) -> Result<()> {
        let Some(raw) = raw else { return Ok(()) };
        let known = self.parts.find(Spot::item(at)).map(|open| (open.said, open.ended));
        match (item(raw).map_err(|err| relay::unreadable().with_detail(err.to_string()))?, known) {
            (Item::Model(Part::ToolCall(call)), known) => {
                if known.is_none() {
                    self.item_added(at, Some(raw), out);
                }
                if self.is_silent(at) {
                    self.write_arguments(at, call.arguments, out);
                }
            }
            (Item::Model(Part::Reasoning { text, signature }), known) => {
                if known.is_none_or(|(said, _)| said == 0) {
                    self.think(at, 0, Some(Cow::Owned(text)), out);
                }
                self.sign(at, signature, out);
            }
            (Item::Model(part @ (Part::RedactedReasoning { .. } | Part::Other(_))), None) => {
                let kind = match part {
                    Part::RedactedReasoning { data } => PartKind::RedactedReasoning { data },
                    Part::Other(value) => PartKind::Other(value),
                    _ => return Ok(()),
                };
                self.parts.open(Spot::item(at), kind, out);
            }
            (Item::Message(_, content), _) => self.message_done(at, content.parts, out),
            _ => {}
        }
        self.parts.end_item(at, out);
        Ok(())
    }

    /// Servers that tell a message only when it is whole are heard too.
    fn message_done(&mut self, at: u32, parts: Vec<Part>, out: &mut Vec<Event>) {
        for (part, index) in parts.into_iter().zip(0..) {
            match part {
                Part::Text { text, .. } => {
                    self.whole_text(Spot::content(at, index), PartKind::Text, Some(Cow::Owned(text)), out)
                }
                Part::Refusal(text) => {
                    self.whole_text(Spot::content(at, index), PartKind::Refusal, Some(Cow::Owned(text)), out);
                }
                _ => {}
            }
        }
    }

    fn text(&mut self, spot: Spot, kind: PartKind, delta: Option<Cow<'_, str>>, out: &mut Vec<Event>) {
        let text = delta.unwrap_or_default();
        if text.is_empty() {
            return;
        }
        let open = self.parts.open(spot, kind, out);
        open.tell(Delta::Text(text.into_owned()), out);
    }

    fn whole_text(&mut self, spot: Spot, kind: PartKind, text: Option<Cow<'_, str>>, out: &mut Vec<Event>) {
        if self.parts.find(spot).is_none_or(|open| open.said == 0 && !open.ended) {
            self.text(spot, kind, text, out);
        }
    }

    fn cite(&mut self, spot: Spot, annotation: Option<&Value>, out: &mut Vec<Event>) {
        let Some(citation) = annotation.and_then(|annotation| citation(annotation, "")) else { return };
        let open = self.parts.open(spot, PartKind::Text, out);
        open.tell(Delta::Citation(citation), out);
    }

    /// The parts of a summary are paragraphs of one text.
    fn think(&mut self, at: u32, paragraph: u32, delta: Option<Cow<'_, str>>, out: &mut Vec<Event>) {
        let text = delta.unwrap_or_default();
        let open = self.parts.open(Spot::item(at), PartKind::Reasoning, out);
        let next = std::mem::replace(&mut open.paragraph, paragraph) != paragraph;
        if next && open.said > 0 {
            open.tell(Delta::Reasoning("\n\n".to_owned()), out);
        }
        if !text.is_empty() {
            open.tell(Delta::Reasoning(text.into_owned()), out);
        }
    }

    fn sign(&mut self, at: u32, signature: Option<String>, out: &mut Vec<Event>) {
        if let (Some(signature), Some(open)) = (signature, self.parts.find_mut(Spot::item(at))) {
            open.tell(Delta::Signature(signature), out);
        }
    }

    /// Whether an item has begun and nothing was said of it yet.
    fn is_silent(&self, at: u32) -> bool {
        self.parts.find(Spot::item(at)).is_some_and(|open| open.said == 0)
    }

    fn argue(&mut self, at: u32, text: Cow<'_, str>, out: &mut Vec<Event>) {
        let waits = |open: &Open| open.custom || open.ended;
        if text.is_empty() || self.parts.find(Spot::item(at)).is_none_or(waits) {
            return;
        }
        self.write_arguments(at, text.into_owned(), out);
    }

    fn write_arguments(&mut self, at: u32, text: String, out: &mut Vec<Event>) {
        if let Some(open) = self.parts.find_mut(Spot::item(at)).filter(|_| !text.is_empty()) {
            open.tell(Delta::Arguments(text), out);
        }
    }

    fn end(&mut self, response: Option<&RawValue>, out: &mut Vec<Event>) -> Result<()> {
        self.start(response, out)?;
        let wire = wire(response)?;
        self.done = true;
        self.parts.end_all(out);
        out.extend(wire.usage().map(Event::Usage));
        let reason = match wire.finish(&[]) {
            Finish::Stop if self.called => Finish::ToolCalls,
            reason => reason,
        };
        out.push(Event::Finish { choice: 0, reason, stop_sequence: None });
        out.push(Event::End);
        Ok(())
    }
}

fn wire(response: Option<&RawValue>) -> Result<Wire<'_>> {
    let Some(raw) = response else { return Err(relay::unreadable().with_detail("an event has no response")) };
    serde_json::from_str(raw.get()).map_err(|err| relay::unreadable().with_detail(err.to_string()))
}

fn is_custom(item: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    serde_json::from_str::<Kind<'_>>(item.get()).is_ok_and(|item| item.kind == "custom_tool_call")
}

fn logprobs(raw: Option<&RawValue>, out: &mut Vec<Event>) {
    let tokens = raw.and_then(|raw| serde_json::from_str::<Vec<Value>>(raw.get()).ok()).unwrap_or_default();
    if !tokens.is_empty() {
        out.push(Event::Logprobs { choice: 0, value: json!({"content": tokens, "refusal": null}) });
    }
}

/// What an event means that ends the stream without an answer.
pub(super) fn failed(data: &[u8]) -> gatewright_core::Error {
    let mut event: Value = serde_json::from_slice(data).unwrap_or_default();
    match event.get_mut("response") {
        Some(response) => outcome::failure(response),
        None => outcome::failure(&event),
    }
}
