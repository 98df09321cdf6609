//! What is kept, for how long, and who shares it.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Dialect, Operation};

/// What the cache does.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether it answers every call that it can; else those that ask for it.
    pub default_on: bool,
    /// The kinds of calls that it answers.
    pub kinds: Vec<Kind>,
    /// Stands before every key, unless a call names another one.
    pub namespace: Option<Arc<str>>,
    /// How long an answer is kept; where nothing is said, each place has a time of its own.
    pub ttl: Option<Duration>,
    /// Who shares an answer.
    pub scope: Scope,
    /// The largest answer that is kept, in bytes.
    pub max_entry_bytes: usize,
    /// Groups whose answers are the same: each a list of public model names.
    pub groups: Vec<Vec<Arc<str>>>,
    /// Whether tags decide who may serve a call, and so what it gets.
    pub by_tags: bool,
}

/// Who shares an answer. What stands for nobody is each key's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Calls with the same key.
    Key,
    /// Calls of the same team; of a key without one, its own.
    #[default]
    Team,
    /// Calls of the same organization; without one, as for teams.
    Organization,
    /// Everybody.
    Global,
}

/// A kind of call, as LiteLLM tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A conversation in any dialect that has no kind of its own.
    Completion,
    /// OpenAI's older form, which continues a text.
    TextCompletion,
    /// Anthropic's messages.
    Messages,
    /// OpenAI's responses.
    Responses,
    /// Vectors for texts.
    Embedding,
    /// Documents by how well they answer a question.
    Rerank,
    /// What is spoken, as text.
    Transcription,
}

const MAX_ENTRY_BYTES: usize = 1 << 20;

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_on: true,
            kinds: Kind::ALL.to_vec(),
            namespace: None,
            ttl: None,
            scope: Scope::default(),
            max_entry_bytes: MAX_ENTRY_BYTES,
            groups: Vec::new(),
            by_tags: false,
        }
    }
}

// === impl Scope ===

impl Scope {
    /// Reads the word of a configuration.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "key" => Some(Self::Key),
            "team" => Some(Self::Team),
            "organization" => Some(Self::Organization),
            "global" => Some(Self::Global),
            _ => None,
        }
    }
}

// === impl Kind ===

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Completion,
        Self::TextCompletion,
        Self::Messages,
        Self::Responses,
        Self::Embedding,
        Self::Rerank,
        Self::Transcription,
    ];

    /// Reads LiteLLM's word for it; the asynchronous twin (`acompletion`) is the same.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "completion" | "acompletion" => Some(Self::Completion),
            "text_completion" | "atext_completion" => Some(Self::TextCompletion),
            "anthropic_messages" | "aanthropic_messages" => Some(Self::Messages),
            "responses" | "aresponses" => Some(Self::Responses),
            "embedding" | "aembedding" => Some(Self::Embedding),
            "rerank" | "arerank" => Some(Self::Rerank),
            "transcription" | "atranscription" => Some(Self::Transcription),
            _ => None,
        }
    }

    /// The kind of a call; `None` where its answers are never kept.
    pub(crate) fn of(operation: Operation, dialect: Dialect) -> Option<Self> {
        match operation {
            Operation::Chat => Some(match dialect {
                Dialect::OpenAiCompletions => Self::TextCompletion,
                Dialect::AnthropicMessages => Self::Messages,
                Dialect::OpenAiResponses => Self::Responses,
                _ => Self::Completion,
            }),
            Operation::Embeddings => Some(Self::Embedding),
            Operation::Rerank => Some(Self::Rerank),
            Operation::Transcriptions => Some(Self::Transcription),
            Operation::CountTokens
            | Operation::Moderations
            | Operation::ImageGenerations
            | Operation::ImageEdits
            | Operation::ImageVariations
            | Operation::Speech
            | Operation::Translations => None,
        }
    }
}
