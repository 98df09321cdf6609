//! What an answer, or an event of one, says about itself.

use gatewright_core::ReplyFacts;
use serde::Deserialize;

/// A whole answer, `message-start`, or `message-end` with the reason inside.
#[derive(Deserialize)]
struct About {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
    finish_reason: Option<String>,
    delta: Option<End>,
}

#[derive(Deserialize)]
struct End {
    finish_reason: Option<String>,
}

/// Nothing where it is none of them: an error is another reader's business.
pub(super) fn of(data: &[u8]) -> ReplyFacts {
    let Ok(About { kind, id, finish_reason, delta }) = serde_json::from_slice(data) else {
        return ReplyFacts::default();
    };
    let finish = match kind.as_deref() {
        None => finish_reason,
        Some("message-start") => None,
        Some("message-end") => delta.and_then(|end| end.finish_reason),
        Some(_) => return ReplyFacts::default(),
    };
    ReplyFacts { id, model: None, finish: finish.map(|why| (0, why)).into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_whole_answers_tell_id_and_end() {
        for (data, id, finish) in [
            (r#"{"id":"a","message":{},"finish_reason":"COMPLETE"}"#, Some("a"), Some("COMPLETE")),
            (r#"{"type":"message-start","id":"a","delta":{"message":{}}}"#, Some("a"), None),
            (r#"{"type":"message-end","delta":{"finish_reason":"TOOL_CALL"}}"#, None, Some("TOOL_CALL")),
            (r#"{"type":"content-delta","id":"no"}"#, None, None),
            ("[DONE]", None, None),
        ] {
            let facts = of(data.as_bytes());
            assert_eq!(facts.id.as_deref(), id, "{data}");
            assert_eq!(facts.finish.get(&0).map(String::as_str), finish, "{data}");
        }
    }
}
