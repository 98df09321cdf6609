//! Traffic that stays in the dialect: everything byte for byte but the model's name.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use gatewright_core::{Frame, Json, JsonLimits, Peek, RawEvent, Relay, ReplyStyle, Result};

use super::reply_read::Wire;
use super::{outcome, stream_read};
use crate::json::put_text;
use crate::openai::relay::{cut_short, unreadable};
use crate::scan::Scanner;

/// Edits a stream on its way to the client.
pub(super) struct Passage {
    model: Arc<str>,
    done: bool,
}

/// Edits a whole answer.
pub(super) fn whole(body: Bytes, style: &ReplyStyle) -> Result<Frame> {
    let mut json = Json::parse(body.clone(), JsonLimits::default())
        .map_err(|err| unreadable().with_detail(err.message().to_owned()))?;
    let wire: Wire<'_> =
        serde_json::from_slice(&body).map_err(|err| unreadable().with_detail(err.to_string()))?;
    if wire.failed() {
        return Err(outcome::failure(&serde_json::from_slice(&body).unwrap_or_default()));
    }
    let usage = wire.usage();
    let content = json.raw("output").map_or(0, <[u8]>::len);
    if json.has("model") {
        json.set_string("model", &style.model);
    }
    let content = u32::try_from(content).unwrap_or(u32::MAX);
    Ok(Frame { data: json.to_bytes(), usage, content, last: true })
}

// === impl Passage ===

impl Passage {
    pub(super) fn new(style: &ReplyStyle) -> Self {
        Self { model: style.model.clone(), done: false }
    }

    /// The event with our name for the model in its response.
    fn renamed<'a>(&self, data: &'a [u8], places: &Places) -> Cow<'a, [u8]> {
        let Some(at) = &places.model else { return Cow::Borrowed(data) };
        let mut edited = BytesMut::with_capacity(data.len() + self.model.len());
        edited.put_slice(data.get(..at.start).unwrap_or_default());
        put_text(&mut edited, &self.model);
        edited.put_slice(data.get(at.end..).unwrap_or_default());
        Cow::Owned(edited.to_vec())
    }
}

impl Relay for Passage {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        let data = event.data.trim_ascii();
        // Nothing behind the end belongs to the answer; some servers end as the chat dialect does.
        if data.is_empty() || data == b"[DONE]" || self.done {
            return Ok(Peek::default());
        }
        let places = places(data).ok_or_else(unreadable)?;
        let mut peek = Peek { content: places.weight, ..Peek::default() };
        match places.kind.as_ref() {
            "error" | "response.failed" => return Err(stream_read::failed(data)),
            "response.completed" | "response.incomplete" => {
                let response = places.response.clone().and_then(|at| data.get(at)).unwrap_or_default();
                let wire: Wire<'_> = serde_json::from_slice(response)
                    .map_err(|err| unreadable().with_detail(err.to_string()))?;
                peek.usage = wire.usage();
                peek.last = true;
                self.done = true;
            }
            _ => {}
        }
        write(out, &places.kind, &self.renamed(data, &places));
        Ok(peek)
    }

    fn close(&mut self, _out: &mut BytesMut) -> Result<Peek> {
        match self.done {
            true => Ok(Peek { last: true, ..Peek::default() }),
            false => Err(cut_short()),
        }
    }
}

/// What is found in an event without building anything.
#[derive(Default)]
struct Places<'a> {
    kind: Cow<'a, str>,
    response: Option<Range<usize>>,
    /// The model's name in the response, quotes included.
    model: Option<Range<usize>>,
    /// Bytes of model output; a tool's call is content from its name on.
    weight: u32,
}

fn places(data: &[u8]) -> Option<Places<'_>> {
    let mut places = Places::default();
    let mut item = Cow::default();
    let mut delta = 0;
    Scanner::new(data).object(|s, field| {
        match field.key {
            b"type" => places.kind = s.text_or_skip()?.unwrap_or_default(),
            b"delta" => delta = s.string_or_skip()?.map_or(1, |text| text.len()),
            b"response" if s.peek()? == b'{' => {
                let start = s.at();
                s.object(|s, field| {
                    if field.key == b"model" && s.peek()? == b'"' {
                        places.model = s.skip();
                    }
                    Some(())
                })?;
                places.response = Some(start..s.at());
            }
            b"item" if s.peek()? == b'{' => {
                s.object(|s, field| {
                    if field.key == b"type" {
                        item = s.text_or_skip()?.unwrap_or_default();
                    }
                    Some(())
                })?;
            }
            _ => {}
        }
        Some(())
    })?;
    let calls = places.kind == "response.output_item.added" && !matches!(&*item, "message" | "reasoning");
    places.weight = u32::try_from(delta).unwrap_or(u32::MAX).max(u32::from(calls));
    Some(places)
}

fn write(out: &mut BytesMut, kind: &str, data: &[u8]) {
    out.reserve(kind.len() + data.len() + 24);
    // A name that could end its line is none.
    if !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_graphic()) {
        out.put_slice(b"event: ");
        out.put_slice(kind.as_bytes());
        out.put_slice(b"\n");
    }
    out.put_slice(b"data: ");
    let start = out.len();
    out.put_slice(data);
    // An event of several data lines leaves as one: a line break in JSON is only a blank.
    out.get_mut(start..).unwrap_or_default().iter_mut().filter(|b| **b == b'\n').for_each(|b| *b = b' ');
    out.put_slice(b"\n\n");
}
