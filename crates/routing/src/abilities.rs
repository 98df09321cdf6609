//! What models can do, and what calls ask of them.

use std::future::Future;
use std::pin::Pin;

use gatewright_core::{Call, Price};

use crate::Deployment;

/// What is known of one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// The most tokens of input that it takes.
    pub max_input: Option<u64>,
    /// What a token of input costs.
    pub input: Option<Price>,
    /// What a token of output costs.
    pub output: Option<Price>,
    /// What it is known to lack.
    pub lacks: Abilities,
}

/// What a model may be able to do, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities(u8);

/// What is known of models by their names, and of what calls ask of a model; nothing, where it is not said.
pub trait Know: Send + Sync + 'static {
    /// What is known of the model that a deployment's wildcard stands for.
    fn model(&self, _deployment: &Deployment, _model: &str) -> Model {
        Model::default()
    }

    /// Tokens of input, seldom below the count.
    fn estimate(&self, _call: &Call) -> u64 {
        0
    }

    /// Tokens of input, as exactly as they can be told, and seldom above the count.
    fn count<'a>(&'a self, _call: &'a Call) -> Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
        Box::pin(std::future::ready(0))
    }

    /// How its conversation begins, as a number, where that is long enough for a provider to keep it.
    fn prefix(&self, _call: &Call) -> Option<u64> {
        None
    }

    /// What a model must be able to do to serve it.
    fn needs(&self, _call: &Call) -> Abilities {
        Abilities::NONE
    }
}

/// Knows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ignorant;

// === impl Model ===

impl Model {
    /// What a token of input and one of output cost together.
    pub(crate) fn price(&self) -> Option<u64> {
        Some(self.input?.0.saturating_add(self.output?.0))
    }
}

// === impl Abilities ===

impl Abilities {
    /// Nothing in particular.
    pub const NONE: Self = Self(0);
    /// Calls tools.
    pub const TOOLS: Self = Self(1);
    /// Sees pictures.
    pub const VISION: Self = Self(1 << 1);
    /// Hears sound.
    pub const AUDIO: Self = Self(1 << 2);
    /// Reads documents.
    pub const DOCUMENTS: Self = Self(1 << 3);
    /// Answers in the form of a JSON schema.
    pub const SCHEMA: Self = Self(1 << 4);
    /// Thinks before it answers, as much as it is told.
    pub const REASONING: Self = Self(1 << 5);

    /// All of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The same where `wanted`, else nothing.
    #[must_use]
    pub const fn when(self, wanted: bool) -> Self {
        if wanted { self } else { Self::NONE }
    }

    /// Whether there is something in both.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

// === impl Ignorant ===

impl Know for Ignorant {}
