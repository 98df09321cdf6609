//! What the attempts of a call have cost so far.

use std::cell::LazyCell;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Money;

/// A running sum of what attempts cost. The ledger adds what it books, once an attempt; whoever holds money for the
/// call reads it when the call ends.
#[derive(Debug, Default)]
pub struct Tab {
    total: AtomicI64,
    /// What the sum is made of; nothing where nobody asks.
    parts: Option<Mutex<CostParts>>,
    over: Option<Arc<Self>>,
}

/// What a cost is made of. Each part is rounded by itself, and a cost that the provider reports need not be their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostParts {
    /// Input that no cache had a part in, and what is billed by the piece.
    pub input: Money,
    /// Input that the provider's cache served.
    pub cache_read: Money,
    /// Input that was written to the provider's cache.
    pub cache_creation: Money,
    /// All output, reasoning in it.
    pub output: Money,
    /// Output that was reasoning.
    pub reasoning: Money,
    /// Tools that the provider ran.
    pub tool_usage: Money,
}

// === impl Tab ===

impl Tab {
    /// An empty one. What is added to it is added to the one above it too.
    pub fn under(over: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { over, ..Self::default() })
    }

    /// The same for one who asks what the sum is made of.
    pub fn itemised(over: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { over, parts: Some(Mutex::default()), ..Self::default() })
    }

    /// One that begins with this amount.
    pub fn from(total: Money) -> Arc<Self> {
        Arc::new(Self { total: AtomicI64::new(total.0), ..Self::default() })
    }

    /// One attempt cost this.
    pub fn add(&self, cost: Money) {
        self.book(cost, CostParts::default);
    }

    /// One attempt cost this, and these are its parts, which are counted only where somebody asks.
    pub fn book(&self, cost: Money, parts: impl FnOnce() -> CostParts) {
        let parts = LazyCell::new(parts);
        let mut tab = Some(self);
        while let Some(this) = tab {
            this.total.fetch_add(cost.0, Ordering::Relaxed);
            if let Some(sum) = &this.parts {
                *sum.lock().unwrap_or_else(PoisonError::into_inner) += *parts;
            }
            tab = this.over.as_deref();
        }
    }

    /// What all have cost.
    pub fn total(&self) -> Money {
        Money(self.total.load(Ordering::Relaxed))
    }

    /// What that is made of, where it was asked for.
    pub fn parts(&self) -> Option<CostParts> {
        self.parts.as_ref().map(|sum| *sum.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl CostParts ===

impl AddAssign for CostParts {
    fn add_assign(&mut self, other: Self) {
        self.input += other.input;
        self.cache_read += other.cache_read;
        self.cache_creation += other.cache_creation;
        self.output += other.output;
        self.reasoning += other.reasoning;
        self.tool_usage += other.tool_usage;
    }
}
