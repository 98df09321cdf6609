//! What comes back.

use std::sync::Arc;

use gatewright_core::chat::{Answer, Finish, Part, ToolCall};
use gatewright_core::{Money, ServedBy, Usage};

/// A model's answer, and what it cost.
#[derive(Clone, Debug)]
pub struct Answered {
    pub(crate) answer: Answer,
    pub(crate) usage: Option<Usage>,
    pub(crate) cost: Option<Money>,
    pub(crate) served_by: Option<Arc<ServedBy>>,
}

/// Vectors for texts, and what they cost.
#[derive(Clone, Debug)]
pub struct Vectors {
    /// One vector a text, in the order of the texts.
    pub vectors: Vec<Vec<f32>>,
    /// What it used, where the provider says so.
    pub usage: Option<Usage>,
    /// What that costs; `None` where no price is known.
    pub cost: Option<Money>,
}

impl Answered {
    /// All that was said, without reasoning.
    pub fn text(&self) -> String {
        let text = |part: &Part| match part {
            Part::Text { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.parts().iter().filter_map(text).collect()
    }

    /// The reasoning that the provider shows.
    pub fn reasoning(&self) -> String {
        let text = |part: &Part| match part {
            Part::Reasoning { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.parts().iter().filter_map(text).collect()
    }

    /// The tools that the model asks for.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts().iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    /// Everything of the first choice, in order.
    pub fn parts(&self) -> &[Part] {
        self.answer.choices.first().map(|choice| &*choice.parts).unwrap_or_default()
    }

    /// Why the model stopped.
    pub fn finish(&self) -> Finish {
        self.answer.choices.first().map(|choice| choice.finish).unwrap_or_default()
    }

    /// What it used, where the provider says so.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// What that costs; `None` where no price is known.
    pub fn cost(&self) -> Option<Money> {
        self.cost
    }

    /// The deployment that answered.
    pub fn served_by(&self) -> Option<&ServedBy> {
        self.served_by.as_deref()
    }

    /// The answer whole, with every choice.
    pub fn into_inner(self) -> Answer {
        self.answer
    }
}
