//! An upstream's stream, from flat deltas to blocks.

use gatewright_core::chat::{Delta, Event, Extra, Finish, Part, PartKind};
use gatewright_core::{Decode, Error, RawEvent, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::reply::{call_id, citation};
use super::{part, thought};
use crate::openai::{fault, finish, relay, usage};

/// Reads the events of one stream.
#[derive(Default)]
pub(in crate::openai) struct Reader {
    id: String,
    started: bool,
    choices: Vec<Choice>,
    done: bool,
}

/// One event, with what is rare left as bytes.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default, borrow)]
    created: Option<&'a RawValue>,
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    system_fingerprint: Option<String>,
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default, borrow)]
    citations: Option<&'a RawValue>,
    #[serde(default, borrow)]
    choices: Option<Vec<RawChoice<'a>>>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    x_groq: Option<Groq<'a>>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Groq<'a> {
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawChoice<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(default, borrow)]
    delta: Option<RawDelta<'a>>,
    #[serde(default, borrow)]
    message: Option<RawDelta<'a>>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    logprobs: Option<Value>,
}

#[derive(Deserialize)]
struct RawDelta<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(default, borrow)]
    thinking_blocks: Option<&'a RawValue>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default, borrow)]
    tool_calls: Option<Vec<RawCall<'a>>>,
    #[serde(default, borrow)]
    function_call: Option<RawFunction<'a>>,
    #[serde(default, borrow)]
    annotations: Option<&'a RawValue>,
    #[serde(default)]
    audio: Option<Value>,
}

#[derive(Deserialize)]
struct RawCall<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, borrow)]
    function: Option<RawFunction<'a>>,
    #[serde(default, borrow)]
    custom: Option<RawFunction<'a>>,
}

#[derive(Deserialize)]
struct RawFunction<'a> {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, borrow, alias = "input")]
    arguments: Option<&'a RawValue>,
}

/// What is open in one choice.
#[derive(Default)]
struct Choice {
    index: u32,
    next_part: u32,
    /// The last part of running text, and what it is.
    open: Option<(u32, Running)>,
    calls: Vec<Call>,
    audio: Option<u32>,
    spoke: bool,
    /// Whether the reasoning came as bare text, which then also stands in the blocks beside it.
    bare_reasoning: bool,
    finished: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Running {
    Text,
    Reasoning,
    Refusal,
}

struct Call {
    /// The provider's index, where it gives one.
    wire: Option<u32>,
    id: String,
    /// The part; `None` until the name is known.
    part: Option<u32>,
    /// Arguments that came before the name.
    held: String,
}

impl Decode for Reader {
    fn event(&mut self, event: RawEvent<'_>, out: &mut Vec<Event>) -> Result<()> {
        let data = event.data.trim_ascii();
        if data.is_empty() || self.done {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.end(out);
            return Ok(());
        }
        let chunk: Chunk<'_> = match serde_json::from_slice(data) {
            Ok(chunk) => chunk,
            Err(_) if event.name == "error" => return Err(fault::inside(data)),
            Err(err) => return Err(relay::unreadable().with_detail(err.to_string())),
        };
        if let Some(err) = failure(&chunk, event) {
            return Err(err);
        }
        self.chunk(chunk, out)
    }

    fn close(&mut self, out: &mut Vec<Event>) -> Result<()> {
        if self.done {
            return Ok(());
        }
        if self.choices.is_empty() || self.choices.iter().any(|choice| !choice.finished) {
            return Err(relay::cut_short());
        }
        self.end(out);
        Ok(())
    }
}

// === impl Reader ===

impl Reader {
    fn chunk(&mut self, chunk: Chunk<'_>, out: &mut Vec<Event>) -> Result<()> {
        let usage = chunk.usage.or(chunk.x_groq.as_ref().and_then(|groq| groq.usage));
        let used = usage.and_then(|raw| usage::read(raw.get().as_bytes()));
        let mut chunk = chunk;
        let choices = chunk.choices.take().unwrap_or_default();
        if !self.started && !choices.is_empty() {
            self.start(chunk, out);
        }
        for (raw, at) in choices.into_iter().zip(0..) {
            let index = raw.index.unwrap_or(at);
            let place = match self.choices.iter().position(|choice| choice.index == index) {
                Some(place) => place,
                None => {
                    self.choices.push(Choice { index, ..Choice::default() });
                    self.choices.len() - 1
                }
            };
            if let Some(choice) = self.choices.get_mut(place) {
                choice.take(raw, &self.id, out);
            }
        }
        out.extend(used.map(Event::Usage));
        Ok(())
    }

    fn start(&mut self, chunk: Chunk<'_>, out: &mut Vec<Event>) {
        self.started = true;
        self.id = chunk.id.unwrap_or_default();
        let mut extra = Extra::new();
        let words = [("system_fingerprint", chunk.system_fingerprint), ("service_tier", chunk.service_tier)];
        extra.extend(words.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into()))));
        let citations = chunk.citations.and_then(|raw| serde_json::from_str(raw.get()).ok());
        extra.extend(citations.map(|value: Value| ("citations".to_owned(), value)));
        out.push(Event::Start {
            id: self.id.clone(),
            model: chunk.model.unwrap_or_default(),
            created: chunk.created.and_then(|at| at.get().parse().ok()).unwrap_or_default(),
            extra,
        });
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.done = true;
        for choice in &mut self.choices {
            choice.finish("", out);
        }
        out.push(Event::End);
    }
}

// === impl Choice ===

impl Choice {
    fn take(&mut self, raw: RawChoice<'_>, answer: &str, out: &mut Vec<Event>) {
        if let Some(value) = raw.logprobs {
            out.push(Event::Logprobs { choice: self.index, value });
        }
        // Perplexity repeats the whole message beside each delta; it counts only where nothing else was said.
        let delta = match raw.delta {
            Some(delta) => Some(delta),
            None => raw.message.filter(|_| !self.spoke),
        };
        if let Some(delta) = delta {
            self.delta(delta, answer, out);
        }
        match raw.finish_reason.as_deref() {
            None | Some("") => {}
            Some(word) => self.finish(word, out),
        }
    }

    fn delta(&mut self, delta: RawDelta<'_>, answer: &str, out: &mut Vec<Event>) {
        self.reasoning(&delta, out);
        match delta.content.map(RawValue::get) {
            Some(raw) if raw.starts_with('[') => self.content_list(raw, out),
            Some(raw) => self.running(Running::Text, text(raw), out),
            None => {}
        }
        self.running(Running::Refusal, delta.refusal.unwrap_or_default(), out);
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(call, answer, out);
        }
        if let Some(function) = delta.function_call {
            self.call(
                RawCall { index: Some(0), id: None, function: Some(function), custom: None },
                answer,
                out,
            );
        }
        for annotation in list(delta.annotations) {
            self.cite(&annotation, out);
        }
        if let Some(audio) = delta.audio.filter(|audio| !audio.is_null()) {
            self.audio(audio, out);
        }
    }

    fn reasoning(&mut self, delta: &RawDelta<'_>, out: &mut Vec<Event>) {
        let named = [delta.reasoning_content, delta.reasoning].into_iter().flatten();
        let told = named.map(|raw| text(raw.get())).find(|text| !text.is_empty()).unwrap_or_default();
        self.bare_reasoning |= !told.is_empty();
        self.running(Running::Reasoning, told, out);
        let blocks = list(delta.thinking_blocks).into_iter().filter_map(|block| match block {
            Value::Object(mut block) => thought::block(&mut block),
            _ => None,
        });
        let mut parts: Vec<Part> = blocks.collect();
        if parts.is_empty() {
            parts = thought::detailed(list(delta.reasoning_details));
        }
        for part in parts {
            self.thought(part, out);
        }
    }

    fn thought(&mut self, part: Part, out: &mut Vec<Event>) {
        let choice = self.index;
        match part {
            Part::Reasoning { text, signature } => {
                if !self.bare_reasoning {
                    self.running(Running::Reasoning, text, out);
                }
                let Some(signature) = signature else { return };
                let index = self.open(Running::Reasoning, out);
                out.push(Event::PartDelta { choice, index, delta: Delta::Signature(signature) });
                // A signature ends its block; what follows is another.
                self.close_running(out);
            }
            Part::RedactedReasoning { data } => {
                self.close_running(out);
                let index = self.next();
                out.push(Event::PartStart { choice, index, kind: PartKind::RedactedReasoning { data } });
                out.push(Event::PartEnd { choice, index });
            }
            _ => {}
        }
    }

    fn content_list(&mut self, raw: &str, out: &mut Vec<Event>) {
        for part in part::content(serde_json::from_str(raw).ok()) {
            match part {
                Part::Text { text, .. } => self.running(Running::Text, text, out),
                thought => self.thought(thought, out),
            }
        }
    }

    fn running(&mut self, kind: Running, text: String, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let index = self.open(kind, out);
        let delta = match kind {
            Running::Reasoning => Delta::Reasoning(text),
            Running::Text | Running::Refusal => Delta::Text(text),
        };
        out.push(Event::PartDelta { choice: self.index, index, delta });
    }

    /// The open part of this kind; whatever else ran before it ends.
    fn open(&mut self, kind: Running, out: &mut Vec<Event>) -> u32 {
        self.spoke = true;
        match self.open {
            Some((index, open)) if open == kind => return index,
            _ => self.close_running(out),
        }
        let index = self.next();
        self.open = Some((index, kind));
        let kind = match kind {
            Running::Text => PartKind::Text,
            Running::Reasoning => PartKind::Reasoning,
            Running::Refusal => PartKind::Refusal,
        };
        out.push(Event::PartStart { choice: self.index, index, kind });
        index
    }

    fn close_running(&mut self, out: &mut Vec<Event>) {
        if let Some((index, _)) = self.open.take() {
            out.push(Event::PartEnd { choice: self.index, index });
        }
    }

    fn call(&mut self, raw: RawCall<'_>, answer: &str, out: &mut Vec<Event>) {
        let function = raw.function.or(raw.custom);
        let (name, arguments) = match function {
            Some(function) => (function.name.unwrap_or_default(), function.arguments),
            None => (String::new(), None),
        };
        let id = raw.id.unwrap_or_default();
        let place = match self.find_call(raw.index, &id, &name) {
            Some(place) => place,
            None => {
                self.spoke = true;
                let id = if id.is_empty() {
                    call_id(answer, self.index, u32::try_from(self.calls.len()).unwrap_or_default())
                } else {
                    id
                };
                self.calls.push(Call { wire: raw.index, id, part: None, held: String::new() });
                self.calls.len() - 1
            }
        };
        self.add_to_call(place, name, arguments.map(|raw| text(raw.get())).unwrap_or_default(), out);
    }

    /// The call that a delta goes on with; `None` where it begins one. Indexes and ids may be missing, and some
    /// servers number every parallel call zero.
    fn find_call(&self, index: Option<u32>, id: &str, name: &str) -> Option<usize> {
        let last = self.calls.len().checked_sub(1)?;
        let begins = |call: &Call| !name.is_empty() && !id.is_empty() && call.id != id && call.part.is_some();
        match index {
            Some(index) => {
                let place = self.calls.iter().rposition(|call| call.wire == Some(index))?;
                self.calls.get(place).filter(|call| !begins(call)).map(|_| place)
            }
            None if !id.is_empty() => self.calls.iter().position(|call| call.id == id),
            None if name.is_empty() => Some(last),
            None => self.calls.get(last).filter(|call| call.part.is_none()).map(|_| last),
        }
    }

    fn add_to_call(&mut self, place: usize, name: String, arguments: String, out: &mut Vec<Event>) {
        let Some(call) = self.calls.get(place) else { return };
        if call.part.is_none() && name.is_empty() {
            if let Some(call) = self.calls.get_mut(place) {
                call.held.push_str(&arguments);
            }
            return;
        }
        if call.part.is_none() {
            self.close_running(out);
            self.begin_call(place, name, out);
        }
        let part = self.calls.get(place).and_then(|call| call.part);
        if let (Some(index), false) = (part, arguments.is_empty()) {
            out.push(Event::PartDelta { choice: self.index, index, delta: Delta::Arguments(arguments) });
        }
    }

    fn begin_call(&mut self, place: usize, name: String, out: &mut Vec<Event>) {
        let (choice, index) = (self.index, self.next());
        let Some(call) = self.calls.get_mut(place) else { return };
        call.part = Some(index);
        let kind = PartKind::ToolCall { id: call.id.clone(), name };
        out.push(Event::PartStart { choice, index, kind });
        let held = std::mem::take(&mut call.held);
        if !held.is_empty() {
            out.push(Event::PartDelta { choice, index, delta: Delta::Arguments(held) });
        }
    }

    fn cite(&mut self, annotation: &Value, out: &mut Vec<Event>) {
        let Some(citation) = citation(annotation, "") else { return };
        let index = self.open(Running::Text, out);
        out.push(Event::PartDelta { choice: self.index, index, delta: Delta::Citation(citation) });
    }

    fn audio(&mut self, audio: Value, out: &mut Vec<Event>) {
        let choice = self.index;
        let index = match self.audio {
            Some(index) => index,
            None => {
                let index = self.next();
                self.audio = Some(index);
                let mut kind = Map::new();
                kind.insert("type".into(), "audio".into());
                out.push(Event::PartStart { choice, index, kind: PartKind::Other(Value::Object(kind)) });
                index
            }
        };
        out.push(Event::PartDelta { choice, index, delta: Delta::Other(audio) });
    }

    /// Ends all parts and the choice, once; later repetitions of the word say nothing new.
    fn finish(&mut self, word: &str, out: &mut Vec<Event>) {
        if self.finished {
            return;
        }
        self.finished = true;
        let choice = self.index;
        self.close_running(out);
        for place in 0..self.calls.len() {
            if self.calls.get(place).is_some_and(|call| call.part.is_none()) {
                self.begin_call(place, String::new(), out);
            }
        }
        let calls = self.calls.iter().filter_map(|call| call.part);
        out.extend(calls.chain(self.audio).map(|index| Event::PartEnd { choice, index }));
        let reason = match finish::read(word) {
            Finish::Stop if !self.calls.is_empty() => Finish::ToolCalls,
            reason => reason,
        };
        out.push(Event::Finish { choice, reason, stop_sequence: None });
    }

    fn next(&mut self) -> u32 {
        self.next_part += 1;
        self.next_part - 1
    }
}

fn failure(chunk: &Chunk<'_>, event: RawEvent<'_>) -> Option<Error> {
    let stated = chunk.error.is_some_and(|raw| !matches!(raw.get(), "null" | "{}" | "\"\""));
    let failed = stated || event.name == "error" || chunk.object.as_deref() == Some("error");
    failed.then(|| fault::inside(event.data))
}

/// A string's text; `null` is none, and an object where text should stand is kept as JSON.
fn text(raw: &str) -> String {
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).unwrap_or_default(),
        Some(b'n') | None => String::new(),
        Some(_) => raw.to_owned(),
    }
}

fn list(raw: Option<&RawValue>) -> Vec<Value> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}
