//! Exact counts, for the models whose vocabulary is public: OpenAI's.

use gatewright_core::chat::{Chat, Part, Role, Tool, Turn};
use tiktoken_rs::CoreBPE;

/// More text than this is not counted but estimated: a gateway has better uses for tens of milliseconds of a core.
const MOST_BYTES: usize = 200 << 10;

/// What frames a turn, and what primes the answer (OpenAI's cookbook, "How to count tokens with tiktoken").
const TURN: u64 = 3;
const NAME: u64 = 1;
const ANSWER: u64 = 3;

/// The vocabularies of OpenAI's models, by how their names begin; the first that fits.
const VOCABULARIES: [(&str, Vocabulary); 10] = [
    ("gpt-4o", Vocabulary::O200k),
    ("gpt-4.", Vocabulary::O200k),
    ("chatgpt-", Vocabulary::O200k),
    ("gpt-5", Vocabulary::O200k),
    ("gpt-6", Vocabulary::O200k),
    ("o1", Vocabulary::O200k),
    ("o3", Vocabulary::O200k),
    ("o4", Vocabulary::O200k),
    ("gpt-4", Vocabulary::Cl100k),
    ("gpt-3.5", Vocabulary::Cl100k),
];

#[derive(Clone, Copy)]
enum Vocabulary {
    O200k,
    Cl100k,
}

/// How many tokens the input of a conversation has for one of OpenAI's models; `None` where that is not known exactly:
/// for other models, for media, for tools, whose form OpenAI does not tell, and for very long texts.
///
/// The first count of a vocabulary takes tens of milliseconds, and any takes milliseconds for long texts: not for an
/// async thread.
pub fn exact(model: &str, chat: &Chat) -> Option<u64> {
    let (_, vocabulary) = VOCABULARIES.iter().find(|(prefix, _)| model.starts_with(prefix))?;
    let words = match vocabulary {
        Vocabulary::O200k => tiktoken_rs::o200k_base_singleton(),
        Vocabulary::Cl100k => tiktoken_rs::cl100k_base_singleton(),
    };
    if chat.tools.iter().any(|tool| matches!(tool, Tool::Function { .. } | Tool::Hosted(_))) {
        return None;
    }
    let mut left = MOST_BYTES;
    let turns = chat.turns.iter().map(|turn| count(turn, words, &mut left));
    Some(turns.sum::<Option<u64>>()? + ANSWER)
}

fn count(turn: &Turn, words: &CoreBPE, left: &mut usize) -> Option<u64> {
    let mut tokens = TURN;
    let mut add = |text: &str| {
        *left = left.checked_sub(text.len())?;
        tokens += words.encode_ordinary(text).len() as u64;
        Some(())
    };
    add(role(turn.role))?;
    for part in &turn.parts {
        match part {
            Part::Text { text, .. } => add(text)?,
            _ => return None,
        }
    }
    if let Some(name) = &turn.name {
        add(name)?;
        tokens += NAME;
    }
    Some(tokens)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_of_openais_models_are_counted_as_openai_counts_them() {
        let say = |role, text: &str| Turn::new(role, vec![Part::text(text)]);
        // LiteLLM's answer for one turn "hi"; and the cookbook's example, whose figures OpenAI's API confirmed.
        let hi = Chat { turns: vec![say(Role::User, "hi")], ..Chat::default() };
        for (model, expected) in
            [("gpt-4o", Some(8)), ("gpt-4", Some(8)), ("gpt-3.5-turbo", Some(8)), ("claude-sonnet-4-5", None)]
        {
            assert_eq!(exact(model, &hi), expected, "{model}");
        }
        let mut named = say(Role::System, "New synergies will help drive top-line growth.");
        named.name = Some("example_user".to_owned());
        let example = Turn {
            name: Some("example_assistant".to_owned()),
            ..say(Role::System, "Things working well together will increase revenue.")
        };
        let another = Turn {
            name: Some("example_user".to_owned()),
            ..say(
                Role::System,
                "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
            )
        };
        let second = Turn {
            name: Some("example_assistant".to_owned()),
            ..say(Role::System, "Let's talk later when we're less busy about how to do better.")
        };
        let turns = vec![
            say(
                Role::System,
                "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
            ),
            named,
            example,
            another,
            second,
            say(
                Role::User,
                "This late pivot means we don't have time to boil the ocean for the client deliverable.",
            ),
        ];
        let chat = Chat { turns, ..Chat::default() };
        assert_eq!((exact("gpt-4", &chat), exact("gpt-4o", &chat)), (Some(129), Some(124)));
    }

    #[test]
    fn what_is_not_known_exactly_is_not_counted() {
        let long = Chat {
            turns: vec![Turn::new(Role::User, vec![Part::text("a ".repeat(MOST_BYTES))])],
            ..Chat::default()
        };
        assert_eq!(exact("gpt-4o", &long), None);
        let refusal =
            Chat { turns: vec![Turn::new(Role::User, vec![Part::Refusal("no".into())])], ..Chat::default() };
        assert_eq!(exact("gpt-4o", &refusal), None);
    }
}
