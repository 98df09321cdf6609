//! The dialects in which a client may ask for a recorded answer, and a small conversation in each.

use serde_json::{Map, Value, json};

use super::Case;
use crate::answer::{Got, anthropic, cohere, completions, converse, gemini, ollama, openai, responses};
use crate::client::Response;

/// A dialect that clients hold conversations in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI Chat Completions.
    OpenAiChat,
    /// OpenAI Responses.
    OpenAiResponses,
    /// Anthropic Messages.
    AnthropicMessages,
    /// Gemini.
    Gemini,
    /// Cohere, version 2.
    Cohere,
    /// Ollama.
    Ollama,
    /// Bedrock's Converse.
    Converse,
    /// OpenAI Completions.
    Completions,
}

/// Why an answer ended, in each dialect: the word on record, OpenAI's, Anthropic's, Responses' and Google's.
type Finish = (&'static str, &'static str, &'static str, &'static str, &'static str);

const FINISHES: &[Finish] = &[
    ("stop", "stop", "end_turn", "completed", "STOP"),
    ("eos", "stop", "end_turn", "completed", "STOP"),
    ("length", "length", "max_tokens", "incomplete", "MAX_TOKENS"),
    ("tool_calls", "tool_calls", "tool_use", "completed", "STOP"),
    ("function_call", "function_call", "tool_use", "completed", "STOP"),
    ("content_filter", "content_filter", "refusal", "incomplete", "SAFETY"),
    ("end_turn", "stop", "end_turn", "completed", "STOP"),
    ("stop_sequence", "stop", "stop_sequence", "completed", "STOP"),
    ("max_tokens", "length", "max_tokens", "incomplete", "MAX_TOKENS"),
    ("tool_use", "tool_calls", "tool_use", "completed", "STOP"),
    ("refusal", "content_filter", "refusal", "incomplete", "SAFETY"),
    ("pause_turn", "length", "pause_turn", "incomplete", "MAX_TOKENS"),
    ("STOP", "stop", "end_turn", "completed", "STOP"),
    ("MAX_TOKENS", "length", "max_tokens", "incomplete", "MAX_TOKENS"),
    // As a library for the binary protocol writes it.
    ("2", "length", "max_tokens", "incomplete", "MAX_TOKENS"),
    ("SAFETY", "content_filter", "refusal", "incomplete", "SAFETY"),
    ("COMPLETE", "stop", "end_turn", "completed", "STOP"),
    ("TOOL_CALL", "tool_calls", "tool_use", "completed", "STOP"),
    ("guardrail_intervened", "content_filter", "refusal", "incomplete", "SAFETY"),
    ("completed", "stop", "end_turn", "completed", "STOP"),
    ("incomplete", "length", "max_tokens", "incomplete", "MAX_TOKENS"),
];

// === impl Dialect ===

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::AnthropicMessages,
        Self::Gemini,
        Self::Cohere,
        Self::Ollama,
        Self::Converse,
        Self::Completions,
    ];

    /// The dialect of a path; `None` for anything but conversations.
    pub fn of(path: &str) -> Option<Self> {
        match path {
            _ if path.ends_with("/chat/completions") => Some(Self::OpenAiChat),
            _ if path.ends_with("/responses") => Some(Self::OpenAiResponses),
            _ if path.ends_with("/messages") => Some(Self::AnthropicMessages),
            _ if path.contains("enerateContent") => Some(Self::Gemini),
            _ => None,
        }
    }

    /// A small conversation for the answer on record: its path and body. It offers the tools that are called.
    pub fn ask(self, case: &Case, model: &str) -> (String, Value) {
        let stream = case.stream;
        let user = json!([{"role": "user", "content": "Hello"}]);
        let usage = if stream { json!({"include_usage": true}) } else { Value::Null };
        let mut body = match self {
            Self::OpenAiChat => json!({"messages": user, "stream_options": usage}),
            Self::Completions => json!({"prompt": "Hello", "stream_options": usage}),
            Self::OpenAiResponses => json!({"input": "Hello"}),
            Self::AnthropicMessages => json!({"max_tokens": 4096, "messages": user}),
            Self::Cohere | Self::Ollama => json!({"messages": user}),
            Self::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}),
            Self::Converse => json!({"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}),
        };
        let path = match self {
            Self::OpenAiChat => "/v1/chat/completions".to_owned(),
            Self::Completions => "/v1/completions".to_owned(),
            Self::OpenAiResponses => "/v1/responses".to_owned(),
            Self::AnthropicMessages => "/v1/messages".to_owned(),
            Self::Cohere => "/v2/chat".to_owned(),
            Self::Ollama => "/api/chat".to_owned(),
            Self::Gemini if stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            Self::Gemini => format!("/v1beta/models/{model}:generateContent"),
            Self::Converse if stream => format!("/bedrock/model/{model}/converse-stream"),
            Self::Converse => format!("/bedrock/model/{model}/converse"),
        };
        if !matches!(self, Self::Gemini | Self::Converse) {
            body["model"] = json!(model);
            body["stream"] = json!(stream);
        }
        let tools: Vec<Value> = tools(case).map(|name| self.tool(name)).collect();
        match self {
            Self::Completions => {}
            _ if tools.is_empty() => {}
            Self::Gemini => body["tools"] = json!([{ "functionDeclarations": tools }]),
            Self::Converse => body["toolConfig"] = json!({ "tools": tools }),
            _ => body["tools"] = tools.into(),
        }
        (path, body)
    }

    fn tool(self, name: &str) -> Value {
        let schema = json!({"type": "object", "properties": {}});
        match self {
            Self::OpenAiChat | Self::Cohere | Self::Ollama | Self::Completions => {
                json!({"type": "function", "function": {"name": name, "parameters": schema}})
            }
            Self::Converse => json!({"toolSpec": {"name": name, "inputSchema": {"json": schema}}}),
            Self::OpenAiResponses => json!({"type": "function", "name": name, "parameters": schema}),
            Self::AnthropicMessages => json!({"name": name, "input_schema": schema}),
            Self::Gemini => json!({"name": name, "parameters": schema}),
        }
    }

    /// What a client library makes of an answer.
    pub(super) fn read(self, stream: bool, response: &Response) -> Got {
        let whole = || serde_json::from_slice(&response.body).unwrap_or_default();
        match (self, stream) {
            (Self::OpenAiChat, true) => openai::stream(&response.body),
            (Self::OpenAiChat, false) => openai::whole(&whole()),
            (Self::OpenAiResponses, true) => responses::stream(&response.body),
            (Self::OpenAiResponses, false) => responses::whole(&whole()),
            (Self::AnthropicMessages, true) => anthropic::stream(&response.body),
            (Self::AnthropicMessages, false) => anthropic::whole(&whole()),
            (Self::Gemini, true) => gemini::stream(&response.body),
            (Self::Gemini, false) => gemini::whole(&whole()),
            (Self::Cohere, true) => cohere::stream(&response.body),
            (Self::Cohere, false) => cohere::whole(&whole()),
            (Self::Ollama, _) => ollama::read(&response.body),
            (Self::Converse, true) => converse::stream(&response.body),
            (Self::Converse, false) => converse::whole(&whole()),
            (Self::Completions, true) => completions::stream(&response.body),
            (Self::Completions, false) => completions::whole(&whole()),
        }
    }

    /// The word of this dialect for the reason on record; a provider may stop for its tools as for anything else.
    pub(super) fn finish(self, word: &str, calls: bool) -> Option<&'static str> {
        let word = if calls && matches!(word, "STOP" | "completed") { "tool_calls" } else { word };
        let row = FINISHES.iter().find(|row| row.0 == word)?;
        Some(match self {
            Self::OpenAiChat | Self::Completions => row.1,
            Self::Cohere => match row.2 {
                "stop_sequence" => "STOP_SEQUENCE",
                "max_tokens" => "MAX_TOKENS",
                "tool_use" => "TOOL_CALL",
                "refusal" if row.0 != "refusal" => "ERROR",
                _ => "COMPLETE",
            },
            Self::Ollama if row.2 == "max_tokens" => "length",
            Self::Ollama => "stop",
            Self::Converse => match row.2 {
                "refusal" => "content_filtered",
                "pause_turn" => "end_turn",
                word => word,
            },
            Self::AnthropicMessages => row.2,
            Self::OpenAiResponses => row.3,
            Self::Gemini => row.4,
        })
    }

    /// Whether it tells usage in streams that do not ask for it.
    pub(super) fn always_tells_usage(self) -> bool {
        !matches!(self, Self::OpenAiChat | Self::Completions)
    }

    /// Whether an answer names its model.
    pub(super) fn names_the_model(self) -> bool {
        !matches!(self, Self::Cohere | Self::Converse)
    }

    /// Whether a refusal's words have a field of their own; else they come as text.
    pub(super) fn has_refusals(self) -> bool {
        matches!(self, Self::OpenAiChat | Self::OpenAiResponses)
    }

    /// Whether it has anything but texts.
    pub(super) fn has_parts(self) -> bool {
        self != Self::Completions
    }

    /// Whether it says what was read out of a cache.
    pub(super) fn counts_cached(self) -> bool {
        self != Self::Ollama
    }

    /// Whether it says how much was thought.
    pub(super) fn counts_reasoning(self) -> bool {
        matches!(self, Self::OpenAiChat | Self::OpenAiResponses | Self::Gemini | Self::Completions)
    }

    /// Whether what was read out of a cache stands beside the rest and not in it.
    pub(super) fn counts_cached_apart(self) -> bool {
        matches!(self, Self::AnthropicMessages | Self::Converse)
    }

    /// Whether it says what was written to a cache.
    pub(super) fn counts_written(self) -> bool {
        !matches!(self, Self::Gemini | Self::Cohere | Self::Ollama)
    }

    /// Whether the citations of every other dialect have a place in it.
    pub(super) fn cites(self) -> bool {
        matches!(self, Self::OpenAiChat | Self::AnthropicMessages)
    }

    /// Whether an answer may have several versions.
    pub(super) fn has_choices(self) -> bool {
        matches!(self, Self::OpenAiChat | Self::Gemini | Self::Completions)
    }

    /// What stands in an error's body besides the words.
    pub(super) fn fault_of_error(self, body: &Value, status: u16) -> Option<String> {
        let error = &body["error"];
        let formed = match self {
            Self::OpenAiChat | Self::OpenAiResponses | Self::Completions => {
                error["code"].is_string() && error["type"].is_string()
            }
            Self::AnthropicMessages => body["type"] == "error" && error["type"].is_string(),
            Self::Gemini => error["code"] == status,
            Self::Cohere | Self::Converse => body["message"].is_string(),
            Self::Ollama => error.is_string(),
        };
        (!formed).then(|| format!("the error is not in its dialect's form: {body}"))
    }
}

/// The tools that the answer on record calls.
fn tools(case: &Case) -> impl Iterator<Item = &str> {
    let mut told = Map::new();
    let calls = case.expect.tool_calls.iter().filter_map(|call| call.name.as_deref());
    calls.filter(move |name| told.insert((*name).to_owned(), Value::Null).is_none())
}
