//! What a call asks: the text that is compared, and the class that everything else about it makes.

use std::fmt::Debug;
use std::sync::Arc;

use gatewright_core::chat::{Chat, Part, Role, Turn};
use gatewright_core::{Body, Call, Dialect, Operation};
use serde_json::Value;

use super::{Class, SimilarSettings};

/// A question that may be answered as one like it was.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    /// What is compared.
    pub(super) text: Arc<str>,
    /// Where it is compared.
    pub(super) class: Class,
}

/// Where a dialect's texts stand in its JSON.
const TEXT_FIELDS: [&str; 3] = ["text", "content", "parts"];

// === impl Asked ===

impl Asked {
    /// Nothing where a call is not compared: it asks for no conversation, has pictures or other media in it, whose likeness
    /// nobody measures, or no text, or too long a one.
    ///
    /// `class` says what makes the call another one besides a field of its body, and takes down with it what is left of
    /// that field without the compared text.
    pub(super) fn of(
        call: &Call,
        settings: &SimilarSettings,
        class: impl FnOnce(&str, &[u8]) -> Class,
    ) -> Option<Self> {
        let (Operation::Chat, Body::Json(body)) = (call.operation, &call.body) else { return None };
        let (chat, said) = (call.chat().ok()?, said_in(call.codec.dialect()));
        let mut rest = format!("{} {}", settings.model, settings.messages);
        if settings.by_end_user {
            write(&mut rest, &(&call.controls.end_user, &call.caller.end_user));
        }
        let mut texts = Vec::new();
        for (turn, is_compared) in chat.turns.iter().zip(compared(chat, settings.messages)) {
            take_turn(&mut rest, turn, is_compared.then_some(&mut texts))?;
        }
        let text = texts.join("\n");
        if text.trim().is_empty() || text.len() > settings.longest_text {
            return None;
        }
        // What the canonical form does not hold of the conversation must be the same too.
        let mut written: Value = body.get(said).ok()??;
        blank(&mut written, &texts, true);
        write(&mut rest, &written);
        Some(Self { text: text.into(), class: class(said, rest.as_bytes()) })
    }
}

/// The field of a request that the conversation stands in.
fn said_in(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiResponses => "input",
        Dialect::OpenAiCompletions => "prompt",
        Dialect::Gemini => "contents",
        Dialect::OpenAiChat
        | Dialect::AnthropicMessages
        | Dialect::BedrockConverse
        | Dialect::CohereChat
        | Dialect::OllamaChat => "messages",
    }
}

/// Of which turns the texts are compared: the last so many. What the application instructs must be the same: instructions
/// that are alike in all but a word want other answers.
fn compared(chat: &Chat, messages: usize) -> Vec<bool> {
    let mut left = messages;
    let mut of = |turn: &Turn| {
        let is_compared = left > 0 && !matches!(turn.role, Role::System | Role::Developer);
        left -= usize::from(is_compared);
        is_compared
    };
    let mut compared: Vec<bool> = chat.turns.iter().rev().map(&mut of).collect();
    compared.reverse();
    compared
}

/// Takes down everything of a turn but its texts, which go to `texts`, where they are compared. Nothing where it has media.
fn take_turn<'a>(rest: &mut String, turn: &'a Turn, mut texts: Option<&mut Vec<&'a str>>) -> Option<()> {
    write(rest, &(turn.role, turn.parts.len(), &turn.name, &turn.extra));
    for part in &turn.parts {
        match (part, texts.as_deref_mut()) {
            (Part::Media(_), _) => return None,
            (Part::ToolResult(result), _)
                if result.parts.iter().any(|part| matches!(part, Part::Media(_))) =>
            {
                return None;
            }
            (Part::Text { text, citations, cache }, Some(texts)) => {
                write(rest, &("text", citations, cache));
                texts.push(text);
            }
            // What a tool was asked and what it answered must be the same: two numbers are alike, and mean something else.
            (part, _) => write(rest, part),
        }
    }
    Some(())
}

/// Takes the compared texts out of a conversation's JSON.
fn blank(value: &mut Value, texts: &[&str], holds_text: bool) {
    match value {
        Value::String(text) if holds_text && texts.contains(&&**text) => *value = Value::Null,
        Value::Array(items) => items.iter_mut().for_each(|item| blank(item, texts, holds_text)),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(key, value)| blank(value, texts, TEXT_FIELDS.contains(&&**key)));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The debug form names every field and quotes every text, so that two facts never read as one another.
fn write(rest: &mut String, fact: &impl Debug) {
    use std::fmt::Write;
    let _ = writeln!(rest, "{fact:?}");
}

#[cfg(test)]
mod tests {
    use gatewright_core::{Json, JsonLimits};
    use serde_json::json;

    use super::*;
    use crate::similar::Class;

    fn asked(dialect: Dialect, body: &Value) -> Option<(String, Class)> {
        let parsed = Json::parse(body.to_string().into(), JsonLimits::default()).unwrap();
        let call =
            Call::new(Operation::Chat, gatewright_dialects::of(dialect), "m", Body::Json(parsed.clone()));
        let class = |field: &str, rest: &[u8]| {
            let others = parsed.fields().filter(|other| other.key != field).map(|field| field.raw.to_vec());
            Class::of(others.collect::<Vec<_>>().iter().map(Vec::as_slice).chain([rest]))
        };
        Asked::of(&call, &SimilarSettings::default(), class)
            .map(|asked| (asked.text.to_string(), asked.class))
    }

    fn chat(messages: Value) -> Option<(String, Class)> {
        asked(Dialect::OpenAiChat, &json!({"model": "m", "messages": messages}))
    }

    fn says(role: &str, text: &str) -> Value {
        json!({"role": role, "content": text})
    }

    #[test]
    fn the_last_messages_are_compared_and_all_before_must_be_the_same() {
        let talk = |first: &str, last: &str| {
            let between = ["b", "c", "d"].map(|text| says("user", text));
            chat(Value::from([&[says("user", first)], &between[..], &[says("user", last)]].concat())).unwrap()
        };
        let (text, class) = talk("a", "e");
        assert_eq!(text, "b\nc\nd\ne");
        let (text, same) = talk("a", "other");
        assert_eq!((&*text, same), ("b\nc\nd\nother", class));
        assert_ne!(talk("other", "e").1, class);
        // Also where the same words stand in what is compared.
        assert_ne!(talk("b", "e").1, class);
    }

    #[test]
    fn instructions_must_be_the_same() {
        for role in ["system", "developer"] {
            let of = |told: &str| chat(json!([says(role, told), says("user", "hi")])).unwrap();
            assert_eq!(of("speak French").0, "hi");
            assert_ne!(of("speak French").1, of("speak German").1);
        }
    }

    #[test]
    fn only_words_may_differ() {
        let with = |message: Value| chat(json!([message])).unwrap().1;
        let base = with(says("user", "hi"));
        assert_eq!(with(says("user", "hello")), base);
        for other in [
            json!({"role": "assistant", "content": "hi"}),
            json!({"role": "user", "content": "hi", "name": "ann"}),
            json!({"role": "user", "content": "hi", "unheard_of": 1}),
            json!({"role": "user", "content": [{"type": "text", "text": "hi"}]}),
            json!({"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "hi"}]}),
        ] {
            assert_ne!(with(other.clone()), base, "{other}");
        }
        let call = |arguments: &str, answer: &str| {
            let function = json!({"name": "f", "arguments": arguments});
            let asks = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": function}]});
            chat(json!([says("user", "hi"), asks, {"role": "tool", "tool_call_id": "1", "content": answer}]))
                .unwrap()
        };
        assert_eq!(call("{}", "3").0, "hi");
        assert_ne!(call("{}", "3").1, call("{}", "30").1);
        assert_ne!(call("{}", "3").1, call("{\"a\":1}", "3").1);
    }

    #[test]
    fn parameters_must_be_the_same() {
        let with = |field: &str, value: Value| {
            asked(
                Dialect::OpenAiChat,
                &json!({"model": "m", "messages": [says("user", "hi")], (field): value}),
            )
            .unwrap()
            .1
        };
        assert_ne!(with("temperature", json!(0)), with("temperature", json!(1)));
        assert_ne!(with("response_format", json!({"type": "text"})), with("temperature", json!(0)));
    }

    #[test]
    fn every_dialect_is_compared() {
        for (dialect, of) in [
            (Dialect::OpenAiChat, (|text| json!({"messages": [says("user", text)]})) as fn(&str) -> Value),
            (Dialect::OpenAiResponses, |text| json!({"input": text})),
            (Dialect::OpenAiResponses, |text| json!({"input": [says("user", text)]})),
            (Dialect::OpenAiCompletions, |text| json!({"prompt": text})),
            (Dialect::AnthropicMessages, |text| json!({"max_tokens": 9, "messages": [says("user", text)]})),
            (Dialect::Gemini, |text| json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})),
            (
                Dialect::BedrockConverse,
                |text| json!({"messages": [{"role": "user", "content": [{"text": text}]}]}),
            ),
            (Dialect::CohereChat, |text| json!({"messages": [says("user", text)]})),
            (Dialect::OllamaChat, |text| json!({"messages": [says("user", text)]})),
        ] {
            let of = |text: &str| {
                let mut body = of(text);
                body["model"] = "m".into();
                asked(dialect, &body).unwrap_or_else(|| panic!("{dialect:?}"))
            };
            assert_eq!(of("how are you").0, "how are you", "{dialect:?}");
            assert_eq!(of("how are you").1, of("how do you do").1, "{dialect:?}");
        }
    }

    #[test]
    fn what_has_pictures_or_no_words_or_too_many_is_not_compared() {
        let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
        assert_eq!(
            chat(json!([{"role": "user", "content": [{"type": "text", "text": "what is it"}, picture]}])),
            None
        );
        assert_eq!(chat(json!([{"role": "user", "content": [picture]}, says("user", "what is it")])), None);
        assert_eq!(chat(json!([says("system", "speak")])), None);
        assert_eq!(chat(json!([says("user", "  ")])), None);
        assert_eq!(chat(json!([says("user", &"x".repeat(33 * 1024))])), None);
    }
}
