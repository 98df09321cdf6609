//! Messages of a client's request into turns.

use gatewright_core::chat::{Extra, Media, MediaKind, MediaSource, Part, Role, ToolResult, Turn};
use gatewright_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::documents;
use super::reply_decode::Message;

/// One message of a request.
#[derive(Deserialize)]
pub(super) struct MessageIn {
    role: String,
    tool_call_id: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    image_url: Option<ImageUrl>,
    document: Option<Value>,
}

#[derive(Deserialize)]
struct ImageUrl {
    url: String,
    detail: Option<String>,
}

// === impl MessageIn ===

impl MessageIn {
    /// The turn that it is.
    pub(super) fn turn(self) -> Result<Turn> {
        let role = match self.role.as_str() {
            "system" => Role::System,
            "user" | "tool" => Role::User,
            "assistant" => {
                let message: Message = read(Value::Object(self.rest))?;
                return Ok(Turn::new(Role::Assistant, message.parts()));
            }
            other => return Err(invalid(format!("unknown role '{other}'"))),
        };
        let content = self.rest.get("content").cloned().unwrap_or_default();
        let parts = match content {
            Value::Null => Vec::new(),
            content => read::<Content>(content)?.parts()?,
        };
        if self.role != "tool" {
            return Ok(Turn::new(role, parts));
        }
        let id = self.tool_call_id.ok_or_else(|| invalid("a tool's message has no 'tool_call_id'"))?;
        Ok(Turn::new(role, vec![Part::ToolResult(ToolResult { id, parts, is_error: false, cache: None })]))
    }
}

impl Content {
    fn parts(self) -> Result<Vec<Part>> {
        match self {
            Self::Text(text) if text.is_empty() => Ok(Vec::new()),
            Self::Text(text) => Ok(vec![Part::text(text)]),
            Self::Blocks(blocks) => blocks.into_iter().map(Block::part).collect(),
        }
    }
}

impl Block {
    fn part(self) -> Result<Part> {
        match (self.kind.as_str(), self.text, self.image_url, self.document) {
            ("text", Some(text), ..) => Ok(Part::text(text)),
            ("image_url", _, Some(image), _) => Ok(Part::Media(image.media())),
            // A result's documents are told as text: as media they would be nobody's answer.
            ("document", _, _, Some(document)) => {
                Ok(Part::text(documents::text(document.get("data").unwrap_or(&document))))
            }
            (kind, ..) => {
                Err(invalid(format!("a content block of type '{kind}' is not complete or not known")))
            }
        }
    }
}

impl ImageUrl {
    fn media(self) -> Media {
        let bytes = self.url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        let source = match bytes {
            Some((media_type, data)) => {
                MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
            }
            None => MediaSource::Url(self.url),
        };
        let extra: Extra =
            self.detail.into_iter().map(|detail| ("detail".to_owned(), detail.into())).collect();
        Media { kind: MediaKind::Image, source, name: None, cache: None, extra }
    }
}

fn read<T: for<'de> Deserialize<'de>>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|err| invalid(gatewright_core::body::in_words(&err)))
}

fn invalid(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("invalid value for 'messages': {what}"))
        .with_param("messages")
}
