//! One model as the table knows it.

use gatewright_core::{Dialect, ModelFacts, ReasoningControl};

use crate::Prices;
use crate::table::Word;

/// What is known of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRow {
    /// Its name in the table, with the provider in front where the table has it so.
    pub name: String,
    /// Under which provider the table lists it.
    pub provider: Word,
    /// What it is for (`chat`, `embedding`, …); empty where nothing is said.
    pub mode: Word,
    /// Its limits.
    pub limits: Limits,
    /// What it costs.
    pub prices: Prices,
    /// What it can (`function_calling`, `vision`, `reasoning`, …).
    pub supports: Vec<Word>,
    /// What it is known not to be able to; what neither list names is not known.
    pub supports_not: Vec<Word>,
    /// Endpoints that serve it (`/v1/chat/completions`); empty where nothing is said.
    pub endpoints: Vec<Word>,
    /// What it reads (`text`, `image`); empty where nothing is said.
    pub modalities: Vec<Word>,
    /// What it writes; empty where nothing is said.
    pub output_modalities: Vec<Word>,
    /// The day on which its maker retires it (`2026-11-30`).
    pub retires: Option<String>,
    /// What else its list says of it, as JSON.
    pub other: Option<String>,
}

/// How much a model takes and gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most input tokens.
    pub max_input: Option<u64>,
    /// The most output tokens.
    pub max_output: Option<u64>,
    /// The shortest prompt that the provider caches, in tokens.
    pub cache_min: Option<u64>,
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
    /// Numbers in one embedding.
    pub vector_size: Option<u64>,
}

// === impl ModelRow ===

impl ModelRow {
    /// Whether it is known to be able to do this; `None` where nothing is said.
    pub fn supports(&self, what: &str) -> Option<bool> {
        if self.supports.iter().any(|can| can == what) {
            return Some(true);
        }
        self.supports_not.iter().any(|cannot| cannot == what).then_some(false)
    }

    /// What an encoder of this dialect must know of it, under the name that the provider knows.
    pub fn facts(&self, dialect: Dialect, name: &str) -> ModelFacts {
        ModelFacts {
            name: name.into(),
            max_output: self.limits.max_output,
            reasoning: self.reasoning(dialect),
            structured_output: self.structured_output(dialect),
            document_links: false,
        }
    }

    fn reasoning(&self, dialect: Dialect) -> ReasoningControl {
        match self.supports("reasoning") {
            Some(true) if self.supports("adaptive_thinking") == Some(true) => adaptive_in(dialect),
            Some(true) => usual(dialect),
            _ => ReasoningControl::None,
        }
    }

    /// `response_schema` says that a schema can be had in some way, be it through a forced tool;
    /// `native_structured_output` that Anthropic's API takes one. Other APIs take what their models can.
    fn structured_output(&self, dialect: Dialect) -> bool {
        self.supports(schema_word(dialect)) == Some(true)
    }
}

// === impl Limits ===

impl Limits {
    /// In the order of the table's column.
    fn parts(&mut self) -> [&mut Option<u64>; 6] {
        let Self { max_input, max_output, cache_min, rpm, tpm, vector_size } = self;
        [max_input, max_output, cache_min, rpm, tpm, vector_size]
    }

    pub(crate) fn decode(column: &str) -> Self {
        let mut limits = Self::default();
        for (part, text) in limits.parts().into_iter().zip(column.split(',')) {
            *part = text.parse().ok();
        }
        limits
    }

    pub(crate) fn encode(mut self) -> String {
        let parts = self.parts().map(|part| part.map_or_else(String::new, |n| n.to_string()));
        parts.join(",").trim_end_matches(',').to_owned()
    }

    /// These, where `other` says nothing.
    pub fn overridden_by(mut self, mut other: Self) -> Self {
        for (mine, theirs) in self.parts().into_iter().zip(other.parts()) {
            *mine = theirs.or(*mine);
        }
        self
    }
}

/// How a dialect asks for thinking where nothing else is known of the model.
pub(crate) fn usual(dialect: Dialect) -> ReasoningControl {
    match dialect {
        Dialect::AnthropicMessages | Dialect::BedrockConverse | Dialect::Gemini | Dialect::CohereChat => {
            ReasoningControl::Budget
        }
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiCompletions | Dialect::OllamaChat => {
            ReasoningControl::Effort
        }
    }
}

/// How a dialect asks a model for thinking that thinks adaptively.
fn adaptive_in(dialect: Dialect) -> ReasoningControl {
    match dialect {
        Dialect::AnthropicMessages | Dialect::BedrockConverse => ReasoningControl::Adaptive,
        other => usual(other),
    }
}

/// What a model's row calls the ability to take a JSON schema through this dialect.
pub(crate) fn schema_word(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::AnthropicMessages | Dialect::BedrockConverse => "native_structured_output",
        _ => "response_schema",
    }
}
