//! What a message, or an event of one, says about itself.

use std::borrow::Cow;

use gatewright_core::ReplyFacts;
use serde::Deserialize;

/// A whole message, `message_start` with the message inside, or `message_delta`.
#[derive(Deserialize)]
struct About<'a> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    delta: Option<Message<'a>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

/// Nothing where it is neither: an error is another reader's business.
pub(super) fn of(data: &[u8]) -> ReplyFacts {
    let Ok(About { kind, message, delta, id, model, stop_reason }) = serde_json::from_slice(data) else {
        return ReplyFacts::default();
    };
    let told = match &*kind {
        "message" => Some(Message { id, model, stop_reason }),
        "message_start" => message,
        "message_delta" => delta,
        _ => None,
    };
    let Some(Message { id, model, stop_reason }) = told else {
        return ReplyFacts::default();
    };
    let known = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned).filter(|text| !text.is_empty());
    let finish = known(stop_reason).map(|why| (0, why));
    ReplyFacts { id: known(id), model: known(model), finish: finish.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_whole_messages_tell_id_model_and_end() {
        for (data, id, model, finish) in [
            (
                r#"{"type":"message","id":"m1","model":"claude-x","content":[],"stop_reason":"end_turn"}"#,
                Some("m1"),
                Some("claude-x"),
                Some("end_turn"),
            ),
            (
                r#"{"type":"message_start","message":{"id":"m1","model":"claude-x","stop_reason":null}}"#,
                Some("m1"),
                Some("claude-x"),
                None,
            ),
            (r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#, None, None, Some("tool_use")),
            (r#"{"type":"content_block_delta","index":0,"delta":{"id":"no"}}"#, None, None, None),
            ("nothing", None, None, None),
        ] {
            let facts = of(data.as_bytes());
            assert_eq!((facts.id.as_deref(), facts.model.as_deref()), (id, model), "{data}");
            assert_eq!(facts.finish.get(&0).map(String::as_str), finish, "{data}");
        }
    }
}
