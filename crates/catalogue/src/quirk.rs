//! The closed vocabulary of ways in which a provider differs from its dialect.

use serde::Deserialize;
use serde_json::Value;

/// One way in which a provider differs from its dialect.
///
/// A quirk is data without conditions: one that needs an `if` is code in the provider's own file.
/// Request quirks edit the body that goes out; reply quirks say where an answer keeps something.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Quirk {
    /// A top-level field has another name here. Where the body has both, the one named `to` stays.
    Rename {
        /// The dialect's name.
        from: String,
        /// The provider's name.
        to: String,
    },
    /// Top-level fields that the provider refuses or must not see; the client is told which were dropped.
    Drop(Vec<String>),
    /// A top-level field that the provider needs; a value of the client's stays.
    Default {
        /// The field.
        field: String,
        /// What is sent where the client says nothing.
        value: Value,
    },
    /// The range that the provider takes for a number; a value outside is moved to its edge.
    Clamp {
        /// The field.
        field: String,
        /// The least value.
        min: Option<f64>,
        /// The greatest value.
        max: Option<f64>,
    },
    /// The one value of a field that the provider takes; the client is told that another was dropped.
    Only {
        /// The field.
        field: String,
        /// What it may be.
        value: Value,
    },
    /// One value of a field has another word here (`tool_choice: required` is `any`).
    Replace {
        /// The field.
        field: String,
        /// The dialect's value.
        from: Value,
        /// The provider's value.
        to: Value,
    },
    /// One role has another word here (`developer` is `system`).
    Role {
        /// The dialect's role.
        from: String,
        /// The provider's role.
        to: String,
    },
    /// A message whose parts are all text goes out as one string.
    FlattenText,
    /// Messages are strings only: parts that are not text cannot be carried.
    TextOnlyContent,
    /// Prompt-cache marks (`cache_control`) are removed from messages and tools.
    NoCacheMarks,
    /// `name` stays on tool messages only.
    NoSpeakerNames,
    /// Documents may be given by their address: `file_data` takes a URL too.
    DocumentLinks,
    /// The provider fetches nothing: media at an address are fetched by the gateway and sent as bytes.
    InlineMedia,
    /// Fields of messages that the provider refuses; the client is told which were dropped.
    DropFromMessages(Vec<String>),
    /// Thinking is asked of, and earlier reasoning goes back to, only those models that think: the others refuse both.
    ReasoningToThinkersOnly,
    /// How usage of a stream is had; [`StreamUsage::Ask`] where nothing is said.
    StreamUsage(StreamUsage),
    /// The field of a message or delta that carries reasoning in answers, and in requests where it is sent back.
    ReasoningField(String),
    /// The field that switches thinking on, sent beside `reasoning_effort` unless the effort is `none`.
    ThinkingSwitch {
        /// The field.
        field: String,
        /// What switches it on.
        value: Value,
    },
    /// `completion_tokens` does not count the reasoning tokens: the output is their sum.
    ReasoningBesideOutput,
    /// A JSON schema is asked for through a forced tool, except where the model's row says it takes schemas.
    SchemaAsTool,
    /// What is put before a model name that has no `/`.
    ModelPrefix(String),
    /// The path below which the dialect stands; appended to a base URL of the operator's that does not end in it.
    BaseSuffix(String),
}

/// How usage of a stream is had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamUsage {
    /// It is asked for with `stream_options.include_usage`.
    #[default]
    Ask,
    /// It always comes, and `stream_options` is refused or has no effect: the field is removed.
    Always,
    /// It never comes, and `stream_options` is refused: the field is removed and usage is estimated.
    Never,
}
