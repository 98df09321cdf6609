//! How many tokens a conversation has.

use gatewright_core::chat::Chat;

/// A placeholder until the estimator is in place.
pub fn estimate(chat: &Chat) -> u64 {
    chat.turns.len() as u64 * 8
}

/// A placeholder until the estimator is in place.
pub fn estimate_bytes(bytes: &[u8]) -> u64 {
    bytes.len() as u64 / 4
}
