//! Turns into `system` and `messages`.

use gatewright_core::chat::{Chat, Part, Role, Turn};
use serde::Serialize;

use super::content_encode::{Block, Writer};
use crate::anthropic::turns::{mark_of, report};

/// A conversation as the API wants it: instructions apart, and the two speakers taking turns.
#[derive(Default)]
pub(super) struct Dialogue<'a> {
    /// What all system turns say.
    pub(super) system: Vec<Block<'a>>,
    pub(super) messages: Vec<Message<'a>>,
}

/// One message.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

const USER: &str = "user";
const ASSISTANT: &str = "assistant";

// === impl Dialogue ===

impl<'a> Dialogue<'a> {
    /// Sorts the turns.
    pub(super) fn new(chat: &'a Chat, writer: &mut Writer<'_>) -> Self {
        let mut dialogue = Self::default();
        for turn in &chat.turns {
            report(turn, writer.losses);
            match turn.role {
                Role::System | Role::Developer => dialogue.instruct(turn, writer),
                Role::User => dialogue.say(USER, turn, writer),
                Role::Assistant => dialogue.say(ASSISTANT, turn, writer),
            }
        }
        for message in &mut dialogue.messages {
            // In a user's message the results of tools come first; a cache point stays behind what it marks.
            results_first(&mut message.content);
        }
        dialogue
    }

    fn instruct(&mut self, turn: &'a Turn, writer: &mut Writer<'_>) {
        let mut blocks = Vec::new();
        for part in &turn.parts {
            match part {
                Part::Text { .. } | Part::Other(_) => {
                    blocks.extend(writer.blocks(std::slice::from_ref(part)))
                }
                _ => writer.losses.add("messages.system"),
            }
        }
        writer.mark(&mut blocks, mark_of(turn));
        self.system.append(&mut blocks);
    }

    fn say(&mut self, role: &'static str, turn: &'a Turn, writer: &mut Writer<'_>) {
        let mut blocks = writer.blocks(&turn.parts);
        writer.mark(&mut blocks, mark_of(turn));
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.content.append(&mut blocks),
            // An assistant that said nothing is left out; an empty question goes on, so that the provider's own
            // refusal reaches the client.
            _ if blocks.is_empty() && role == ASSISTANT => {}
            _ => self.messages.push(Message { role, content: blocks }),
        }
    }
}

fn results_first(blocks: &mut Vec<Block<'_>>) {
    let mut after_result = false;
    let mut place = |block: &Block<'_>| {
        after_result = match block {
            Block::ToolResult { .. } => true,
            Block::CachePoint(_) => after_result,
            _ => false,
        };
        !after_result
    };
    let mut placed: Vec<(bool, Block<'_>)> = blocks.drain(..).map(|block| (place(&block), block)).collect();
    // The sort is stable: all else keeps its order.
    placed.sort_by_key(|(place, _)| *place);
    blocks.extend(placed.into_iter().map(|(_, block)| block));
}
