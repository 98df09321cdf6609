//! Why a neighbour was not found or kept, and whether that says something about who was asked.

use std::borrow::Cow;
use std::fmt;

/// Why something that helps the cache did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether the one that was asked is to be let alone for a while: it is down, it hangs, or it takes nothing of ours.
    /// Else the question itself was at fault, or the one that was asked is let alone already.
    pub away: bool,
    /// The cause in words, for the log. It holds nothing of a conversation.
    pub why: Cow<'static, str>,
}

// === impl Fault ===

impl Fault {
    /// Whoever was asked cannot answer now.
    pub fn away(why: impl Into<Cow<'static, str>>) -> Self {
        Self { away: true, why: why.into() }
    }

    /// This one question is not answered, which says nothing of others.
    pub fn refused(why: impl Into<Cow<'static, str>>) -> Self {
        Self { away: false, why: why.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}
