//! Puts a stream's events together again.

use gatewright_core::Usage;
use gatewright_core::chat::{Choice, Event};

/// The choices that events build, as a whole answer would have them.
pub(super) fn gather(events: &[Event]) -> (Vec<Choice>, Option<Usage>) {
    let answer = crate::gather(events.iter().cloned());
    (answer.choices, answer.usage)
}
