//! Whole answers: relayed, read, written and read again.

use bytes::Bytes;
use gatewright_core::Codec;
use gatewright_core::chat::{Answer, Part};
use gatewright_dialects::of;
use serde_json::Value;

use super::{ALL, is_json, show, style};

/// Checks one input.
pub(super) fn check(codec: &dyn Codec, data: &[u8]) {
    let relayed = codec.relay_reply(Bytes::copy_from_slice(data), &style(true)).ok();
    let answer = codec.decode_reply(data).ok();
    if let Some(frame) = &relayed {
        assert!(frame.last);
        assert!(!is_json(data) || is_json(&frame.data), "{}", show(&frame.data));
        if let Ok(said) = serde_json::from_slice::<Value>(&frame.data)
            && let Some(model) = said.get("model").filter(|model| !model.is_null())
        {
            assert_eq!(model, "alias", "{}", show(&frame.data));
        }
    }
    // The bill must not depend on whether the client speaks the upstream's dialect.
    if let (Some(frame), Some(answer)) = (&relayed, &answer) {
        assert_eq!(frame.usage, answer.usage);
    }
    if let Some(answer) = answer {
        write(codec, answer);
    }
}

fn write(codec: &dyn Codec, answer: Answer) {
    let is_known = answer.choices.iter().flat_map(|choice| &choice.parts).all(|part| !matches!(part, Part::Other(_)));
    for dialect in ALL {
        let body = encode(of(dialect), &answer);
        // A block that the dialect took for one of the other's may be none.
        if is_known {
            decode(of(dialect), &body);
        }
    }
    // Sums of numbers that no provider counts to meet at the largest one, and mean nothing any more.
    if answer.usage.is_some_and(|usage| usage.total() > 1 << 53) {
        return;
    }
    // What was normalised stays as it is. Fields in places that are not theirs take one more round to settle.
    let settled = rewrite(codec, &rewrite(codec, &answer));
    assert_eq!(rewrite(codec, &settled), settled);
}

fn rewrite(codec: &dyn Codec, answer: &Answer) -> Answer {
    decode(codec, &encode(codec, answer))
}

fn encode(codec: &dyn Codec, answer: &Answer) -> Bytes {
    let body = codec.encode_reply(answer, &style(false));
    assert!(is_json(&body), "{}", show(&body));
    body
}

fn decode(codec: &dyn Codec, body: &Bytes) -> Answer {
    let read = codec.decode_reply(body).unwrap_or_else(|err| panic!("{err}: {}", show(body)));
    assert_eq!(read.model, "alias");
    read
}
