//! Recorded provider traffic: one JSON object a line, compressed.

mod received;
mod sent;

pub use received::received;
pub use sent::sent;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

/// One recorded exchange, and what a client must get for it.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// What it is about.
    pub features: Vec<String>,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// What the client sends to the gateway.
    pub client_request: Request,
    /// The deployment in LiteLLM's words, with `{base}` for the upstream's address.
    pub deployment: Map<String, Value>,
    /// What the provider was sent, where that is known.
    pub upstream_request: Option<Request>,
    /// What the provider answered.
    pub upstream_response: Reply,
    /// The facts that the client must get.
    pub expect: Expect,
}

/// A request.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    /// Its path.
    pub path: String,
    /// Its body.
    pub body: Value,
    /// Its headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// An answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Text,
}

/// A body as text.
#[derive(Clone, Debug, Deserialize)]
pub struct Text {
    /// The text.
    pub text: String,
}

/// The facts that a client must get.
#[derive(Clone, Debug, Deserialize)]
pub struct Expect {
    /// All text.
    pub text: String,
    /// All reasoning.
    pub reasoning: String,
    /// The refusal's words.
    pub refusal: String,
    /// The tool calls in order.
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped, in the provider's words.
    pub finish: Option<String>,
    /// Token counts.
    pub usage: BTreeMap<String, u64>,
    /// How many answers.
    pub n: usize,
    /// The error.
    pub error: Option<Value>,
    /// How many citations.
    pub citations: usize,
}

/// A tool call.
#[derive(Clone, Debug, Deserialize)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// Its arguments; `null` where they are none.
    pub args: Value,
    /// Names the call.
    pub id: Option<String>,
}

// === impl Case ===

impl Case {
    /// Whether the client speaks Anthropic Messages.
    pub fn client_is_anthropic(&self) -> bool {
        self.client_request.path.ends_with("/messages")
    }

    /// Whether the client speaks OpenAI Responses.
    pub fn client_is_responses(&self) -> bool {
        self.client_request.path.ends_with("/responses")
    }

    /// Whether the provider speaks Anthropic Messages.
    pub fn provider_is_anthropic(&self) -> bool {
        self.deployment
            .get("model")
            .and_then(Value::as_str)
            .is_some_and(|model| model.starts_with("anthropic/"))
    }
}

/// All cases of a file.
pub fn read(path: &Path) -> Vec<Case> {
    let file = std::fs::File::open(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|err| panic!("{}: {err}", path.display())))
        .collect()
}
