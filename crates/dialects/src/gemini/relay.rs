//! Answers that stay in the dialect: everything byte for byte but the model's name.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use gatewright_core::{Frame, Json, JsonLimits, Peek, RawEvent, Relay, ReplyStyle, Result, Usage};

use super::wire::{Candidate, Response, cut, read, unreadable};
use super::{error, grounding, words};

/// Relays one stream.
pub(super) struct Splice {
    model: Arc<str>,
    /// The candidates by number, and whether each is whole.
    candidates: Vec<(u32, bool)>,
    searches: u64,
}

/// Relays a whole answer.
pub(super) fn reply(body: Bytes, style: &ReplyStyle) -> Result<Frame> {
    let response: Response<'_> = read(&body)?;
    if response.error.is_some() {
        return Err(error::from_body(&body));
    }
    let searches = response.candidates.iter().map(|one| searched(one, &response)).max().unwrap_or_default();
    let content = response.candidates.iter().map(weight).fold(0, u32::saturating_add);
    let usage = usage(&response, searches);
    Ok(Frame { data: renamed(body, &style.model)?, usage, content, last: true })
}

// === impl Splice ===

impl Splice {
    /// A relay for one stream.
    pub(super) fn new(style: &ReplyStyle) -> Self {
        Self { model: style.model.clone(), candidates: Vec::new(), searches: 0 }
    }

    fn note(&mut self, candidate: &Candidate<'_>) {
        let finished = candidate.finish_reason.as_ref().and_then(words::finish_word).is_some();
        match self.candidates.iter_mut().find(|(index, _)| *index == candidate.index) {
            Some((_, whole)) => *whole |= finished,
            None => self.candidates.push((candidate.index, finished)),
        }
    }
}

impl Relay for Splice {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        let response: Response<'_> = read(event.data)?;
        if response.error.is_some() {
            return Err(error::from_body(event.data));
        }
        for candidate in &response.candidates {
            self.searches = self.searches.max(searched(candidate, &response));
            self.note(candidate);
        }
        let blocked =
            response.prompt_feedback.as_ref().is_some_and(|feedback| feedback.block_reason.is_some());
        if blocked && self.candidates.is_empty() {
            self.candidates.push((0, true));
        }
        let content = response.candidates.iter().map(weight).fold(0, u32::saturating_add);
        let peek = Peek { usage: usage(&response, self.searches), content, last: false };
        out.put_slice(b"data: ");
        let at = out.len();
        out.put_slice(&renamed(Bytes::copy_from_slice(event.data), &self.model)?);
        // An event may have come in several lines; it goes in one. In JSON a line break is white space.
        out.iter_mut().skip(at).filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        out.put_slice(b"\n\n");
        Ok(peek)
    }

    fn close(&mut self, _out: &mut BytesMut) -> Result<Peek> {
        let whole = !self.candidates.is_empty() && self.candidates.iter().all(|(_, whole)| *whole);
        if !whole {
            return Err(cut());
        }
        Ok(Peek { last: true, ..Peek::default() })
    }
}

fn usage(response: &Response<'_>, searches: u64) -> Option<Usage> {
    response.usage_metadata.as_ref().and_then(|usage| usage.usage(searches))
}

fn searched(candidate: &Candidate<'_>, response: &Response<'_>) -> u64 {
    let model = response.model_version.as_deref().unwrap_or_default();
    candidate.grounding_metadata.as_ref().map_or(0, |metadata| grounding::searches(metadata, model))
}

/// Bytes of what the model said; a part without a word in it says nothing.
fn weight(candidate: &Candidate<'_>) -> u32 {
    let parts = candidate.content.as_ref().map(|content| content.parts.as_slice()).unwrap_or_default();
    let says = |raw: &&&serde_json::value::RawValue| {
        !raw.get().contains(r#""text": """#) && !raw.get().contains(r#""text":"""#)
    };
    let bytes: usize = parts.iter().filter(says).map(|raw| raw.get().len()).sum();
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn renamed(body: Bytes, model: &str) -> Result<Bytes> {
    let mut json = Json::parse(body, JsonLimits::default()).map_err(|err| unreadable(err.message()))?;
    if json.has("modelVersion") {
        json.set_string("modelVersion", model);
    }
    Ok(json.to_bytes())
}
