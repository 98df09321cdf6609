//! What an answer, or an event of one, says about itself.

use gatewright_core::ReplyFacts;

use super::wire::{Response, read};
use super::words;

/// Nothing where it is neither: an error is another reader's business.
pub(super) fn of(data: &[u8]) -> ReplyFacts {
    let Ok(response) = read::<Response<'_>>(data) else { return ReplyFacts::default() };
    let known = |text: Option<std::borrow::Cow<'_, str>>| {
        text.map(std::borrow::Cow::into_owned).filter(|text| !text.is_empty())
    };
    let finish = response.candidates.iter().filter_map(|candidate| {
        let word = candidate.finish_reason.as_ref().and_then(words::finish_word)?;
        Some((candidate.index, word.to_owned()))
    });
    let finish = finish.collect();
    ReplyFacts { id: known(response.response_id), model: known(response.model_version), finish }
}
