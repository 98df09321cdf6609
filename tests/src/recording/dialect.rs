//! The dialects in which a client may ask for a recorded answer, and a small conversation in each.

use serde_json::{Map, Value, json};

use super::Case;
use crate::answer::{Got, anthropic, gemini, openai, responses};
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
    pub const ALL: [Self; 4] =
        [Self::OpenAiChat, Self::OpenAiResponses, Self::AnthropicMessages, Self::Gemini];

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
        let (path, mut body) = match self {
            Self::OpenAiChat => {
                let usage = json!({"include_usage": true});
                let mut body = json!({"model": model, "messages": user, "stream": stream});
                body["stream_options"] = if stream { usage } else { Value::Null };
                ("/v1/chat/completions".to_owned(), body)
            }
            Self::OpenAiResponses => {
                ("/v1/responses".to_owned(), json!({"model": model, "input": "Hello", "stream": stream}))
            }
            Self::AnthropicMessages => {
                let body = json!({"model": model, "max_tokens": 4096, "messages": user, "stream": stream});
                ("/v1/messages".to_owned(), body)
            }
            Self::Gemini => {
                let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]});
                (format!("/v1beta/models/{model}:{verb}"), body)
            }
        };
        let tools: Vec<Value> = tools(case).map(|name| self.tool(name)).collect();
        if !tools.is_empty() {
            body["tools"] = match self {
                Self::Gemini => json!([{ "functionDeclarations": tools }]),
                _ => tools.into(),
            };
        }
        (path, body)
    }

    fn tool(self, name: &str) -> Value {
        let schema = json!({"type": "object", "properties": {}});
        match self {
            Self::OpenAiChat => json!({"type": "function", "function": {"name": name, "parameters": schema}}),
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
        }
    }

    /// The word of this dialect for the reason on record; a provider may stop for its tools as for anything else.
    pub(super) fn finish(self, word: &str, calls: bool) -> Option<&'static str> {
        let word = if calls && matches!(word, "STOP" | "completed") { "tool_calls" } else { word };
        let row = FINISHES.iter().find(|row| row.0 == word)?;
        Some(match self {
            Self::OpenAiChat => row.1,
            Self::AnthropicMessages => row.2,
            Self::OpenAiResponses => row.3,
            Self::Gemini => row.4,
        })
    }

    /// Whether it tells usage in streams that do not ask for it.
    pub(super) fn always_tells_usage(self) -> bool {
        self != Self::OpenAiChat
    }

    /// Whether the citations of every other dialect have a place in it.
    pub(super) fn cites(self) -> bool {
        matches!(self, Self::OpenAiChat | Self::AnthropicMessages)
    }

    /// Whether an answer may have several versions.
    pub(super) fn has_choices(self) -> bool {
        matches!(self, Self::OpenAiChat | Self::Gemini)
    }

    /// What stands in an error's body besides the words.
    pub(super) fn fault_of_error(self, body: &Value, status: u16) -> Option<String> {
        let formed = match self {
            Self::OpenAiChat | Self::OpenAiResponses => body["error"]["code"].is_string(),
            Self::AnthropicMessages => body["type"] == "error",
            Self::Gemini => body["error"]["code"] == status,
        };
        let typed = self == Self::Gemini || body["error"]["type"].is_string();
        (!formed || !typed).then(|| format!("the error is not in its dialect's form: {body}"))
    }
}

/// The tools that the answer on record calls.
fn tools(case: &Case) -> impl Iterator<Item = &str> {
    let mut told = Map::new();
    let calls = case.expect.tool_calls.iter().filter_map(|call| call.name.as_deref());
    calls.filter(move |name| told.insert((*name).to_owned(), Value::Null).is_none())
}
