//! A streamed answer, in blocks: flattening blocks is trivial, inferring them is not.

use serde_json::Value;

use super::{Extra, Finish};
use crate::Usage;

/// One step of a streamed answer. Parts of one choice may be open at the same time (parallel tool calls).
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer begins.
    Start {
        /// The provider's id of the answer.
        id: String,
        /// The model as the provider names it.
        model: String,
        /// Unix seconds; zero where the provider does not say.
        created: u64,
        /// Fields that only one dialect knows.
        extra: Extra,
    },
    /// A part begins. Indexes count up from zero within a choice, across all kinds.
    PartStart {
        /// The choice.
        choice: u32,
        /// The part within the choice.
        index: u32,
        /// What begins.
        kind: PartKind,
    },
    /// More of a part.
    PartDelta {
        /// The choice.
        choice: u32,
        /// The part within the choice.
        index: u32,
        /// What is added.
        delta: Delta,
    },
    /// A part is whole.
    PartEnd {
        /// The choice.
        choice: u32,
        /// The part within the choice.
        index: u32,
    },
    /// Likelihoods for text of a choice, as OpenAI writes them.
    Logprobs {
        /// The choice.
        choice: u32,
        /// `{content: [...], refusal: [...]}`.
        value: Value,
    },
    /// What was used so far; cumulative, the last one wins.
    Usage(Usage),
    /// A choice is whole.
    Finish {
        /// The choice.
        choice: u32,
        /// Why it stopped.
        reason: Finish,
        /// The stop text that was hit.
        stop_sequence: Option<String>,
    },
    /// Nothing happened yet, but the provider is there.
    Ping,
    /// The answer is whole.
    End,
}

/// What kind of part begins.
#[derive(Clone, Debug, PartialEq)]
pub enum PartKind {
    /// Text.
    Text,
    /// Reasoning in clear.
    Reasoning,
    /// Reasoning that nobody may see; whole at once.
    RedactedReasoning {
        /// Opaque to everybody but the provider.
        data: String,
    },
    /// A tool call.
    ToolCall {
        /// Names the call.
        id: String,
        /// The tool.
        name: String,
    },
    /// A refusal in words.
    Refusal,
    /// Something that only one dialect knows; its deltas are [`Delta::Other`].
    Other(Value),
}

/// What is added to a part.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Text, or a refusal's text.
    Text(String),
    /// A piece of a tool call's arguments.
    Arguments(String),
    /// A piece of reasoning.
    Reasoning(String),
    /// The signature of the reasoning, whole.
    Signature(String),
    /// A citation, as Anthropic writes it.
    Citation(Value),
    /// Something that only one dialect knows.
    Other(Value),
}

impl Delta {
    /// How many bytes of model output it is; never zero, so that it counts as content.
    pub fn weight(&self) -> u32 {
        let bytes = match self {
            Self::Text(text) | Self::Arguments(text) | Self::Reasoning(text) => text.len(),
            Self::Signature(_) | Self::Citation(_) | Self::Other(_) => 1,
        };
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}
