//! The words of the dialect that mean the same in requests, answers and streams.

use gatewright_core::Usage;
use gatewright_core::chat::{Finish, Part, ToolCall};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A call of a tool as it comes: whole, with its arguments as an object.
#[derive(Deserialize)]
pub(super) struct CallIn {
    id: Option<String>,
    function: FunctionIn,
}

#[derive(Deserialize)]
struct FunctionIn {
    #[serde(default)]
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// The counts of an answer.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Counts {
    pub(super) prompt_eval_count: Option<u64>,
    pub(super) eval_count: Option<u64>,
}

// === impl CallIn ===

impl CallIn {
    /// The call; `name` gives an id where the server gave none, as older ones do.
    pub(super) fn read(self, name: impl FnOnce() -> String) -> ToolCall {
        let FunctionIn { name: tool, arguments } = self.function;
        ToolCall {
            id: self.id.filter(|id| !id.is_empty()).unwrap_or_else(name),
            name: tool,
            arguments: Value::Object(arguments).to_string(),
            cache: None,
        }
    }
}

// === impl Counts ===

impl Counts {
    /// The canonical usage; `None` where nothing is counted. A prompt that the server still had in its cache is left out by
    /// older ones.
    pub(super) fn usage(&self) -> Option<Usage> {
        if self.prompt_eval_count.is_none() && self.eval_count.is_none() {
            return None;
        }
        let (input, output) =
            (self.prompt_eval_count.unwrap_or_default(), self.eval_count.unwrap_or_default());
        Some(Usage { input, output, cache_in_input: true, ..Usage::default() })
    }
}

/// An id for a call that has none; `moment` is when its answer was made, so that it is unlike those of other answers.
pub(super) fn call_id(moment: &str, number: u32) -> String {
    let moment: String = moment.chars().filter(char::is_ascii_digit).collect();
    format!("call_{moment}_{number}")
}

/// Why the model stopped, from the wire. A model that waits for a tool says that it is done.
pub(super) fn finish(reason: &str, calls: bool) -> Finish {
    match reason {
        "length" => Finish::Length,
        _ if calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// Why the model stopped, for the wire.
pub(super) fn done_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Length | Finish::ContextWindow => "length",
        _ => "stop",
    }
}

/// The arguments of a call as an object; a model that has none may write nothing or `null`. What is none, because the
/// model wrote bad JSON, is kept as the text of one field.
pub(super) fn arguments(text: &str) -> Map<String, Value> {
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => arguments,
        Ok(Value::Null) => Map::new(),
        _ if text.trim().is_empty() => Map::new(),
        _ => [("invalid_arguments".to_owned(), text.into())].into_iter().collect(),
    }
}

/// Whether a part of an answer calls a tool.
pub(super) fn is_call(part: &Part) -> bool {
    matches!(part, Part::ToolCall(_))
}
