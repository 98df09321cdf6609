//! A request for the next turn.

use serde_json::Value;

use super::{CacheMark, Extra, Turn};

/// A conversation and how it shall go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chat {
    /// The turns so far, system turns included, in order.
    pub turns: Vec<Turn>,
    /// The tools that the model may ask for.
    pub tools: Vec<Tool>,
    /// Whether and which tool it must ask for.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may ask for several tools at once.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer.
    pub output: Output,
    /// How much it shall think.
    pub reasoning: Option<Reasoning>,
    /// How it shall choose its words.
    pub sampling: Sampling,
    /// The most tokens it may write.
    pub max_output: Option<u64>,
    /// Texts at which it stops.
    pub stop: Vec<String>,
    /// How many answers.
    pub n: Option<u32>,
    /// Whether the answer comes as a stream.
    pub stream: bool,
    /// The end user's name, for the provider's abuse checks.
    pub user: Option<String>,
    /// `auto`, `default`, `flex`, `priority`; Anthropic's `standard_only` is `default`.
    pub service_tier: Option<String>,
    /// Fields that only one dialect knows, by their names there.
    pub extra: Extra,
}

/// A tool that the model may ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// A function of the application.
    Function {
        /// Its name.
        name: String,
        /// What it does.
        description: Option<String>,
        /// The JSON schema of its arguments.
        parameters: Option<Value>,
        /// Whether the arguments must follow the schema exactly.
        strict: Option<bool>,
        /// A prompt-cache mark.
        cache: Option<CacheMark>,
        /// Fields that only one dialect knows (Anthropic's `input_examples`, `defer_loading`).
        extra: Extra,
    },
    /// A tool that the provider runs itself, as its dialect writes it.
    Hosted(Value),
}

/// Whether and which tool the model must ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// None.
    None,
    /// Any, but one.
    Required,
    /// This one.
    Function(String),
    /// One of these (`allowed_tools`); `required` as in the mode.
    Allowed {
        /// The names that may be chosen.
        names: Vec<String>,
        /// Whether one must be chosen.
        required: bool,
    },
}

/// The form of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Output {
    /// Text.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON after a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The schema.
        schema: Value,
        /// Whether it must be followed exactly.
        strict: Option<bool>,
    },
}

/// How much the model shall think.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// In words.
    pub effort: Option<Effort>,
    /// In tokens (Anthropic's `budget_tokens`).
    pub budget: Option<u64>,
    /// As it sees fit (Anthropic's `adaptive`).
    pub adaptive: bool,
    /// Not at all (`disabled`).
    pub off: bool,
    /// How the thinking is shown (`summarized`, `omitted`).
    pub display: Option<String>,
}

/// How much thinking, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// None at all.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// Very much.
    XHigh,
    /// As much as the model can.
    Max,
}

/// How the model shall choose its words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Randomness.
    pub temperature: Option<f64>,
    /// Nucleus.
    pub top_p: Option<f64>,
    /// Candidates.
    pub top_k: Option<u64>,
    /// Penalty by frequency.
    pub frequency_penalty: Option<f64>,
    /// Penalty by presence.
    pub presence_penalty: Option<f64>,
    /// For repeatable answers.
    pub seed: Option<i64>,
    /// Whether to tell the likelihood of tokens.
    pub logprobs: Option<bool>,
    /// Of how many candidates.
    pub top_logprobs: Option<u32>,
    /// Token biases, as they came.
    pub logit_bias: Option<Value>,
}

impl Chat {
    /// Takes from `defaults` what it does not say itself; turns, tools and the form of the answer are the client's alone.
    pub fn complete(&mut self, defaults: Self) {
        self.parallel_tool_calls = self.parallel_tool_calls.or(defaults.parallel_tool_calls);
        self.reasoning = self.reasoning.take().or(defaults.reasoning);
        self.sampling.complete(defaults.sampling);
        self.max_output = self.max_output.or(defaults.max_output);
        if self.stop.is_empty() {
            self.stop = defaults.stop;
        }
        self.n = self.n.or(defaults.n);
        self.user = self.user.take().or(defaults.user);
        self.service_tier = self.service_tier.take().or(defaults.service_tier);
        for (key, value) in defaults.extra {
            self.extra.entry(key).or_insert(value);
        }
    }
}

impl Sampling {
    fn complete(&mut self, defaults: Self) {
        self.temperature = self.temperature.or(defaults.temperature);
        self.top_p = self.top_p.or(defaults.top_p);
        self.top_k = self.top_k.or(defaults.top_k);
        self.frequency_penalty = self.frequency_penalty.or(defaults.frequency_penalty);
        self.presence_penalty = self.presence_penalty.or(defaults.presence_penalty);
        self.seed = self.seed.or(defaults.seed);
        self.logprobs = self.logprobs.or(defaults.logprobs);
        self.top_logprobs = self.top_logprobs.or(defaults.top_logprobs);
        self.logit_bias = self.logit_bias.take().or(defaults.logit_bias);
    }
}

impl Effort {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Reads the word on the wire.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];
        all.into_iter().find(|effort| effort.as_str() == word)
    }
}
