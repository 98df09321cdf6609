//! An upstream's stream.

use gatewright_core::chat::{Event, Extra};
use gatewright_core::{Decode, Error, RawEvent, Result};
use serde_json::Value;
use serde_json::value::RawValue;

use super::blocks::Choice;
use super::chunk::{Chunk, words};
use super::reply;
use crate::openai::{fault, relay, usage};

/// Reads the events of one stream.
#[derive(Default)]
pub(in crate::openai) struct Reader {
    id: String,
    started: bool,
    choices: Vec<Choice>,
    /// The sources of the answer as they were listed last; with titles and without.
    listed: [Option<Box<RawValue>>; 2],
    done: bool,
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
        let usages = [chunk.usage, chunk.x_groq.as_ref().and_then(|groq| groq.usage)];
        let used = usages.into_iter().flatten().find_map(|raw| usage::read(raw.get().as_bytes()));
        let listed = [chunk.search_results, chunk.citations];
        let mut chunk = chunk;
        let choices = chunk.choices.take().unwrap_or_default();
        if !self.started && !choices.is_empty() {
            self.start(chunk, out);
        }
        for (listed, raw) in self.listed.iter_mut().zip(listed) {
            if let Some(raw) = raw {
                *listed = Some(raw.to_owned());
            }
        }
        for (raw, at) in choices.into_iter().zip(0..) {
            let index = raw.index.unwrap_or(at);
            let place = match self.choices.iter().position(|choice| choice.index == index) {
                Some(place) => place,
                None => {
                    self.choices.push(Choice::new(index));
                    self.choices.len() - 1
                }
            };
            if let Some(choice) = self.choices.get_mut(place) {
                if place == 0 && raw.finish_reason.is_some() {
                    choice.sources = read_sources(&self.listed);
                }
                choice.take(raw, &self.id, out);
            }
        }
        out.extend(used.map(Event::Usage));
        Ok(())
    }

    fn start(&mut self, chunk: Chunk<'_>, out: &mut Vec<Event>) {
        self.started = true;
        self.id = words(chunk.id);
        let mut extra = Extra::new();
        for (key, raw) in [
            ("system_fingerprint", chunk.system_fingerprint),
            ("service_tier", chunk.service_tier),
            ("citations", chunk.citations),
        ] {
            let value: Option<Value> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
            extra.extend(value.filter(|value| !value.is_null()).map(|value| (key.to_owned(), value)));
        }
        out.push(Event::Start {
            id: self.id.clone(),
            model: words(chunk.model),
            created: chunk.created.and_then(|at| at.get().parse().ok()).unwrap_or_default(),
            extra,
        });
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.done = true;
        if let Some(choice) = self.choices.first_mut() {
            choice.sources = read_sources(&self.listed);
        }
        for choice in &mut self.choices {
            choice.finish("", out);
        }
        out.push(Event::End);
    }
}

fn read_sources(listed: &[Option<Box<RawValue>>; 2]) -> Vec<Value> {
    let [results, links] =
        listed.each_ref().map(|raw| raw.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok()));
    reply::sources(results.as_ref(), links.as_ref())
}

fn failure(chunk: &Chunk<'_>, event: RawEvent<'_>) -> Option<Error> {
    let stated = chunk.error.is_some_and(|raw| !matches!(raw.get(), "null" | "{}" | "\"\""));
    let failed = stated || event.name == "error" || chunk.object.is_some_and(|raw| raw.get() == "\"error\"");
    failed.then(|| fault::inside(event.data))
}
