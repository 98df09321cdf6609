//! Values as both databases keep them.

use std::sync::Arc;

use gatewright_core::AttemptId;
use uuid::Uuid;

/// A name as it is kept: what PostgreSQL cannot keep in a text is replaced.
pub fn clean(text: &Arc<str>) -> Arc<str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { Arc::clone(text) }
}

/// The id as the databases keep it.
pub(crate) fn uuid(attempt: AttemptId) -> Uuid {
    Uuid::from_bytes(attempt.to_bytes())
}

/// As much of a number as the databases can keep.
pub(crate) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
