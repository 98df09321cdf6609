//! Where counts are kept: in this process, or where several share them.

use std::future::Future;
use std::time::Duration;

use gatewright_core::Error;

use crate::rule::Rule;

/// Keeps counts. Holding takes from all rules or from none, in one step.
pub trait Counters: Send + Sync + 'static {
    /// What a call has taken: enough to give it back. Where several processes share the counts it is a lease with an
    /// owner and an expiry, which the implementation renews as long as it is not settled.
    type Hold: Send + 'static;

    /// Takes what one call needs of every rule, or says which one refuses. A future that is dropped has taken nothing.
    fn hold(&self, rules: &[Rule], tokens: u64) -> impl Future<Output = Result<Self::Hold, Refused>> + Send;

    /// Gives the permits back and puts the tokens right: `used` is what the call really used. Runs while the last
    /// frame waits, so it does no I/O: what is remote is queued.
    fn settle(&self, hold: Self::Hold, used: u64);
}

/// Why nothing was held.
#[derive(Debug)]
pub enum Refused {
    /// One limit has not enough left.
    Full {
        /// The place of its rule.
        rule: usize,
        /// What is left of it.
        remaining: u64,
        /// When there may be more.
        resets_in: Duration,
    },
    /// The counts are out of reach, and without them no call is let in.
    Away(Error),
}
