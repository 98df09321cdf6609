//! Turns into messages and documents.

use gatewright_core::chat::{Chat, Media, MediaKind, MediaSource, Part, Role, ToolResult, Turn};
use gatewright_core::{Losses, ModelFacts, ReasoningControl};
use serde::Serialize;
use serde_json::Value;

use super::documents::{self, DocumentOut};
use super::message_encode::Message;
use super::plan::{self, TOOL_PLAN};
use crate::json::tells;
use crate::lost;

/// A conversation as the API wants it.
pub(super) struct Dialogue<'a, 'l> {
    /// `messages`.
    pub(super) messages: Vec<MessageOut<'a>>,
    /// `documents`.
    pub(super) documents: Vec<DocumentOut>,
    thinks: bool,
    losses: &'l mut Losses,
}

/// One message.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum MessageOut<'a> {
    Model(Message<'a>),
    Other {
        role: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        tool_call_id: Option<&'a str>,
        content: Content<'a>,
    },
}

/// A string where one text is all there is, else blocks.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(&'a str),
    Blocks(Vec<Block<'a>>),
}

/// One block of what is not the model's.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl<'a> },
}

/// Where a picture is.
#[derive(Serialize)]
pub(super) struct ImageUrl<'a> {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

// === impl Dialogue ===

impl<'a, 'l> Dialogue<'a, 'l> {
    /// Writes the turns.
    pub(super) fn new(chat: &'a Chat, model: &ModelFacts, losses: &'l mut Losses) -> Self {
        let thinks = model.reasoning != ReasoningControl::None;
        let mut dialogue = Self { messages: Vec::new(), documents: Vec::new(), thinks, losses };
        for turn in &chat.turns {
            dialogue.report(turn);
            match turn.role {
                Role::System | Role::Developer => dialogue.speak("system", &turn.parts),
                Role::User => dialogue.user(turn),
                Role::Assistant => dialogue.model(turn),
            }
        }
        dialogue
    }

    /// Results of tools are messages of their own and come first. Pictures in them go into the user's message, because a
    /// `tool` message can hold only text.
    fn user(&mut self, turn: &'a Turn) {
        let mut rest = Vec::new();
        let mut answers = false;
        for part in &turn.parts {
            match part {
                Part::ToolResult(result) => {
                    answers = true;
                    rest.extend(self.result(result));
                }
                part => rest.extend(self.block(part)),
            }
        }
        if !rest.is_empty() || !answers {
            self.push("user", None, rest);
        }
    }

    fn result(&mut self, result: &'a ToolResult) -> Vec<Block<'a>> {
        // The words of a failed tool travel; that it failed has no place in this dialect.
        self.losses.add_if(result.is_error, "messages.tool_result.is_error");
        self.losses.add_if(result.cache.is_some(), "messages.cache_control");
        let blocks: Vec<_> = result.parts.iter().filter_map(|part| self.block(part)).collect();
        let (texts, pictures): (Vec<_>, Vec<_>) =
            blocks.into_iter().partition(|block| matches!(block, Block::Text { .. }));
        self.losses.add_if(!pictures.is_empty(), "messages.tool_result.media");
        self.push("tool", Some(&result.id), texts);
        pictures
    }

    fn speak(&mut self, role: &'static str, parts: &'a [Part]) {
        let blocks = parts.iter().filter_map(|part| self.block(part)).collect();
        self.push(role, None, blocks);
    }

    fn model(&mut self, turn: &'a Turn) {
        for part in &turn.parts {
            match part {
                Part::Text { cache, .. } => self.losses.add_if(cache.is_some(), "messages.cache_control"),
                Part::ToolCall(call) => self.losses.add_if(call.cache.is_some(), "messages.cache_control"),
                // A signature is another provider's; what it signs is text to this one.
                Part::Reasoning { signature, .. } => {
                    self.losses.add_if(!self.thinks, "messages.thinking");
                    self.losses.add_if(self.thinks && signature.is_some(), "messages.thinking.signature");
                }
                Part::RedactedReasoning { .. } => self.losses.add("messages.redacted_thinking"),
                Part::Refusal(_) | Part::ToolResult(_) => {}
                Part::Other(block) if plan::of(block).is_some() => {}
                part @ (Part::Media(_) | Part::Other(_)) => drop(self.block(part)),
            }
        }
        let mut message = Message::new(&turn.parts, self.thinks);
        message.tool_plan = message.tool_plan.or_else(|| turn.extra.get(TOOL_PLAN)?.as_str());
        match message.is_empty() {
            true => self.push("assistant", None, Vec::new()),
            false => self.messages.push(MessageOut::Model(message)),
        }
    }

    fn push(&mut self, role: &'static str, tool_call_id: Option<&'a str>, blocks: Vec<Block<'a>>) {
        self.messages.push(MessageOut::Other { role, tool_call_id, content: Content::new(blocks) });
    }

    /// A part that is not the model's; `None`, and told, where the dialect has no form for it.
    fn block(&mut self, part: &'a Part) -> Option<Block<'a>> {
        match part {
            Part::Text { text, cache, .. } => {
                self.losses.add_if(cache.is_some(), "messages.cache_control");
                (!text.is_empty()).then_some(Block::Text { text })
            }
            Part::Refusal(text) => Some(Block::Text { text }),
            Part::Media(media) => self.media(media),
            Part::Other(value) => {
                let kind = value.get("type").and_then(Value::as_str).unwrap_or("other");
                self.losses.add(format!("messages.{kind}"));
                None
            }
            Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Reasoning { .. }
            | Part::RedactedReasoning { .. } => None,
        }
    }

    fn media(&mut self, media: &'a Media) -> Option<Block<'a>> {
        self.losses.add_if(media.cache.is_some(), "messages.cache_control");
        let url = match (media.kind, &media.source) {
            (MediaKind::Document, MediaSource::Text(text)) => {
                self.losses.add_if(media.extra.contains_key("context"), "messages.document.context");
                self.documents.push(documents::written(media, text, self.documents.len()));
                return None;
            }
            (MediaKind::Image, MediaSource::Url(url)) => url.clone(),
            (MediaKind::Image, MediaSource::Base64 { media_type, data }) => {
                format!("data:{media_type};base64,{data}")
            }
            (kind, source) => {
                self.losses.add(lost::medium(kind, source));
                return None;
            }
        };
        let detail = media.extra.get("detail").and_then(Value::as_str);
        Some(Block::ImageUrl { image_url: ImageUrl { url, detail } })
    }

    fn report(&mut self, turn: &Turn) {
        self.losses.add_if(turn.name.is_some(), "messages.name");
        let told = turn.extra.iter().filter(|(key, value)| *key != TOOL_PLAN && tells(value));
        told.for_each(|(key, _)| self.losses.add(format!("messages.{key}")));
    }
}

// === impl Content ===

impl<'a> Content<'a> {
    fn new(blocks: Vec<Block<'a>>) -> Self {
        match blocks.as_slice() {
            [] => Self::Text(""),
            [Block::Text { text }] => Self::Text(text),
            _ => Self::Blocks(blocks),
        }
    }
}
