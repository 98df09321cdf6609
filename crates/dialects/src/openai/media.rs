//! Pictures, sound and moderation: operations whose answers stay in the dialect.

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_core::{Frame, Json, JsonLimits, Operation, Peek, RawEvent, Relay, ReplyStyle, Result, Usage};
use serde::Deserialize;

/// `usage` of pictures and transcriptions. The latter tell tokens, or seconds where the model is billed by time.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    input_tokens: u64,
    output_tokens: u64,
    seconds: f64,
    #[serde(alias = "input_token_details")]
    input_tokens_details: Parts,
    #[serde(alias = "output_token_details")]
    output_tokens_details: Parts,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    image_tokens: u64,
    audio_tokens: u64,
    cached_tokens: u64,
}

/// An event of a stream, as far as it is read.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    usage: Option<Told>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

/// Hands events on as they are.
pub(super) struct Onward;

/// A whole answer with the model's public name in it, where it names one.
pub(super) fn whole(operation: Operation, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
    let content = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let Ok(mut json) = Json::parse(body.clone(), JsonLimits::default()) else {
        // A transcription may be plain text.
        return Ok(Frame { data: body, content, last: true, usage: None });
    };
    let usage = used(operation, &json);
    if json.has("model") {
        json.set_string("model", &style.model);
    }
    Ok(Frame { data: json.to_bytes(), usage, content, last: true })
}

fn used(operation: Operation, json: &Json) -> Option<Usage> {
    let told = json.get::<Told>("usage").ok().flatten();
    match operation {
        // Nothing is billed for it, whoever tells what it read.
        Operation::Moderations => Some(told.map(|told| told.usage(operation)).unwrap_or_default()),
        Operation::ImageGenerations | Operation::ImageEdits | Operation::ImageVariations => {
            let pictures = || json.get::<Vec<serde::de::IgnoredAny>>("data").ok().flatten();
            match told {
                Some(told) => Some(told.usage(operation)),
                None => Some(Usage { images: pictures()?.len() as u64, ..Usage::default() }),
            }
        }
        _ => match told {
            Some(told) => Some(told.usage(operation)),
            None => json.get::<f64>("duration").ok().flatten().map(heard),
        },
    }
}

fn heard(seconds: f64) -> Usage {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped; `as` saturates")]
    let audio_millis = (seconds.max(0.0) * 1000.0).round() as u64;
    Usage { audio_millis, ..Usage::default() }
}

// === impl Told ===

impl Told {
    fn usage(&self, operation: Operation) -> Usage {
        let pictures = matches!(
            operation,
            Operation::ImageGenerations | Operation::ImageEdits | Operation::ImageVariations
        );
        let Self { input_tokens_details: read, output_tokens_details: made, .. } = self;
        Usage {
            input: self.input_tokens,
            output: self.output_tokens,
            cache_read: read.cached_tokens,
            image_input: read.image_tokens,
            audio_input: read.audio_tokens,
            // Older answers do not tell the parts of the output: it is the picture.
            image_output: match (pictures, made.image_tokens) {
                (true, 0) => self.output_tokens,
                (_, tokens) => tokens,
            },
            cache_in_input: true,
            ..heard(self.seconds)
        }
    }
}

// === impl Event ===

impl Event {
    fn usage(self) -> Option<Usage> {
        let pictures = self.kind.is_some_and(|kind| kind.starts_with("image"));
        let operation = if pictures { Operation::ImageGenerations } else { Operation::Transcriptions };
        self.usage.map(|told| told.usage(operation))
    }
}

// === impl Onward ===

impl Relay for Onward {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        if !event.name.is_empty() {
            out.put_slice(b"event: ");
            out.put_slice(event.name.as_bytes());
            out.put_u8(b'\n');
        }
        out.put_slice(b"data: ");
        out.put_slice(event.data);
        out.put_slice(b"\n\n");
        let told = serde_json::from_slice::<Event>(event.data).ok().and_then(Event::usage);
        // A picture is no text: what counts is that something came.
        Ok(Peek { usage: told, content: 1, last: false })
    }

    fn close(&mut self, _out: &mut BytesMut) -> Result<Peek> {
        Ok(Peek { last: true, ..Peek::default() })
    }
}
