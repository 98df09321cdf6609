//! What the ledger books for an attempt, for whoever counts attempts.

use std::sync::Arc;
use std::time::Duration;

use crate::{Money, Origin, Outcome, Target, Usage};

/// One attempt as the ledger books it.
pub struct Booking<'a> {
    /// Whom its call comes from.
    pub origin: &'a Arc<Origin>,
    /// The public model name that was asked for.
    pub model: &'a str,
    /// Where it went.
    pub target: &'a Target,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Whether its call is a copy of another, on nobody's account.
    pub mirrored: bool,
    /// What it used: the provider's figures, else an estimate.
    pub usage: Usage,
    /// What it cost.
    pub cost: Money,
    /// How long it took.
    pub took: Duration,
    /// How long its first content took, where some came.
    pub first_content: Option<Duration>,
    /// How it ended.
    pub outcome: &'a Outcome<'a>,
}

/// Is shown every attempt that the ledger books, once, when it has ended: its figures are the ledger's.
pub trait Auditor: Send + Sync + 'static {
    /// One more. Waits for nothing.
    fn booked(&self, booking: &Booking<'_>);
}
