//! What the ledger booked for one attempt, for whoever laid a slip out before it began.

use std::sync::OnceLock;

use crate::{Money, Usage};

/// What one attempt was booked with, once it is. The ledger settles before whoever stands above it.
#[derive(Debug, Default)]
pub struct Slip(OnceLock<Booked>);

/// What an attempt was booked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// What it used: the provider's figures, else an estimate.
    pub usage: Usage,
    /// What it cost.
    pub cost: Money,
    /// Whether these are the provider's figures, or nothing was billed.
    pub exact: bool,
}

// === impl Slip ===

impl Slip {
    /// Writes down what was booked; only the first time counts.
    pub fn fill(&self, booked: Booked) {
        let _ = self.0.set(booked);
    }

    /// What was booked; nothing as long as the attempt is not settled.
    pub fn booked(&self) -> Option<&Booked> {
        self.0.get()
    }
}
