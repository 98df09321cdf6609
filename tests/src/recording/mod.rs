//! Recorded provider traffic: one JSON object a line, compressed.

mod dialect;
mod gemini;
mod passed;
mod received;
mod sent;
mod vectors;

pub use dialect::Dialect;
pub use passed::{as_conversation, passed};
pub use received::received;
pub use sent::{Form, sent};
pub use vectors::Embedder;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
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

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A turn of a conversation, in the dialect of the recorded client.
    Conversation(Dialect),
    /// Vectors.
    Vectors,
    /// What only OpenAI's dialect has, so that the provider's own answer is passed on.
    Passage,
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
    #[serde(default)]
    pub text: String,
    /// Bytes that are no text.
    base64: Option<String>,
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
    #[serde(deserialize_with = "word")]
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
    /// The tool; `null` for a piece of a call that came before.
    pub name: Option<String>,
    /// Its arguments; `null` where they are none.
    pub args: Value,
    /// Names the call.
    pub id: Option<String>,
}

// === impl Text ===

impl Text {
    /// The body's bytes.
    pub fn bytes(&self) -> Bytes {
        match &self.base64 {
            Some(coded) => BASE64.decode(coded).unwrap().into(),
            None => self.text.clone().into(),
        }
    }
}

// === impl Case ===

impl Case {
    /// What the client asks for; `None` where that is nothing that is replayed.
    pub fn asked(&self) -> Option<Asked> {
        let path = self.client_request.path.as_str();
        let ends = |end: &str| path.ends_with(end);
        match Dialect::of(path) {
            Some(dialect) => Some(Asked::Conversation(dialect)),
            None if ends("/embeddings") => Some(Asked::Vectors),
            None if ends("/completions") || ends("/images/generations") || ends("/audio/speech") => {
                Some(Asked::Passage)
            }
            None => None,
        }
    }

    /// Whether the client speaks this dialect.
    pub(crate) fn client_speaks(&self, dialect: Dialect) -> bool {
        self.asked() == Some(Asked::Conversation(dialect))
    }

    /// Whether the provider speaks Anthropic Messages.
    pub fn provider_is_anthropic(&self) -> bool {
        self.provider_is("anthropic")
    }

    /// Whether the provider is Bedrock, which speaks Converse or carries Claude's own.
    pub fn provider_is_bedrock(&self) -> bool {
        self.provider_is("bedrock")
    }

    /// Whether the deployment's model begins with this provider's name.
    pub fn provider_is(&self, name: &str) -> bool {
        self.model().split_once('/').is_some_and(|(provider, _)| provider == name)
    }

    /// Whether the provider speaks Gemini.
    pub fn provider_is_gemini(&self) -> bool {
        self.model().starts_with("gemini/") || self.model().starts_with("vertex_ai/gemini")
    }

    fn model(&self) -> &str {
        self.deployment.get("model").and_then(Value::as_str).unwrap_or_default()
    }
}

/// A word, or the number that stands for one.
fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Value>::deserialize(from)?.map(|value| match value {
        Value::String(word) => word,
        other => other.to_string(),
    }))
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
