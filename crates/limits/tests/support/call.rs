//! A call that was routed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gatewright_core::{AttemptId, Body, Call, Dialect, Operation, Target};

/// A call that was routed to a deployment. The policies that it passes never look into its body.
pub(crate) fn call() -> Call {
    let codec = gatewright_dialects::of(Dialect::OpenAiChat);
    let mut call = Call::new(Operation::Chat, codec, "fast", Body::Opaque(Bytes::new()));
    call.target = Some(Arc::new(Target {
        attempt: AttemptId::fresh(),
        deployment: "fast-1".into(),
        group: "fast".into(),
        shown: "fast".into(),
        model: None,
        first_content: Duration::from_secs(600),
        idle: Duration::from_secs(600),
        deadline: Instant::now() + Duration::from_secs(600),
    }));
    call
}
