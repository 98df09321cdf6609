//! What clients ask, for the tables of written requests.

use gatewright_core::ModelFacts;
use gatewright_core::chat::{
    Chat, Effort, Extra, Media, MediaKind, MediaSource, Output, Part, Reasoning, Role, Tool, ToolCall,
    ToolResult, Turn,
};
use serde_json::{Value, json};

use super::encode;

/// What a client asks beyond a greeting.
pub(super) type Ask = fn(&mut Chat);

pub(super) fn written(ask: Ask, model: &ModelFacts) -> (Value, Vec<String>) {
    let turns = vec![Turn::new(Role::User, vec![Part::text("hi")])];
    let mut chat = Chat { turns, ..Chat::default() };
    ask(&mut chat);
    encode(&chat, model)
}

/// What stands at a JSON pointer of the request; `null` where nothing does.
pub(super) fn check(cases: &[(Ask, &ModelFacts, &str, Value, &[&str])]) {
    for (i, (ask, model, pointer, want, lost)) in cases.iter().enumerate() {
        let (body, losses) = written(*ask, model);
        let got = body.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(got, *want, "case {i} at {pointer} of {body}");
        assert_eq!(losses, *lost, "case {i}");
    }
}

pub(super) fn function(name: &str) -> Tool {
    Tool::Function {
        name: name.into(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
        extra: Extra::new(),
    }
}

pub(super) fn call(id: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall { id: id.into(), name: "f".into(), arguments: arguments.into(), cache: None })
}

pub(super) fn result(id: &str, parts: Vec<Part>) -> Part {
    Part::ToolResult(ToolResult { id: id.into(), parts, is_error: false, cache: None })
}

pub(super) fn media(kind: MediaKind, source: MediaSource) -> Part {
    Part::Media(Media { kind, source, name: Some("n".into()), cache: None, extra: Extra::new() })
}

pub(super) fn base64(media_type: &str) -> MediaSource {
    MediaSource::Base64 { media_type: media_type.into(), data: "aGk=".into() }
}

pub(super) fn think(effort: Effort) -> Option<Reasoning> {
    Some(Reasoning { effort: Some(effort), ..Reasoning::default() })
}

pub(super) fn schema(schema: Value) -> Output {
    Output::JsonSchema { name: "n".into(), description: None, schema, strict: Some(true) }
}

pub(super) fn closed() -> Value {
    json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"],
            "additionalProperties": false })
}
