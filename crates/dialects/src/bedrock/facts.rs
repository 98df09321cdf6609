//! What an answer says about itself, for traces: why it ended. Ids and models stand in no answer.

use std::borrow::Cow;

use gatewright_core::ReplyFacts;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About<'a> {
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

/// Nothing where it says nothing.
pub(super) fn of(data: &[u8]) -> ReplyFacts {
    let about = serde_json::from_slice::<About<'_>>(data).ok();
    let finish = about.and_then(|about| about.stop_reason).map(|why| (0, why.into_owned()));
    ReplyFacts { id: None, model: None, finish: finish.into_iter().collect() }
}
