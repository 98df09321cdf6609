//! How long a cache keeps what is marked, in the words that Anthropic and Bedrock share.

use gatewright_core::chat::CacheMark;
use serde::{Deserialize, Serialize};

/// `ttl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Ttl {
    #[serde(rename = "5m")]
    FiveMinutes,
    #[serde(rename = "1h")]
    OneHour,
}

// === impl Ttl ===

impl Ttl {
    /// What a mark says; five minutes need no word.
    pub(crate) fn of(mark: CacheMark) -> Option<Self> {
        match mark {
            CacheMark::FiveMinutes => None,
            CacheMark::OneHour => Some(Self::OneHour),
        }
    }

    /// The mark that is meant.
    pub(crate) fn mark(ttl: Option<Self>) -> CacheMark {
        match ttl {
            Some(Self::OneHour) => CacheMark::OneHour,
            Some(Self::FiveMinutes) | None => CacheMark::FiveMinutes,
        }
    }
}
