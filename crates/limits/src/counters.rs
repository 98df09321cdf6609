//! Where counts are kept: in this process, or where several share them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Error, Money};
use smallvec::SmallVec;

use crate::need::Need;
use crate::rule::Rule;

/// Keeps counts. Holding takes from all rules or from none, in one step.
pub trait Counters: Send + Sync + 'static {
    /// What a call has taken: enough to fit it to an attempt and to give it back. Where several processes share the counts it is a lease with an
    /// owner and an expiry, which the implementation renews as long as it is not settled.
    type Hold: Send + Sync + 'static;

    /// The same as [`Self::hold`], where that can be said at once: `None` where it takes a wait or a round trip.
    fn hold_at_once(&self, _rules: &[Rule], _need: &Need) -> Option<Result<(Self::Hold, Grant), Refused>> {
        None
    }

    /// Takes what one call needs of every rule, or says which one refuses. Where money that other calls hold is in the
    /// way it waits for them, in the order of arrival, but not longer than `wait`. A future that is dropped has taken
    /// nothing.
    fn hold(
        &self,
        rules: &[Rule],
        need: &Need,
        wait: Duration,
    ) -> impl Future<Output = Result<(Self::Hold, Grant), Refused>> + Send;

    /// Fits a hold to one more attempt of its call, whose attempts have cost `spent` so far. Afterwards it is one on
    /// exactly these rules: those that it had and that are not named are settled with what was spent while it had
    /// them, further ones are taken, and of each budget it holds no less than what was spent since it was taken and
    /// what this attempt needs. Answers the tokens of output that this covers. It waits for nobody, because others may
    /// wait for what it holds; refused, it is as before.
    fn fit(
        &self,
        hold: &Self::Hold,
        rules: &[Rule],
        need: &Need,
        spent: Money,
    ) -> impl Future<Output = Result<u64, Refused>> + Send;

    /// Gives the permits back and puts tokens and money right; once for each hold. Runs while the last frame waits, so
    /// it does no I/O: what is remote is queued.
    fn settle(&self, hold: &Self::Hold, used: Used);

    /// Sets what is spent of the budgets of one thing, in the periods that run. Those that are not counted yet begin with
    /// what their rules say, so whoever sets it there too does that first. No I/O, as above.
    fn reset(&self, reset: Reset);
}

/// What an administrator has set to be spent of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// What kind of thing it is.
    pub scope: &'static str,
    /// Which one.
    pub id: Arc<str>,
    /// What the period of its own budget is called; `None` where it never ends. Budgets of other periods keep what they
    /// have where that is less.
    pub period: Option<Arc<str>>,
    /// What is spent.
    pub spent: Money,
    /// The turn that rules are in that know of it.
    pub turn: u64,
}

/// What a hold covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Tokens of output; no less than the need's least.
    pub output: u64,
    /// What is left of each rule, in their order.
    pub remaining: SmallVec<[u64; 8]>,
}

/// What a call really used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens of input and output.
    pub tokens: u64,
    /// What it cost.
    pub cost: Money,
    /// Tokens of output, where the answer is whole and was counted.
    pub output: Option<u64>,
}

/// Why nothing was held.
#[derive(Debug)]
pub enum Refused {
    /// One limit has not enough left.
    Full {
        /// The place of its rule.
        rule: usize,
        /// What is taken of it.
        taken: u64,
        /// When there may be more; `None` where nobody knows.
        resets_in: Option<Duration>,
    },
    /// The counts are out of reach, and without them no call is let in.
    Away(Error),
}

// === impl Refused ===

impl Refused {
    /// The place of the rule that has not enough left.
    pub(crate) fn rule(&self) -> Option<usize> {
        match self {
            Self::Full { rule, .. } => Some(*rule),
            Self::Away(_) => None,
        }
    }
}
