//! Whole answers: relayed, read, written and read again.

use bytes::Bytes;
use gatewright_core::Codec;
use gatewright_core::chat::Answer;
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
    for dialect in ALL {
        let body = of(dialect).encode_reply(&answer, &style(false));
        assert!(is_json(&body), "{}", show(&body));
        let read = of(dialect).decode_reply(&body).unwrap_or_else(|err| panic!("{err}: {}", show(&body)));
        assert_eq!(read.model, "alias");
        if dialect != codec.dialect() {
            continue;
        }
        // What was normalised once stays as it is.
        let body = of(dialect).encode_reply(&read, &style(false));
        let again = of(dialect).decode_reply(&body).unwrap_or_else(|err| panic!("{err}: {}", show(&body)));
        assert_eq!(again, read, "{}", show(&body));
    }
}
