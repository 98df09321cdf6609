//! What is limited, for whom, and how far.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gatewright_core::{Call, Caller, Money};
use smallvec::SmallVec;

/// Says which limits apply to a call.
pub trait Rules: Send + Sync + 'static {
    /// Appends the limits that apply. A call that gets none passes without a lock or an allocation.
    fn rules(&self, call: &Call, out: &mut Ruling);

    /// Whether a caller may use a model that its key names for when its budget is spent.
    fn permits(&self, caller: &Caller, model: &str) -> bool {
        caller.may_use(model)
    }

    /// The limits that apply by now to a call that waits since it came; `None` where nobody can say, or they never change.
    fn renewed<'a>(&'a self, _call: &'a Call) -> Renewed<'a> {
        Box::pin(std::future::ready(None))
    }

    /// Appends the soft budgets that apply, as rules of money.
    fn soft(&self, _call: &Call, _out: &mut Ruling) {}

    /// Whether a caller has limits that only apply to some groups. Then an attempt at another group than the one that
    /// was asked for, which is a call with a target, is asked about again.
    fn differ_by_group(&self, _caller: &Caller) -> bool {
        false
    }
}

/// What [`Rules::renewed`] answers.
pub type Renewed<'a> = Pin<Box<dyn Future<Output = Option<Ruling>> + Send + 'a>>;

/// The limits that apply to one call.
pub type Ruling = SmallVec<[Rule; 8]>;

/// One limit. Rules of the same scope, id, counter and window count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What kind of thing is limited, by LiteLLM's name: `api_key`, `team`, `deployment`, `proxy`.
    pub scope: &'static str,
    /// Which one.
    pub id: Arc<str>,
    /// What a client reads in place of the id where its money is spent: a key's id is its hash.
    pub label: Option<Arc<str>>,
    /// What is counted.
    pub counter: Counter,
    /// How much of it; money in nano-dollars.
    pub limit: u64,
    /// In which time. Parallel calls have none.
    pub window: Window,
    /// What is known to be spent in this window already. Only a budget that is not counted here yet begins with it, or one
    /// whose turn is an older one.
    pub spent: Money,
    /// Grows each time that an administrator sets what is spent.
    pub turn: u64,
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
    /// Nano-dollars: the most that a call can cost when it is let in, what it really cost when it ends.
    Money,
}

/// The time in which something is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// So long from the first call in it; then the next call begins another.
    Rolling(Duration),
    /// A period of the calendar. When it has ended and a rule of the same name tells a later end, it begins anew.
    Period {
        /// What it is called (`30d`); a budget of another name is another budget.
        name: Arc<str>,
        /// When it ends.
        ends: SystemTime,
    },
    /// All time.
    Forever,
}

const MINUTE: Window = Window::Rolling(Duration::from_secs(60));

// === impl Rule ===

impl Rule {
    /// A limit on one thing, with nothing spent.
    pub fn new(scope: &'static str, id: Arc<str>, counter: Counter, limit: u64, window: Window) -> Self {
        Self { scope, id, label: None, counter, limit, window, spent: Money::ZERO, turn: 0 }
    }

    /// So many calls a minute.
    pub fn requests(scope: &'static str, id: Arc<str>, limit: u64) -> Self {
        Self::new(scope, id, Counter::Requests, limit, MINUTE)
    }

    /// So many tokens a minute.
    pub fn tokens(scope: &'static str, id: Arc<str>, limit: u64) -> Self {
        Self::new(scope, id, Counter::Tokens, limit, MINUTE)
    }

    /// So many calls at a time.
    pub fn parallel(scope: &'static str, id: Arc<str>, limit: u64) -> Self {
        Self::new(scope, id, Counter::Parallel, limit, Window::Forever)
    }

    /// So much money in this time.
    pub fn money(scope: &'static str, id: Arc<str>, limit: Money, window: Window) -> Self {
        Self::new(scope, id, Counter::Money, nano(limit), window)
    }

    /// The same where so much is spent already.
    #[must_use]
    pub fn spent(self, spent: Money) -> Self {
        Self { spent, ..self }
    }

    /// The same in this turn.
    #[must_use]
    pub fn in_turn(self, turn: u64) -> Self {
        Self { turn, ..self }
    }

    /// Whether it limits the same as another one, whatever was spent.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let Self { scope, id, counter, limit, window, turn, .. } = self;
        (*scope, id, *counter, *limit, window, *turn)
            == (other.scope, &other.id, other.counter, other.limit, &other.window, other.turn)
    }

    /// The same under this name for clients.
    #[must_use]
    pub fn labelled(self, label: Arc<str>) -> Self {
        Self { label: Some(label), ..self }
    }

    /// What one call takes of it, where it does not count money.
    pub fn takes(&self, tokens: u64) -> u64 {
        match self.counter {
            Counter::Requests | Counter::Parallel => 1,
            // A call without an estimate must still not pass a limit that is used up.
            Counter::Tokens => tokens.max(1),
            Counter::Money => 0,
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
            Self::Money => "budget",
        }
    }
}

/// Money as it is counted: nobody owes less than nothing.
pub(crate) fn nano(money: Money) -> u64 {
    u64::try_from(money.0).unwrap_or(0)
}

/// What is counted as money.
pub(crate) fn dollars(nano: u64) -> Money {
    Money(i64::try_from(nano).unwrap_or(i64::MAX))
}
