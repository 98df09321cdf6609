//! What is limited, for whom, and how far.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::Call;
use smallvec::SmallVec;

/// Says which limits apply to a call.
pub trait Rules: Send + Sync + 'static {
    /// Appends the limits that apply. A call that gets none passes without a lock or an allocation.
    fn rules(&self, call: &Call, out: &mut Ruling);
}

/// The limits that apply to one call.
pub type Ruling = SmallVec<[Rule; 8]>;

/// One limit. Rules of the same scope, id, counter and window count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What kind of thing is limited, by LiteLLM's name: `api_key`, `team`, `deployment`, `proxy`.
    pub scope: &'static str,
    /// Which one.
    pub id: Arc<str>,
    /// What is counted.
    pub counter: Counter,
    /// How much of it.
    pub limit: u64,
    /// In which time. Parallel calls have none.
    pub window: Duration,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counter {
    /// Calls that were let in.
    Requests,
    /// Tokens: the estimate when a call is let in, what it really used when it ends.
    Tokens,
    /// Calls that run, until their stream ends.
    Parallel,
}

const MINUTE: Duration = Duration::from_secs(60);

// === impl Rule ===

impl Rule {
    /// So many calls a minute.
    pub fn requests(scope: &'static str, id: Arc<str>, limit: u64) -> Self {
        Self { scope, id, counter: Counter::Requests, limit, window: MINUTE }
    }

    /// So many tokens a minute.
    pub fn tokens(scope: &'static str, id: Arc<str>, limit: u64) -> Self {
        Self { scope, id, counter: Counter::Tokens, limit, window: MINUTE }
    }

    /// So many calls at a time.
    pub fn parallel(scope: &'static str, id: Arc<str>, limit: u64) -> Self {
        Self { scope, id, counter: Counter::Parallel, limit, window: Duration::ZERO }
    }

    /// What one call takes of it.
    pub fn takes(&self, tokens: u64) -> u64 {
        match self.counter {
            Counter::Requests | Counter::Parallel => 1,
            // A call without an estimate must still not pass a limit that is used up.
            Counter::Tokens => tokens.max(1),
        }
    }
}

// === impl Counter ===

impl Counter {
    /// LiteLLM's name of it, in messages and headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Parallel => "max_parallel_requests",
        }
    }
}
