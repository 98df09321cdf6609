//! What a completion, or a chunk of one, says about itself.

use std::borrow::Cow;

use gatewright_core::ReplyFacts;
use serde::Deserialize;

#[derive(Deserialize)]
struct About<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

/// Nothing where it is none of the two: an error is another reader's business.
pub(super) fn of(data: &[u8]) -> ReplyFacts {
    let Ok(About { id, model, choices }) = serde_json::from_slice(data) else {
        return ReplyFacts::default();
    };
    let known = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned).filter(|text| !text.is_empty());
    let ended = |choice: Choice<'_>| Some((choice.index, known(choice.finish_reason)?));
    ReplyFacts { id: known(id), model: known(model), finish: choices.into_iter().filter_map(ended).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_and_whole_answers_tell_id_model_and_ends() {
        for (data, id, model, finish) in [
            (
                r#"{"id":"c1","model":"gpt-4o-2024-08-06","choices":[{"index":0,"finish_reason":"stop","message":{}},{"index":1,"finish_reason":"length"}]}"#,
                Some("c1"),
                Some("gpt-4o-2024-08-06"),
                vec![(0, "stop"), (1, "length")],
            ),
            (
                r#"{"id":"c1","model":"","choices":[{"delta":{"content":"x"},"finish_reason":null}]}"#,
                Some("c1"),
                None,
                vec![],
            ),
            (r#"{"choices":[{"finish_reason":"tool\u005fcalls"}]}"#, None, None, vec![(0, "tool_calls")]),
            ("[DONE]", None, None, vec![]),
        ] {
            let facts = of(data.as_bytes());
            assert_eq!((facts.id.as_deref(), facts.model.as_deref()), (id, model), "{data}");
            assert_eq!(facts.finish, finish.into_iter().map(|(at, why)| (at, why.to_owned())).collect());
        }
    }
}
