//! Answers with pictures, whole or as the last event of a stream.

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_core::{Image, Images, ReplyStyle, Result, Usage};
use serde::{Deserialize, Serialize};

use crate::json::{json, put_json};
use crate::openai::relay::unreadable;

#[derive(Deserialize)]
struct Reply {
    data: Vec<Picture>,
    #[serde(default)]
    output_format: Option<String>,
}

#[derive(Deserialize)]
struct Picture {
    #[serde(default)]
    b64_json: String,
    #[serde(default)]
    revised_prompt: Option<String>,
}

#[derive(Serialize)]
struct ReplyOut<'a> {
    created: u64,
    data: Vec<PictureOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_format: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageOut>,
}

#[derive(Serialize)]
struct PictureOut<'a> {
    b64_json: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revised_prompt: Option<&'a str>,
}

/// The event that a picture is whole.
#[derive(Serialize)]
struct Completed<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    b64_json: &'a str,
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_format: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageOut>,
}

/// Tokens, where the model is billed by them.
#[derive(Serialize)]
struct UsageOut {
    input_tokens: u64,
    input_tokens_details: Parts,
    output_tokens: u64,
    output_tokens_details: Parts,
    total_tokens: u64,
}

#[derive(Serialize)]
struct Parts {
    text_tokens: u64,
    image_tokens: u64,
}

/// Reads what was written for a client.
pub(super) fn read(body: &[u8]) -> Result<Images> {
    let reply: Reply = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let media_type = reply.output_format.map(|format| format!("image/{format}")).unwrap_or_default();
    let image = |picture: Picture| Image {
        media_type: media_type.clone(),
        data: picture.b64_json,
        revised_prompt: picture.revised_prompt,
    };
    Ok(Images { images: reply.data.into_iter().map(image).collect(), usage: None })
}

/// Writes an answer.
pub(super) fn write(answer: &Images, style: &ReplyStyle) -> Bytes {
    let data = answer
        .images
        .iter()
        .map(|image| PictureOut { b64_json: &image.data, revised_prompt: image.revised_prompt.as_deref() });
    json(&ReplyOut {
        created: style.created,
        data: data.collect(),
        output_format: answer.images.first().and_then(format),
        usage: answer.usage.and_then(UsageOut::new),
    })
}

/// Writes an answer as events, one a picture; the last tells the usage.
pub(super) fn events(answer: &Images, edited: bool, style: &ReplyStyle) -> Bytes {
    let kind = if edited { "image_edit.completed" } else { "image_generation.completed" };
    let last = answer.images.len().saturating_sub(1);
    let mut out = BytesMut::new();
    for (place, image) in answer.images.iter().enumerate() {
        let usage = answer.usage.filter(|_| place == last).and_then(UsageOut::new);
        out.put_slice(format!("event: {kind}\ndata: ").as_bytes());
        let created_at = style.created;
        let output_format = format(image);
        put_json(&mut out, &Completed { kind, b64_json: &image.data, created_at, output_format, usage });
        out.put_slice(b"\n\n");
    }
    out.freeze()
}

fn format(image: &Image) -> Option<&str> {
    image.media_type.strip_prefix("image/")
}

// === impl UsageOut ===

impl UsageOut {
    /// Nothing where there are no tokens.
    fn new(usage: Usage) -> Option<Self> {
        let parts = |all: u64, image_tokens: u64| Parts {
            text_tokens: all.saturating_sub(image_tokens),
            image_tokens,
        };
        (usage.total() > 0).then(|| Self {
            input_tokens: usage.total_input(),
            input_tokens_details: parts(usage.total_input(), usage.image_input),
            output_tokens: usage.output,
            output_tokens_details: parts(usage.output, usage.image_output),
            total_tokens: usage.total(),
        })
    }
}
