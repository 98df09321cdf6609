//! Content blocks of requests and answers into parts.

use gatewright_core::chat::{CacheMark, MediaKind, Part, ToolCall, ToolResult};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Result, Value};

use super::citations;
use super::media::MediaIn;
use super::words::CachePoint;

/// A block: the one field that is there says what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    text: Option<String>,
    citations_content: Option<Cited>,
    image: Option<MediaIn>,
    document: Option<MediaIn>,
    video: Option<MediaIn>,
    audio: Option<MediaIn>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(borrow)]
    tool_result: Option<ToolResultIn<'a>>,
    reasoning_content: Option<Reasoning>,
    cache_point: Option<CachePoint>,
    guard_content: Option<Guarded>,
    #[serde(borrow)]
    json: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cited {
    content: Vec<Piece>,
    citations: Vec<Value>,
}

/// What a guardrail shall look at.
#[derive(Deserialize)]
struct Guarded {
    text: Option<Piece>,
}

#[derive(Deserialize)]
struct Piece {
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    tool_use_id: String,
    name: String,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolResultIn<'a> {
    tool_use_id: String,
    #[serde(borrow, default)]
    content: Vec<&'a RawValue>,
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning {
    reasoning_text: Option<ReasoningText>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningText {
    #[serde(default)]
    text: String,
    signature: Option<String>,
}

/// Reads a list of blocks. A cache point marks what stands before it.
pub(super) fn parts<'a>(blocks: impl IntoIterator<Item = &'a RawValue>) -> Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    for raw in blocks {
        match read(raw)? {
            Read::Part(part) => parts.push(part),
            Read::Mark(point) => mark(parts.last_mut(), point.into()),
        }
    }
    Ok(parts)
}

enum Read {
    Part(Part),
    Mark(CachePoint),
}

fn read(raw: &RawValue) -> Result<Read> {
    let block: Block<'_> = serde_json::from_str(raw.get())?;
    if let Some(point) = block.cache_point {
        return Ok(Read::Mark(point));
    }
    let media = [
        (MediaKind::Image, block.image),
        (MediaKind::Document, block.document),
        (MediaKind::Video, block.video),
        (MediaKind::Audio, block.audio),
    ];
    let media = || media.into_iter().find_map(|(kind, media)| Some(Part::Media(media?.media(kind)?)));
    let part = if let Some(text) = block.text {
        Some(Part::text(text))
    } else if let Some(call) = block.tool_use {
        Some(Part::ToolCall(ToolCall {
            id: call.tool_use_id,
            name: call.name,
            arguments: call.input.map_or("{}", RawValue::get).to_owned(),
            cache: None,
        }))
    } else if let Some(result) = block.tool_result {
        Some(Part::ToolResult(ToolResult {
            id: result.tool_use_id,
            parts: parts(result.content)?,
            is_error: result.status.as_deref() == Some("error"),
            cache: None,
        }))
    } else if let Some(json) = block.json {
        // A tool's result as data: every other dialect has it as text.
        Some(Part::text(json.get()))
    } else if let Some(reasoning) = block.reasoning_content {
        reasoning.part()
    } else if let Some(cited) = block.citations_content {
        let citations = cited.citations.iter().filter_map(citations::citation).collect();
        let text = cited.content.into_iter().filter_map(|piece| piece.text).collect();
        Some(Part::Text { text, citations, cache: None })
    } else if let Some(text) = block.guard_content.and_then(|guarded| guarded.text?.text) {
        // The text belongs to the conversation, also where nobody guards it.
        Some(Part::text(text))
    } else {
        media()
    };
    Ok(Read::Part(match part {
        Some(part) => part,
        None => Part::Other(serde_json::from_str(raw.get())?),
    }))
}

impl Reasoning {
    fn part(self) -> Option<Part> {
        match (self.reasoning_text, self.redacted_content) {
            (Some(ReasoningText { text, signature }), _) => {
                let signature = signature.filter(|signature| !signature.is_empty());
                Some(Part::Reasoning { text, signature })
            }
            (None, Some(data)) => Some(Part::RedactedReasoning { data }),
            (None, None) => None,
        }
    }
}

fn mark(part: Option<&mut Part>, mark: CacheMark) {
    let place = match part {
        Some(Part::Text { cache, .. }) => cache,
        Some(Part::Media(media)) => &mut media.cache,
        Some(Part::ToolCall(call)) => &mut call.cache,
        Some(Part::ToolResult(result)) => &mut result.cache,
        _ => return,
    };
    *place = Some(mark);
}
