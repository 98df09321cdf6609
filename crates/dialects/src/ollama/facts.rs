//! What an answer, or a line of one, says about itself.

use gatewright_core::ReplyFacts;
use serde::Deserialize;

#[derive(Deserialize)]
struct About {
    model: Option<String>,
    done_reason: Option<String>,
}

/// Nothing where it is neither: an error is another reader's business.
pub(super) fn of(data: &[u8]) -> ReplyFacts {
    let Ok(About { model, done_reason }) = serde_json::from_slice(data) else {
        return ReplyFacts::default();
    };
    ReplyFacts { id: None, model, finish: done_reason.map(|why| (0, why)).into_iter().collect() }
}
