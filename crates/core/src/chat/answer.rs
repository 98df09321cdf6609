//! A whole answer.

use serde_json::Value;

use super::{Extra, Part};
use crate::Usage;

/// A whole answer of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The provider's id of the answer.
    pub id: String,
    /// The model as the provider names it.
    pub model: String,
    /// When it was made, in Unix seconds; zero where the provider does not say.
    pub created: u64,
    /// One choice, or `n`.
    pub choices: Vec<Choice>,
    /// What it used, where the provider says so.
    pub usage: Option<Usage>,
    /// The tier that served it.
    pub service_tier: Option<String>,
    /// Fields that only one dialect knows.
    pub extra: Extra,
}

/// One choice of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its number.
    pub index: u32,
    /// What the model said, in order.
    pub parts: Vec<Part>,
    /// Why it stopped.
    pub finish: Finish,
    /// The stop text that was hit.
    pub stop_sequence: Option<String>,
    /// Likelihoods, as OpenAI writes them.
    pub logprobs: Option<Value>,
    /// Fields that only one dialect knows (`audio`).
    pub extra: Extra,
}

/// Why a model stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// It was done.
    #[default]
    Stop,
    /// It hit a stop text.
    StopSequence,
    /// It reached the most tokens it may write.
    Length,
    /// The conversation filled the model's window.
    ContextWindow,
    /// It waits for tools.
    ToolCalls,
    /// OpenAI's `function_call`, the older form of tools.
    FunctionCall,
    /// A filter stopped it.
    ContentFilter,
    /// The model refused.
    Refusal,
    /// A long turn of server tools was paused and may be continued.
    Pause,
}
