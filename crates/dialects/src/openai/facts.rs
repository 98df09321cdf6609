//! What a completion, or a chunk of one, says about itself.

use std::borrow::Cow;

use gatewright_core::ReplyFacts;

use crate::scan::Scanner;

/// Nothing where it is none of the two: an error is another reader's business. A walk over the bytes, for most of them are text
/// that nobody needs here.
pub(super) fn of(data: &[u8]) -> ReplyFacts {
    let mut facts = ReplyFacts::default();
    let read = Scanner::new(data).object(|s, field| {
        match field.key {
            b"id" => facts.id = known(s.text_or_skip()?),
            b"model" => facts.model = known(s.text_or_skip()?),
            b"choices" if s.peek()? == b'[' => s.array(|s| choice(s, &mut facts))?,
            _ => {}
        }
        Some(())
    });
    read.map(|()| facts).unwrap_or_default()
}

fn choice(s: &mut Scanner<'_>, facts: &mut ReplyFacts) -> Option<()> {
    if s.peek()? != b'{' {
        return Some(());
    }
    let (mut index, mut ended) = (0, None);
    s.object(|s, field| {
        match field.key {
            b"index" => index = s.value()?,
            b"finish_reason" => ended = known(s.text_or_skip()?),
            _ => {}
        }
        Some(())
    })?;
    facts.finish.extend(ended.map(|why| (index, why)));
    Some(())
}

pub(super) fn known(text: Option<Cow<'_, str>>) -> Option<String> {
    text.map(Cow::into_owned).filter(|text| !text.is_empty())
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
            (
                r#"{"id":7,"model":"m","choices":[null,{"finish_reason":"stop"}]}"#,
                None,
                Some("m"),
                vec![(0, "stop")],
            ),
            (r#"{"id":"c1","choices":[{"#, None, None, vec![]),
            ("[DONE]", None, None, vec![]),
        ] {
            let facts = of(data.as_bytes());
            assert_eq!((facts.id.as_deref(), facts.model.as_deref()), (id, model), "{data}");
            assert_eq!(facts.finish, finish.into_iter().map(|(at, why)| (at, why.to_owned())).collect());
        }
    }
}
