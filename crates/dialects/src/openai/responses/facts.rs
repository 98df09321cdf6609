//! What a response, or an event of its stream, says about itself.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gatewright_core::ReplyFacts;
use serde::Deserialize;

#[derive(Deserialize, Default)]
struct About<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    response: Option<About<'a>>,
}

/// Nothing where it is none of the two: an error is another reader's business.
pub(super) fn of(data: &[u8]) -> ReplyFacts {
    let within = serde_json::from_slice::<Event<'_>>(data).ok().and_then(|event| event.response);
    let about = within.or_else(|| serde_json::from_slice(data).ok()).unwrap_or_default();
    let known = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned).filter(|text| !text.is_empty());
    let ended = known(about.status).filter(|status| !matches!(status.as_str(), "in_progress" | "queued"));
    let finish = BTreeMap::from_iter(ended.map(|status| (0, status)));
    // Items and deltas have ids of their own.
    let id = known(about.id).filter(|_| about.model.is_some());
    ReplyFacts { id, model: known(about.model), finish }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_and_their_events_tell_id_model_and_end() {
        for (data, id, model, finish) in [
            (
                r#"{"id":"resp_1","model":"gpt-5","status":"completed","output":[]}"#,
                Some("resp_1"),
                Some("gpt-5"),
                Some("completed"),
            ),
            (
                r#"{"type":"response.created","response":{"id":"resp_1","model":"gpt-5","status":"in_progress"}}"#,
                Some("resp_1"),
                Some("gpt-5"),
                None,
            ),
            (
                r#"{"type":"response.incomplete","response":{"id":"resp_1","model":"m","status":"incomplete"}}"#,
                Some("resp_1"),
                Some("m"),
                Some("incomplete"),
            ),
            (r#"{"type":"response.output_text.delta","item_id":"msg_1","delta":"x"}"#, None, None, None),
            ("[DONE]", None, None, None),
        ] {
            let facts = of(data.as_bytes());
            assert_eq!((facts.id.as_deref(), facts.model.as_deref()), (id, model), "{data}");
            assert_eq!(facts.finish.get(&0).map(String::as_str), finish, "{data}");
        }
    }
}
