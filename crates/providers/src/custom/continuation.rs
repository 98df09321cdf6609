//! Continuations of OpenAI's, for providers that answer with the text alone.

use gatewright_core::{CallId, Clock, SystemClock};
use serde_json::json;

/// What an answer, and every event of a stream, says of itself.
pub(super) struct Continuation {
    id: String,
    created: u64,
}

// === impl Continuation ===

impl Continuation {
    /// One that begins now.
    pub(super) fn begin() -> Self {
        Self { id: format!("cmpl-{}", CallId::fresh()), created: SystemClock.unix_seconds() }
    }

    /// A piece of it, or all; its end has a reason.
    pub(super) fn piece(&self, text: &str, finish: Option<&str>) -> String {
        let choice = json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish});
        json!({
            "id": self.id, "object": "text_completion", "created": self.created, "model": "", "choices": [choice],
        })
        .to_string()
    }
}
