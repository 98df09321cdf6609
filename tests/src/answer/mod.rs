//! What a client library would make of an answer, and whether the answer is well formed.

pub mod anthropic;
pub mod cohere;
pub mod completions;
pub mod converse;
pub mod gemini;
pub mod ollama;
pub mod openai;
pub mod responses;

use serde_json::Value;

/// What a client got.
#[derive(Clone, Debug, Default)]
pub struct Got {
    /// All text.
    pub text: String,
    /// All reasoning.
    pub reasoning: String,
    /// Signatures of the reasoning.
    pub signatures: Vec<String>,
    /// The refusal's words.
    pub refusal: String,
    /// Tool calls in order.
    pub tools: Vec<GotTool>,
    /// Why it stopped, in the client's dialect.
    pub finish: Option<String>,
    /// Token counts, where they were told.
    pub usage: Option<GotUsage>,
    /// How many answers.
    pub choices: usize,
    /// How many citations.
    pub citations: usize,
    /// An error in the stream.
    pub error: Option<Value>,
    /// The model's name.
    pub model: String,
    /// What is wrong with the form of the answer.
    pub faults: Vec<String>,
}

/// A tool call that a client got.
#[derive(Clone, Debug, Default)]
pub struct GotTool {
    /// Its id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments' JSON text.
    pub arguments: String,
}

/// Token counts that a client got; `input` counts the cached tokens too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GotUsage {
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Of `input`, read from the cache.
    pub cached: u64,
    /// Of `input`, written to the cache.
    pub cache_write: u64,
    /// Of `output`, spent on reasoning.
    pub reasoning: u64,
}

impl Got {
    fn fault(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.faults.contains(&text) {
            self.faults.push(text);
        }
    }
}

/// The events of a stream: name and data.
pub fn events(body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n");
    // A comment is no event, however often providers send one to keep a connection open.
    let events = text.split("\n\n").filter(|block| block.lines().any(|line| line.starts_with("data")));
    events.map(event).collect()
}

/// One event: name and data.
pub fn event(block: &str) -> (String, String) {
    let mut name = String::new();
    let mut data = Vec::new();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value.to_owned(),
            "data" => data.push(value),
            _ => {}
        }
    }
    (name, data.join("\n"))
}
