//! What was asked and answered, in OpenAI's form as LiteLLM's payload has it.

use std::time::UNIX_EPOCH;

use gatewright_core::chat::Answer;
use gatewright_core::{AttemptId, Dialect, Json, Losses, ModelFacts, Operation, ReplyStyle};
use gatewright_dialects::{Said, Told};
use serde_json::{Map, Value, json};

use crate::payload::noted_id;
use crate::record::{Content, Record};

/// What stands where something was left out. LiteLLM's.
pub(crate) const REDACTED: &str = "redacted-by-litellm";

/// What a payload says of it.
pub(crate) struct Spoken {
    /// The answer's id, where it has one.
    pub(crate) id: Option<String>,
    pub(crate) messages: Value,
    pub(crate) response: Value,
    pub(crate) parameters: Value,
    /// The tools of the provider's own that were asked for.
    pub(crate) tools: Value,
}

/// Fields of requests that are not parameters: the conversation, in any dialect's words, and what stands elsewhere.
const SPOKEN: [&str; 14] = [
    "model",
    "messages",
    "input",
    "prompt",
    "contents",
    "system",
    "systemInstruction",
    "system_instruction",
    "instructions",
    "query",
    "documents",
    "suffix",
    "image",
    "mask",
];

/// Reads it; where `content` is not there, what stands in its place.
pub(crate) fn of(record: &Record, content: Option<&Content>) -> Spoken {
    let noted = noted_id(record.notes.as_ref());
    let Some(content) = content else {
        return Spoken {
            id: noted,
            messages: json!([{"role": "user", "content": REDACTED}]),
            response: redacted(record),
            parameters: json!({}),
            tools: tools(&Value::Null),
        };
    };
    let Told { said, .. } = content.told.read(record.codec, record.operation, content.streams);
    let (id, response) = match said {
        Said::Answer(answer) => (Some(answer.id.clone()).filter(|id| !id.is_empty()), whole(record, *answer)),
        Said::Json(value) => (value.get("id").and_then(Value::as_str).map(str::to_owned), value),
        Said::Nothing => (None, Value::Null),
    };
    let asked = content.asked.as_ref();
    let parameters = asked.map_or_else(|| json!({}), parameters);
    Spoken {
        id: id.or(noted),
        messages: asked.map_or(Value::Null, |asked| messages(record, asked)),
        response,
        tools: tools(&parameters),
        parameters,
    }
}

/// The conversation, or what else was asked.
fn messages(record: &Record, asked: &Json) -> Value {
    let field = |name: &str| asked.get::<Value>(name).ok().flatten();
    if record.operation != Operation::Chat {
        let found = ["input", "prompt", "query"].into_iter().find_map(field);
        return found.unwrap_or_default();
    }
    if record.codec.dialect() == Dialect::OpenAiChat {
        return field("messages").unwrap_or_default();
    }
    let openai = gatewright_dialects::of(Dialect::OpenAiChat);
    let chat = record.codec.decode_request(asked).ok();
    let encoded = chat
        .and_then(|chat| openai.encode_request(&chat, &ModelFacts::default(), &mut Losses::default()).ok());
    let request = encoded.and_then(|body| serde_json::from_slice::<Map<String, Value>>(&body).ok());
    request.and_then(|mut request| request.shift_remove("messages")).unwrap_or_default()
}

fn parameters(asked: &Json) -> Value {
    let mut parameters = Map::new();
    for field in asked.fields().filter(|field| !SPOKEN.contains(&&*field.key)) {
        if let Ok(Some(value)) = field.get::<Value>() {
            parameters.insert(field.key.clone().into_owned(), value);
        }
    }
    Value::Object(parameters)
}

/// Those that LiteLLM's payload tells apart: searches in the web, and in files.
fn tools(parameters: &Value) -> Value {
    let listed = parameters["tools"].as_array().map_or(&[][..], |tools| tools);
    let of_kind = |kind: &str| {
        let is = |tool: &&Value| tool["type"].as_str().is_some_and(|found| found.starts_with(kind));
        listed.iter().find(is).cloned()
    };
    let options = parameters.get("web_search_options").cloned();
    json!({"web_search_options": options.or_else(|| of_kind("web_search")), "file_search": of_kind("file_search")})
}

/// A model's answer as OpenAI writes it.
fn whole(record: &Record, mut answer: Answer) -> Value {
    answer.usage = answer.usage.or(record.usage);
    let openai = gatewright_dialects::of(Dialect::OpenAiChat);
    serde_json::from_slice(&openai.encode_reply(&answer, &style(record))).unwrap_or_default()
}

fn style(record: &Record) -> ReplyStyle {
    ReplyStyle {
        model: record.model.clone(),
        include_usage: true,
        created: record.ended.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        attempt: AttemptId::from_bytes(record.id.to_bytes()),
        older_functions: false,
        asked: None,
    }
}

/// An answer whose words were left out.
fn redacted(record: &Record) -> Value {
    match record.operation {
        Operation::Chat => json!({
            "model": &*record.model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": REDACTED}}],
        }),
        _ => json!({"text": REDACTED}),
    }
}
