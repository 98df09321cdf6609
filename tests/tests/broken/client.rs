//! The clients: how each asks, and what it makes of an answer that broke.

use std::io;

use gatewright_tests::answer::{self, Got};
use gatewright_tests::client::{Client, Response, chat, message};
use serde_json::{Value, json};

use crate::wire::Wire;

/// What a client made of a stream.
#[derive(Debug)]
pub struct Read {
    /// What it says.
    pub text: String,
    /// How many events tell an error.
    pub errors: usize,
    /// Whether it looks as if the answer were whole.
    pub finished: bool,
    /// What is wrong with its form.
    pub faults: Vec<String>,
}

/// Asks in the dialect of `wire`.
pub fn ask(client: &Client, wire: Wire, group: &str, text: &str, stream: bool) -> io::Result<Response> {
    let (path, body) = request(wire, group, text, stream);
    client.try_post(&path, &body)
}

/// The path and the body of a question.
pub fn request(wire: Wire, group: &str, text: &str, stream: bool) -> (String, Value) {
    let more = json!({ "stream": stream });
    let turn = json!([{"role": "user", "content": text}]);
    match wire {
        Wire::OpenAi => ("/v1/chat/completions".to_owned(), chat(group, text, more)),
        Wire::Anthropic => ("/v1/messages".to_owned(), message(group, text, more)),
        Wire::Responses => {
            ("/v1/responses".to_owned(), json!({"model": group, "input": text, "stream": stream}))
        }
        Wire::Cohere => ("/v2/chat".to_owned(), json!({"model": group, "messages": turn, "stream": stream})),
        Wire::Ollama => ("/api/chat".to_owned(), json!({"model": group, "messages": turn, "stream": stream})),
        Wire::Gemini => {
            let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let body = json!({"contents": [{"role": "user", "parts": [{ "text": text }]}]});
            (format!("/v1beta/models/{group}:{method}"), body)
        }
        Wire::Converse => {
            let method = if stream { "converse-stream" } else { "converse" };
            let body = json!({"messages": [{"role": "user", "content": [{ "text": text }]}]});
            (format!("/bedrock/model/{group}/{method}"), body)
        }
    }
}

/// Reads a stream.
pub fn read(wire: Wire, body: &[u8]) -> Read {
    let Got { text, finish, faults, .. } = match wire {
        Wire::OpenAi => answer::openai::stream(body),
        Wire::Anthropic => answer::anthropic::stream(body),
        Wire::Gemini => answer::gemini::stream(body),
        Wire::Converse => answer::converse::stream(body),
        Wire::Cohere => answer::cohere::stream(body),
        Wire::Ollama => answer::ollama::read(body),
        Wire::Responses => answer::responses::stream(body),
    };
    let errors = errors(wire, body);
    // Cohere has no event for an error but its last one.
    let finished = finish.is_some() && !(wire == Wire::Cohere && finish.as_deref() == Some("ERROR"));
    let stopped = wire == Wire::Anthropic && String::from_utf8_lossy(body).contains("message_stop");
    Read { text, errors, finished: finished || stopped, faults }
}

/// The words of an error that came in place of an answer; empty where it is not in the dialect's form.
pub fn refusal(wire: Wire, response: &Response) -> String {
    let body = response.json();
    let words = match wire {
        Wire::OpenAi | Wire::Responses | Wire::Gemini => &body["error"]["message"],
        Wire::Anthropic if body["type"] == "error" => &body["error"]["message"],
        Wire::Cohere | Wire::Converse => &body["message"],
        Wire::Ollama => &body["error"],
        Wire::Anthropic => &Value::Null,
    };
    words.as_str().unwrap_or_default().to_owned()
}

fn errors(wire: Wire, body: &[u8]) -> usize {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let events = || answer::events(body).into_iter().map(|(name, data)| (name, parsed(&data)));
    match wire {
        Wire::OpenAi | Wire::Gemini => events().filter(|(_, event)| event["error"].is_object()).count(),
        Wire::Anthropic => events().filter(|(name, _)| name == "error").count(),
        Wire::Responses => events().filter(|(name, _)| name == "error" || name == "response.failed").count(),
        Wire::Cohere => events().filter(|(_, event)| event["delta"]["error"].is_string()).count(),
        Wire::Ollama => {
            String::from_utf8_lossy(body).lines().filter(|line| parsed(line)["error"].is_string()).count()
        }
        Wire::Converse => String::from_utf8_lossy(body).matches(":exception-type").count(),
    }
}
