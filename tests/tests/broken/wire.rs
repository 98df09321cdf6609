//! The upstreams that break: how each is configured, and the events that it can send.

use bytes::Bytes;
use gatewright_tests::upstream::{Upstream, aws_message};
use serde_json::json;

/// What stands for the value in an event that is unlike all others.
const ODD: &str = "@";

/// How an upstream writes its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    OpenAi,
    Anthropic,
    Gemini,
    Converse,
    Cohere,
    Ollama,
    Responses,
}

use Wire::{Anthropic, Cohere, Converse, Gemini, Ollama, OpenAi, Responses};

pub const ALL: [Wire; 7] = [OpenAi, Anthropic, Gemini, Converse, Cohere, Ollama, Responses];

// === impl Wire ===

impl Wire {
    /// Its deployment under the name of a group; `more` are further parameters.
    pub fn deployment(self, group: &str, upstream: &Upstream, more: &[(&str, f64)]) -> String {
        let (model, base) = match self {
            OpenAi => ("openai/gpt-4o", format!("{}/v1", upstream.base())),
            Anthropic => ("anthropic/claude-sonnet-4-5", upstream.base()),
            Gemini => ("gemini/gemini-2.5-flash", format!("{}/v1beta", upstream.base())),
            Converse => ("bedrock/amazon.nova-pro-v1:0", upstream.base()),
            Cohere => ("cohere/command-a-03-2025", upstream.base()),
            Ollama => ("ollama_chat/llama3.2", upstream.base()),
            Responses => ("openai/responses/gpt-5.1", format!("{}/v1", upstream.base())),
        };
        let mut params = json!({
            "model": model, "api_base": base, "api_key": "sk-fake",
            "input_cost_per_token": super::kinds::INPUT, "output_cost_per_token": super::kinds::OUTPUT,
        });
        if self == Converse {
            params.as_object_mut().unwrap().remove("api_key");
            for (key, value) in [
                ("aws_access_key_id", "AKIDTEST"),
                ("aws_secret_access_key", "s3cret"),
                ("aws_region_name", "eu-west-1"),
            ] {
                params[key] = json!(value);
            }
            params["aws_bedrock_runtime_endpoint"] = params["api_base"].take();
            params.as_object_mut().unwrap().remove("api_base");
        }
        more.iter().for_each(|(key, value)| params[key] = json!(value));
        format!("  - {}\n", json!({"model_name": group, "litellm_params": params}))
    }

    /// How many of its first events may come before any content.
    pub fn opening(self) -> usize {
        usize::from(!matches!(self, Gemini | Ollama))
    }

    /// An event that goes on with the answer, with this JSON in a field that nobody knows.
    pub fn odd(self, value: &str) -> Bytes {
        self.framed(self.json().replace(ODD, value).as_bytes())
    }

    /// One whose text has so many bytes.
    pub fn huge(self, bytes: usize) -> Bytes {
        self.framed(self.json().replace(ODD, "0").replace('é', &"x".repeat(bytes)).as_bytes())
    }

    /// One whose JSON breaks off, in a frame that is whole.
    pub fn cut_json(self) -> Bytes {
        let json = self.json();
        self.framed(&json.as_bytes()[..json.find('é').unwrap()])
    }

    /// One that breaks off within a character.
    pub fn cut_character(self) -> Bytes {
        let whole = self.framed(self.json().replace(ODD, "0").as_bytes());
        let at = whole.windows(2).position(|pair| pair == "é".as_bytes()).unwrap();
        whole.slice(..=at)
    }

    fn json(self) -> String {
        match self {
            OpenAi => json!({
                "id": "chatcmpl-odd", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": {"content": "é", "odd": ODD}}],
            }),
            Anthropic => json!({
                "type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": "é", "odd": ODD},
            }),
            Gemini => json!({
                "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "é", "odd": ODD}]}}],
                "modelVersion": "m",
            }),
            Converse => json!({"contentBlockIndex": 0, "delta": {"text": "é"}, "odd": ODD}),
            Cohere => json!({
                "type": "content-delta", "index": 0,
                "delta": {"message": {"content": {"text": "é", "odd": ODD}}},
            }),
            Ollama => json!({
                "model": "m", "created_at": "2026-01-02T03:04:05.678Z",
                "message": {"role": "assistant", "content": "é", "odd": ODD}, "done": false,
            }),
            Responses => json!({
                "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
                "delta": "é", "odd": ODD, "sequence_number": 9,
            }),
        }
        .to_string()
        .replace(&format!("\"{ODD}\""), ODD)
    }

    fn framed(self, json: &[u8]) -> Bytes {
        let (before, after): (&str, &str) = match self {
            OpenAi => ("data: ", "\n\n"),
            Gemini => ("data: ", "\r\n\r\n"),
            Anthropic => ("event: content_block_delta\ndata: ", "\n\n"),
            Cohere => ("event: content-delta\ndata: ", "\n\n"),
            Responses => ("event: response.output_text.delta\ndata: ", "\n\n"),
            Ollama => ("", "\n"),
            Converse => {
                let names = [
                    (":event-type", "contentBlockDelta"),
                    (":content-type", "application/json"),
                    (":message-type", "event"),
                ];
                return aws_message(&names, json);
            }
        };
        [before.as_bytes(), json, after.as_bytes()].concat().into()
    }

    /// The content type of its streams.
    pub fn stream_type(self) -> &'static str {
        match self {
            Converse => "application/vnd.amazon.eventstream",
            Ollama => "application/x-ndjson",
            _ => "text/event-stream",
        }
    }
}
