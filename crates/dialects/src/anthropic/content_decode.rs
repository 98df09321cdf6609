//! Content blocks of requests and answers into parts.

use std::borrow::Cow;
use std::fmt;

use gatewright_core::body::in_words;
use gatewright_core::chat::{CacheMark, Extra, Media, MediaKind, MediaSource, Part, ToolCall, ToolResult};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Error, Result, Value};

use super::words::CacheControl;
use crate::scan::Scanner;

/// Every block that is known, flattened: which fields are there depends on `type`. An enum with a tag would copy the
/// block into a tree first.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    text: Option<String>,
    citations: Option<Value>,
    cache_control: Option<CacheControl>,
    id: Option<String>,
    name: Option<String>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    caller: Option<Caller>,
    tool_use_id: Option<String>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    is_error: Option<bool>,
    thinking: Option<String>,
    signature: Option<String>,
    data: Option<String>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    title: Option<String>,
    context: Option<Value>,
    transformations: Option<Value>,
}

#[derive(Deserialize)]
struct Caller {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    media_type: Option<String>,
    data: Option<String>,
    url: Option<String>,
    file_id: Option<String>,
    content: Option<Value>,
}

/// A string, or a list of blocks; read in one pass, because most of a request is here.
pub(super) struct Parts(pub(super) Vec<Part>);

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(PartsVisitor)
    }
}

struct PartsVisitor;

impl<'de> Visitor<'de> for PartsVisitor {
    type Value = Parts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of content blocks")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Parts, E> {
        Ok(Parts(vec![Part::text(text)]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut blocks: A) -> std::result::Result<Parts, A::Error> {
        let mut parts = Vec::new();
        while let Some(raw) = blocks.next_element::<&RawValue>()? {
            parts.push(part(raw.get().as_bytes()).map_err(|err| A::Error::custom(in_words(&err)))?);
        }
        Ok(Parts(parts))
    }
}

/// One block. What is not known stands as it is.
pub(super) fn part(raw: &[u8]) -> Result<Part> {
    if let Some(text) = Scanner::new(raw).plain_text() {
        return Ok(Part::text(text));
    }
    let block = match serde_json::from_slice::<Block<'_>>(raw) {
        Ok(block) => block,
        // A block that is not known may use the same names for other things.
        Err(err) => {
            let other: Value = serde_json::from_slice(raw)?;
            return if is_known(&other) { Err(err) } else { Ok(Part::Other(other)) };
        }
    };
    let cache = block.cache_control.map(CacheMark::from);
    Ok(match &*block.kind {
        "text" => Part::Text { text: need(block.text, "text")?, citations: list(block.citations), cache },
        "thinking" => Part::Reasoning {
            text: need(block.thinking, "thinking")?,
            signature: block.signature.filter(|signature| !signature.is_empty()),
        },
        "redacted_thinking" => Part::RedactedReasoning { data: need(block.data, "data")? },
        // A call that a server tool made is answered by the server tool's own rules.
        "tool_use" if block.caller.as_ref().is_none_or(|caller| caller.kind == "direct") => {
            Part::ToolCall(ToolCall {
                id: need(block.id, "id")?,
                name: need(block.name, "name")?,
                arguments: block.input.map_or("{}", RawValue::get).to_owned(),
                cache,
            })
        }
        "tool_result" => Part::ToolResult(ToolResult {
            id: need(block.tool_use_id, "tool_use_id")?,
            parts: match block.content {
                Some(content) => serde_json::from_str::<Parts>(content.get())?.0,
                None => Vec::new(),
            },
            is_error: block.is_error.unwrap_or_default(),
            cache,
        }),
        "image" | "document" => match media(block)? {
            Some(media) => Part::Media(media),
            None => Part::Other(serde_json::from_slice(raw)?),
        },
        _ => Part::Other(serde_json::from_slice(raw)?),
    })
}

fn is_known(block: &Value) -> bool {
    const KNOWN: [&str; 7] =
        ["text", "thinking", "redacted_thinking", "tool_use", "tool_result", "image", "document"];
    block.get("type").and_then(Value::as_str).is_none_or(|kind| KNOWN.contains(&kind))
}

/// `None` for a document whose source the canonical conversation does not know.
fn media(block: Block<'_>) -> Result<Option<Media>> {
    let source: Source<'_> = serde_json::from_str(need(block.source, "source")?.get())?;
    let mut extra = Extra::new();
    for (key, value) in [
        ("context", block.context),
        ("citations", block.citations),
        ("transformations", block.transformations),
    ] {
        if let Some(value) = value {
            extra.insert(key.to_owned(), value);
        }
    }
    let source = match &*source.kind {
        "base64" => MediaSource::Base64 {
            media_type: need(source.media_type, "media_type")?,
            data: need(source.data, "data")?,
        },
        "url" => MediaSource::Url(need(source.url, "url")?),
        "file" => MediaSource::File(need(source.file_id, "file_id")?),
        "text" => MediaSource::Text(need(source.data, "data")?),
        "content" => match need(source.content, "content")? {
            Value::String(text) => MediaSource::Text(text),
            blocks => match joined_text(&blocks) {
                Some(text) => {
                    extra.insert("content".to_owned(), blocks);
                    MediaSource::Text(text)
                }
                None => return Ok(None),
            },
        },
        _ => return Ok(None),
    };
    let kind = if block.kind == "image" { MediaKind::Image } else { MediaKind::Document };
    let cache = block.cache_control.map(CacheMark::from);
    Ok(Some(Media { kind, source, name: block.title, cache, extra }))
}

/// The text of a document that is given in text blocks; `None` where other blocks are among them.
fn joined_text(blocks: &Value) -> Option<String> {
    let texts: Option<Vec<&str>> =
        blocks.as_array()?.iter().map(|block| block.get("text").and_then(Value::as_str)).collect();
    Some(texts?.join("\n\n"))
}

fn need<T>(field: Option<T>, name: &str) -> Result<T> {
    field.ok_or_else(|| Error::custom(format_args!("a content block has no '{name}'")))
}

fn list(citations: Option<Value>) -> Vec<Value> {
    match citations {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}
