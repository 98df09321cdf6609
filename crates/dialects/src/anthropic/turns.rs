//! Turns into `system` and `messages`.

use gatewright_core::Losses;
use gatewright_core::chat::{CacheMark, Chat, Part, Role, Turn};
use serde::Serialize;

use super::content_encode::{Block, Content};
use super::words::CacheControl;
use crate::lost;

/// A conversation as the API wants it: instructions apart, and the two speakers taking turns.
#[derive(Default)]
pub(super) struct Dialogue<'a> {
    /// What all system turns say.
    pub(super) system: Vec<Block<'a>>,
    messages: Vec<Blocks<'a>>,
}

/// One message.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: Content<'a>,
}

struct Blocks<'a> {
    role: &'static str,
    blocks: Vec<Block<'a>>,
}

const USER: &str = "user";
const ASSISTANT: &str = "assistant";

// === impl Dialogue ===

impl<'a> Dialogue<'a> {
    /// Sorts the turns.
    pub(super) fn new(chat: &'a Chat, losses: &mut Losses) -> Self {
        let mut dialogue = Self::default();
        for turn in &chat.turns {
            report(turn, losses);
            match turn.role {
                Role::System | Role::Developer => dialogue.instruct(turn, losses),
                Role::User => dialogue.say(USER, turn, losses),
                Role::Assistant => dialogue.say(ASSISTANT, turn, losses),
            }
        }
        dialogue
    }

    /// `messages`. In a user's message the results of tools come first; the API refuses them elsewhere. A prefilled
    /// answer may not end in white space.
    pub(super) fn into_messages(self) -> Vec<Message<'a>> {
        let mut messages = self.messages;
        for message in &mut messages {
            // The sort is stable: all else keeps its order.
            message.blocks.sort_by_key(|block| !matches!(block, Block::ToolResult { .. }));
        }
        if let Some(Blocks { role: ASSISTANT, blocks }) = messages.last_mut()
            && let Some(Block::Text { text, .. }) = blocks.last_mut()
            && text.ends_with(char::is_whitespace)
        {
            *text = text.trim_end().to_owned().into();
        }
        let finished = messages.into_iter().map(|message| Message {
            role: message.role,
            content: match message.blocks.is_empty() {
                true => Content::Text("".into()),
                false => Content::new(message.blocks),
            },
        });
        finished.collect()
    }

    fn instruct(&mut self, turn: &'a Turn, losses: &mut Losses) {
        for part in &turn.parts {
            match part {
                Part::Text { .. } => self.system.extend(Block::of_request(part, losses)),
                _ => losses.add("messages.system"),
            }
        }
        if let Some(mark) = mark_of(turn)
            && let Some(block) = self.system.last_mut()
        {
            block.mark(mark);
        }
    }

    fn say(&mut self, role: &'static str, turn: &'a Turn, losses: &mut Losses) {
        let mut blocks: Vec<_> =
            turn.parts.iter().filter_map(|part| Block::of_request(part, losses)).collect();
        if let Some(mark) = mark_of(turn)
            && let Some(block) = blocks.last_mut()
        {
            block.mark(mark);
        }
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.blocks.append(&mut blocks),
            // An assistant that said nothing is left out; an empty question goes on, so that the provider's own
            // refusal reaches the client.
            _ if blocks.is_empty() && role == ASSISTANT => {}
            _ => self.messages.push(Blocks { role, blocks }),
        }
    }
}

/// LiteLLM's clients may mark a whole message.
pub(crate) fn mark_of(turn: &Turn) -> Option<CacheMark> {
    let control = turn.extra.get("cache_control")?;
    serde_json::from_value::<CacheControl>(control.clone()).ok().map(CacheMark::from)
}

pub(crate) fn report(turn: &Turn, losses: &mut Losses) {
    losses.add_if(turn.name.is_some(), "messages.name");
    lost::fields(turn, losses);
}
