//! Parts into content blocks of requests and answers.

use std::borrow::Cow;

use gatewright_core::Losses;
use gatewright_core::chat::{CacheMark, Media, MediaKind, MediaSource, Part, ToolCall, ToolResult};
use serde::Serialize;
use serde_json::Value;

use super::source::Source;
use super::words::{self, CacheControl};
use crate::arguments::Arguments;
use crate::signature;

/// One content block.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<&'a Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Image {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        transformations: Option<&'a Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<&'a Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        citations: Option<&'a Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Arguments<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Content::is_empty")]
        content: Content<'a>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    #[serde(untagged)]
    Own(&'a Value),
}

/// A string where one plain text is all there is, else blocks.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    Blocks(Vec<Block<'a>>),
}

// === impl Block ===

impl<'a> Block<'a> {
    /// Text without marks.
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text { text: text.into(), citations: Vec::new(), cache_control: None }
    }

    /// A part of a request's turn; `None` where the API would refuse or cannot carry it.
    pub(super) fn of_request(part: &'a Part, losses: &mut Losses) -> Option<Self> {
        match part {
            // The API refuses empty text.
            Part::Text { text, .. } if text.is_empty() => None,
            Part::Text { text, citations, cache } => Some(Self::Text {
                text: text.into(),
                citations: citations.iter().filter(|citation| may_come_back(citation)).collect(),
                cache_control: cache.map(CacheControl::from),
            }),
            Part::Media(media) => Self::of_media(media, losses),
            Part::ToolCall(call) => Some(Self::of_call(call)),
            Part::ToolResult(result) => Some(Self::of_result(result, losses)),
            Part::Reasoning { text, signature: Some(signature) }
                if signature::as_gemini(signature).is_none() =>
            {
                Some(Self::Thinking { thinking: text, signature })
            }
            // Reasoning of another provider: without Anthropic's signature it is refused.
            Part::Reasoning { .. } => {
                losses.add("messages.reasoning");
                None
            }
            Part::RedactedReasoning { data } => Some(Self::RedactedThinking { data }),
            Part::Refusal(text) => (!text.is_empty()).then(|| Self::text(text)),
            Part::Other(value) if words::is_own_block(value) => Some(Self::Own(value)),
            Part::Other(value) => {
                let kind = value.get("type").and_then(Value::as_str).unwrap_or("other");
                losses.add(format!("messages.{kind}"));
                None
            }
        }
    }

    /// A part of an answer; `None` for what holds nothing.
    pub(super) fn of_reply(part: &'a Part) -> Option<Self> {
        match part {
            Part::Text { text, .. } if text.is_empty() => None,
            Part::Text { text, citations, .. } => Some(Self::Text {
                text: text.into(),
                citations: citations.iter().collect(),
                cache_control: None,
            }),
            Part::ToolCall(call) => Some(Self::ToolUse {
                id: Cow::Borrowed(&call.id),
                name: &call.name,
                input: Arguments::new(&call.arguments),
                cache_control: None,
            }),
            Part::Reasoning { text, signature } => {
                Some(Self::Thinking { thinking: text, signature: signature.as_deref().unwrap_or_default() })
            }
            Part::RedactedReasoning { data } => Some(Self::RedactedThinking { data }),
            Part::Refusal(text) => (!text.is_empty()).then(|| Self::text(text)),
            Part::Other(value) if words::is_own_block(value) => Some(Self::Own(value)),
            Part::Media(_) | Part::ToolResult(_) | Part::Other(_) => None,
        }
    }

    /// Puts a cache mark on it, where it can carry one.
    pub(super) fn mark(&mut self, mark: CacheMark) {
        match self {
            Self::Text { cache_control, .. }
            | Self::Image { cache_control, .. }
            | Self::Document { cache_control, .. }
            | Self::ToolUse { cache_control, .. }
            | Self::ToolResult { cache_control, .. } => *cache_control = Some(mark.into()),
            Self::Thinking { .. } | Self::RedactedThinking { .. } | Self::Own(_) => {}
        }
    }

    fn of_call(call: &'a ToolCall) -> Self {
        Self::ToolUse {
            id: call_id(&call.id),
            name: &call.name,
            input: Arguments::new(&call.arguments),
            cache_control: call.cache.map(CacheControl::from),
        }
    }

    fn of_result(result: &'a ToolResult, losses: &mut Losses) -> Self {
        let blocks = result.parts.iter().filter_map(|part| Self::of_request(part, losses)).collect();
        Self::ToolResult {
            tool_use_id: call_id(&result.id),
            content: Content::new(blocks),
            is_error: result.is_error,
            cache_control: result.cache.map(CacheControl::from),
        }
    }

    fn of_media(media: &'a Media, losses: &mut Losses) -> Option<Self> {
        let cache_control = media.cache.map(CacheControl::from);
        let is_picture = matches!(&media.source, MediaSource::Base64 { media_type, .. } if media_type.starts_with("image/"));
        let detail = media.extra.get("detail").and_then(Value::as_str);
        losses.add_if(detail.is_some_and(|detail| detail != "auto"), "messages.image_url.detail");
        match media.kind {
            MediaKind::Image => Some(Self::image(media, cache_control)),
            MediaKind::Document if is_picture => Some(Self::image(media, cache_control)),
            MediaKind::Document => Some(Self::Document {
                source: Source::of_document(media),
                title: media.name.as_deref(),
                context: media.extra.get("context"),
                citations: media.extra.get("citations"),
                cache_control,
            }),
            MediaKind::Audio => {
                losses.add("input_audio");
                None
            }
            MediaKind::Video => {
                losses.add("video_url");
                None
            }
        }
    }

    fn image(media: &'a Media, cache_control: Option<CacheControl>) -> Self {
        Self::Image {
            source: Source::of(&media.source),
            transformations: media.extra.get("transformations"),
            cache_control,
        }
    }
}

// === impl Content ===

impl<'a> Content<'a> {
    /// The short form where one plain text is all there is.
    pub(super) fn new(mut blocks: Vec<Block<'a>>) -> Self {
        match blocks.as_mut_slice() {
            [Block::Text { text, citations, cache_control: None }] if citations.is_empty() => {
                Self::Text(std::mem::take(text))
            }
            _ => Self::Blocks(blocks),
        }
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Blocks(blocks) => blocks.is_empty(),
        }
    }
}

/// Ids of other providers may hold what the API refuses; calls and results are changed alike, so they still match.
fn call_id(id: &str) -> Cow<'_, str> {
    let is_fine = |b: char| b.is_ascii_alphanumeric() || b == '_' || b == '-';
    if id.chars().all(is_fine) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(id.chars().map(|c| if is_fine(c) { c } else { '_' }).collect())
}

/// A web citation without Anthropic's sealed index came from another provider and is refused.
fn may_come_back(citation: &Value) -> bool {
    match citation.get("type").and_then(Value::as_str) {
        Some("web_search_result_location") => {
            citation.get("encrypted_index").and_then(Value::as_str).is_some_and(|index| !index.is_empty())
        }
        Some("char_location" | "page_location" | "content_block_location" | "search_result_location") => true,
        _ => false,
    }
}
