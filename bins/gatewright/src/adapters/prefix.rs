//! How a conversation begins, as far as a provider keeps it in its cache from one turn to the next.

use gatewright_core::chat::{Chat, Media, MediaSource, Part, Role, Tool, Turn};
use sha2::{Digest, Sha256};

/// Providers keep nothing shorter.
const LEAST_TOKENS: u64 = 1024;

/// A piece of a conversation, in the order that caches go by.
enum Piece<'a> {
    Tool(&'a Tool),
    Part(Role, &'a Part),
}

/// What stands before the model's first answer, as a number: the same for every turn of a conversation. Where marks say
/// what shall be kept, and all stand there, it is what stands before the last of them. `None` where too little is kept.
pub(super) fn digest(chat: &Chat) -> Option<u64> {
    let opening =
        chat.turns.iter().position(|turn| turn.role == Role::User).map_or(chat.turns.len(), |at| at + 1);
    let (opening, later) = chat.turns.split_at_checked(opening)?;
    let tools = chat.tools.iter().map(Piece::Tool);
    let mut pieces: Vec<Piece<'_>> = tools.chain(opening.iter().flat_map(pieces_of)).collect();
    let last = pieces.iter().rposition(Piece::is_marked);
    let ends_there = last.filter(|_| !later.iter().flat_map(pieces_of).any(|piece| piece.is_marked()));
    if let Some(last) = ends_there {
        pieces.truncate(last + 1);
    }
    let mut sum = Sha256::new();
    let tokens: u64 = pieces.iter().map(|piece| piece.add_to(&mut sum)).sum();
    let kept = if ends_there.is_some() { tokens } else { gatewright_tokens::estimate(chat) };
    let sum = sum.finalize();
    let first = sum.first_chunk().copied().map(u64::from_be_bytes);
    first.filter(|_| kept >= LEAST_TOKENS)
}

fn pieces_of(turn: &Turn) -> impl Iterator<Item = Piece<'_>> {
    turn.parts.iter().map(|part| Piece::Part(turn.role, part))
}

// === impl Piece ===

impl Piece<'_> {
    fn is_marked(&self) -> bool {
        match self {
            Self::Tool(Tool::Function { cache, .. }) => cache.is_some(),
            Self::Part(_, Part::Text { cache, .. }) => cache.is_some(),
            Self::Part(_, Part::Media(media)) => media.cache.is_some(),
            Self::Part(_, Part::ToolCall(call)) => call.cache.is_some(),
            Self::Part(_, Part::ToolResult(result)) => result.cache.is_some(),
            Self::Tool(Tool::Hosted(_)) | Self::Part(..) => false,
        }
    }

    /// Adds it without its mark, which may move on with the next turn; answers its tokens, about.
    fn add_to(&self, sum: &mut Sha256) -> u64 {
        match self {
            Self::Tool(Tool::Function { name, description, parameters, .. }) => {
                let parameters = parameters.as_ref().map(ToString::to_string).unwrap_or_default();
                add(sum, &["tool", name, description.as_deref().unwrap_or_default(), &parameters])
            }
            Self::Tool(Tool::Hosted(tool)) => add(sum, &["hosted", &tool.to_string()]),
            Self::Part(role, Part::Text { text, .. }) => add(sum, &[&format!("{role:?}"), text]),
            Self::Part(role, Part::Media(media)) => {
                add(sum, &[&format!("{role:?}{:?}", media.kind), address(media)])
            }
            Self::Part(role, part) => add(sum, &[&format!("{role:?}"), &format!("{part:?}")]),
        }
    }
}

fn address(media: &Media) -> &str {
    match &media.source {
        MediaSource::Url(text) | MediaSource::Text(text) | MediaSource::File(text) => text,
        MediaSource::Base64 { data, .. } => data,
    }
}

/// With their lengths, so that no two lists of texts are the same sequence.
fn add(sum: &mut Sha256, texts: &[&str]) -> u64 {
    for text in texts {
        sum.update((text.len() as u64).to_be_bytes());
        sum.update(text);
    }
    texts.iter().map(|text| gatewright_tokens::estimate_text(text)).sum()
}

#[cfg(test)]
mod tests {
    use gatewright_core::chat::CacheMark;

    use super::*;

    fn turn(role: Role, words: usize, marked: bool) -> Turn {
        let (text, cache) = ("word ".repeat(words), marked.then_some(CacheMark::FiveMinutes));
        Turn::new(role, vec![Part::Text { text, citations: Vec::new(), cache }])
    }

    fn of(turns: &[Turn]) -> Option<u64> {
        digest(&Chat { turns: turns.to_vec(), ..Chat::default() })
    }

    #[test]
    fn a_conversation_keeps_its_digest_from_turn_to_turn() {
        let (system, asked) = (turn(Role::System, 2_000, false), turn(Role::User, 3, false));
        let (answer, more) = (turn(Role::Assistant, 5, false), turn(Role::User, 7, false));
        let first = of(&[system.clone(), asked.clone()]);
        assert!(first.is_some());
        assert_eq!(of(&[system.clone(), asked.clone(), answer.clone(), more.clone()]), first);
        assert_ne!(of(&[system.clone(), more.clone()]), first, "another conversation");
        // A mark that moves on with every turn.
        let (at_first, later) = (turn(Role::User, 3, true), turn(Role::User, 7, true));
        assert_eq!(of(&[system.clone(), at_first]), first);
        assert_eq!(of(&[system, asked, answer, later]), first);
    }

    #[test]
    fn a_mark_ends_what_is_kept() {
        let system = turn(Role::System, 2_000, true);
        let first = of(&[system.clone(), turn(Role::User, 3, false)]);
        assert!(first.is_some());
        assert_eq!(of(&[system, turn(Role::User, 9, false)]), first);
        let short = turn(Role::System, 20, true);
        assert_eq!(of(&[short, turn(Role::User, 2_000, false)]), None);
    }

    #[test]
    fn what_is_short_is_not_kept() {
        let short = [turn(Role::System, 20, false), turn(Role::User, 3, false)];
        assert_eq!(of(&short), None);
        // It may have grown since.
        let long = turn(Role::Assistant, 2_000, false);
        let [system, asked] = short;
        assert!(of(&[system, asked, long]).is_some());
    }
}
