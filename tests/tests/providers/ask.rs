//! What clients ask of every provider: an operation, a feature of it, and what the provider answers.

use gatewright_tests::answer::{Got, anthropic, completions, gemini, openai, responses};
use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::upstream::{Said, Used};
use serde_json::{Value, json};

use crate::seat::{folders, read};

const CHAT: &str = "/v1/chat/completions";

/// Where tokens are counted, which is no attempt and costs nothing.
pub const COUNT: &str = "/v1/messages/count_tokens";

/// What stands in a body for the host that has files.
pub const FILES: &str = "http://files";

/// A picture and a document of a few bytes.
const PNG: &str = "data:image/png;base64,iVBORw0KGgo=";
const PDF: &str = "data:application/pdf;base64,JVBERi0xLjQK";

/// The arguments of every call, and the object of every structured answer.
const OBJECT: [&str; 2] = [r#"{"city":"#, r#""Paris"}"#];

/// What most answers use.
const USED: Used = Used { input: 40, output: 7, cached: 0, cache_write: 0, reasoning: 0 };

/// One request of a client's.
pub struct Ask {
    /// The operation and the feature.
    pub name: &'static str,
    /// The operation by the provider's words.
    pub operation: &'static str,
    pub path: &'static str,
    /// Without the model.
    pub body: Value,
    /// The name of the file that is uploaded with the body's fields.
    pub file: Option<&'static str>,
    /// What the provider's model says.
    pub said: Said,
    /// How the client reads it.
    pub reads: Reads,
    /// Whether it is asked for as a stream too, which must come to the same.
    pub streams: bool,
}

/// How a client reads an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    Chat,
    Messages,
    Responses,
    Completions,
    Gemini,
    /// Something in OpenAI's form, that must have what stands at this pointer.
    Whole(&'static str),
}

/// All that is asked.
pub fn all() -> Vec<Ask> {
    [chats(), clients(), vectors(), media()].into_iter().flatten().collect()
}

// === impl Ask ===

impl Ask {
    fn chat(name: &'static str, content: impl Into<Value>, more: Value) -> Self {
        let mut body = chat("", "", more);
        body["messages"][0]["content"] = content.into();
        let said = Said { used: USED, ..Said::words(3) };
        Self {
            name,
            operation: "chat",
            path: CHAT,
            body,
            file: None,
            said,
            reads: Reads::Chat,
            streams: true,
        }
    }

    fn whole(operation: &'static str, path: &'static str, body: Value, pointer: &'static str) -> Self {
        let said = Said { used: USED, ..Said::words(3) };
        let reads = Reads::Whole(pointer);
        Self { name: operation, operation, path, body, file: None, said, reads, streams: false }
    }

    fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    fn said(self, said: Said) -> Self {
        Self { said: Said { used: USED, ..said }, ..self }
    }

    fn using(mut self, used: Used) -> Self {
        self.said.used = used;
        self
    }

    fn with_file(self, field: &'static str) -> Self {
        Self { file: Some(field), ..self }
    }

    /// Asks a gateway's group, with files of this host.
    pub fn ask(&self, client: &Client, group: &str, (stream, files): (bool, &str)) -> Response {
        let mut body: Value = serde_json::from_str(&self.body.to_string().replace(FILES, files)).unwrap();
        body["model"] = json!(group);
        let path = match (self.reads, stream) {
            (Reads::Gemini, false) => format!("{}/{}:generateContent", self.path, group.replace('/', "%2F")),
            (Reads::Gemini, true) => {
                format!("{}/{}:streamGenerateContent?alt=sse", self.path, group.replace('/', "%2F"))
            }
            _ => self.path.to_owned(),
        };
        let fields = body.as_object_mut().unwrap();
        match (self.reads, stream) {
            (Reads::Gemini, _) => drop(fields.remove("model")),
            (_, true) => drop(fields.insert("stream".to_owned(), json!(true))),
            (_, false) => drop(fields.remove("stream")),
        }
        if stream && matches!(self.reads, Reads::Chat | Reads::Completions) {
            body["stream_options"] = json!({"include_usage": true});
        }
        match self.file {
            None => client.post(&path, &body),
            Some(field) => {
                let fields = body.as_object().unwrap().iter();
                let fields: Vec<_> = fields.map(|(name, value)| (&**name, value.as_str().unwrap())).collect();
                client.upload(&path, (field, b"RIFF a file"), &fields)
            }
        }
    }
}

// === impl Reads ===

impl Reads {
    /// What a client makes of an answer.
    pub fn read(self, answer: &Response, stream: bool) -> Got {
        match (self, stream) {
            (Self::Chat, false) => openai::whole(&answer.json()),
            (Self::Chat, true) => openai::stream(&answer.body),
            (Self::Messages, false) => anthropic::whole(&answer.json()),
            (Self::Messages, true) => anthropic::stream(&answer.body),
            (Self::Responses, false) => responses::whole(&answer.json()),
            (Self::Responses, true) => responses::stream(&answer.body),
            (Self::Gemini, false) => gemini::whole(&answer.json()),
            (Self::Gemini, true) => gemini::stream(&answer.body),
            (Self::Completions, false) => completions::whole(&answer.json()),
            (Self::Completions, true) => completions::stream(&answer.body),
            (Self::Whole(_), _) => Got::default(),
        }
    }
}

/// What clients of OpenAI's chat ask for.
fn chats() -> Vec<Ask> {
    let tool = json!({"type": "function", "function": {
        "name": "look", "description": "Looks.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }});
    let called = || Said::default().tool("call_1", "look", &OBJECT);
    let many = || called().tool("call_2", "look", &OBJECT);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
                        "additionalProperties": false});
    let structured = json!({"response_format": {
        "type": "json_schema", "json_schema": {"name": "seen", "schema": schema, "strict": true},
    }});
    let part = |part: Value| json!([{"type": "text", "text": "What is it?"}, part]);
    let marked = json!([{"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}]);
    let thought = Said::words(3).thinking(["Let me ", "see."], "c2lnbmVk");
    vec![
        Ask::chat("chat: everything", "", everything()).said(Said::text(OBJECT)),
        Ask::chat("chat: a text", "hi", json!({})),
        Ask::chat("chat: a tool", "hi", json!({"tools": [tool]})).said(called()),
        Ask::chat("chat: calls side by side", "hi", json!({"tools": [tool], "tool_choice": "auto"}))
            .said(many()),
        Ask::chat(
            "chat: a tool that must be called",
            "hi",
            json!({
                "tools": [tool], "tool_choice": {"type": "function", "function": {"name": "look"}},
            }),
        )
        .said(called()),
        Ask::chat("chat: what a tool said", "hi", told_by(&tool)),
        Ask::chat(
            "chat: a picture",
            part(json!({"type": "image_url", "image_url": {"url": PNG}})),
            json!({}),
        ),
        Ask::chat(
            "chat: a picture at an address",
            part(json!({"type": "image_url", "image_url": {"url": format!("{FILES}/a.png")}})),
            json!({}),
        ),
        Ask::chat(
            "chat: a document",
            part(json!({
                "type": "file", "file": {"filename": "a.pdf", "file_data": PDF},
            })),
            json!({}),
        ),
        Ask::chat(
            "chat: a sound",
            part(json!({
                "type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"},
            })),
            json!({}),
        ),
        Ask::chat("chat: a schema", "hi", structured).said(Said::text(OBJECT)),
        Ask::chat("chat: an object", "JSON, please", json!({"response_format": {"type": "json_object"}}))
            .said(Said::text(OBJECT)),
        Ask::chat("chat: thinking", "hi", json!({"reasoning_effort": "low", "max_completion_tokens": 4000}))
            .said(thought)
            .using(Used { reasoning: 3, ..USED }),
        Ask::chat("chat: a cache mark", marked, json!({})).using(Used { cached: 12, ..USED }),
    ]
}

/// A request that says whatever a client can.
fn everything() -> Value {
    serde_json::from_str(&read(&folders().join("in.json"))).unwrap()
}

/// A conversation in which a tool has answered.
fn told_by(tool: &Value) -> Value {
    let call = json!({"id": "call_1", "type": "function",
                      "function": {"name": "look", "arguments": OBJECT.concat()}});
    json!({"tools": [tool], "messages": [
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]})
}

/// What clients of the other dialects ask for.
fn clients() -> Vec<Ask> {
    let body = |name, path, reads, body: Value| Ask { path, reads, body, ..Ask::chat(name, "", json!({})) };
    let turn = json!([{"role": "user", "content": "hi"}]);
    let tool = json!({"name": "look", "input_schema": {"type": "object", "properties": {}}});
    let called = Said::default().tool("call_1", "look", &OBJECT);
    vec![
        body("messages", "/v1/messages", Reads::Messages, json!({"max_tokens": 64, "messages": turn})),
        body(
            "messages: a tool",
            "/v1/messages",
            Reads::Messages,
            json!({
                "max_tokens": 64, "messages": turn, "tools": [tool], "system": "Be brief.",
            }),
        )
        .said(called),
        Ask {
            operation: "chat",
            ..Ask::whole("messages: a count", COUNT, json!({"messages": turn}), "/input_tokens")
        },
        body("responses", "/v1/responses", Reads::Responses, json!({"input": "hi", "store": false})),
        body("completions", "/v1/completions", Reads::Completions, json!({"prompt": "hi", "max_tokens": 9})),
        body(
            "generateContent",
            "/v1beta/models",
            Reads::Gemini,
            json!({
                "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            }),
        ),
    ]
}

fn vectors() -> Vec<Ask> {
    let documents = json!(["a", "bc", "def"]);
    let embeddings = |body| Ask::whole("embeddings", "/v1/embeddings", body, "/data/0/embedding");
    let ranking = json!({"query": "q", "documents": documents, "top_n": 2, "return_documents": true});
    vec![
        embeddings(json!({"input": "hello"})),
        embeddings(json!({"input": ["hello", "you"], "dimensions": 256})).named("embeddings: of two"),
        embeddings(json!({"input": "hello", "encoding_format": "base64", "user": "u-1"}))
            .named("embeddings: in base64"),
        Ask::whole("rerank", "/v1/rerank", ranking, "/results/1/relevance_score"),
        Ask::whole("moderations", "/v1/moderations", json!({"input": "x"}), "/results/0/flagged"),
    ]
}

fn media() -> Vec<Ask> {
    let pictures = |operation, path, body| Ask::whole(operation, path, body, "/data/0/b64_json");
    let heard = |operation, path| {
        let ask = Ask::whole(operation, path, json!({"response_format": "json"}), "/text");
        ask.with_file("file")
    };
    let speech = json!({"input": "hello", "voice": "alloy"});
    vec![
        pictures("image_generations", "/v1/images/generations", json!({"prompt": "a cat", "n": 1})),
        pictures("image_edits", "/v1/images/edits", json!({"prompt": "a hat"})).with_file("image"),
        pictures("image_variations", "/v1/images/variations", json!({"n": "1"})).with_file("image"),
        Ask::whole("speech", "/v1/audio/speech", speech, ""),
        heard("transcriptions", "/v1/audio/transcriptions"),
        heard("translations", "/v1/audio/translations"),
    ]
}
